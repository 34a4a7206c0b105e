"""Does MGIE learn here, and does its language model's sight help?

A tiny LLaVA, VAE and UNet are trained on generated pictures. Then `train mgie` trains MGIE, and
LGIE, whose language model does not see the picture, and both edit pictures that are new to them.
"""
