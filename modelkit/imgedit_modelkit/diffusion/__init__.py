"""Instruction editing by diffusion: a UNet of Stable Diffusion's kind that sees the input picture.

After InstructPix2Pix (Brooks et al. 2023): the latents of the input picture are four more channels
of the UNet's input. What it attends to may come from any model. See docs/diffusion.md.
"""
