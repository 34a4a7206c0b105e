"""mgie: expressive instructions of a multimodal language model that guide a diffusion model."""
