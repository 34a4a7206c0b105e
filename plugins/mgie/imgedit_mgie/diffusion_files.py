"""Where the evaluation finds `vae_factor`."""

from imgedit_modelkit.diffusion.files import vae_factor

__all__ = ["vae_factor"]
