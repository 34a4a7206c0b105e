"""The trained model: a language model that sees the picture guides a diffusion model."""
