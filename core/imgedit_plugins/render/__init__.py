"""Plans to pixels: joined where that is the same, in strips, on all cores, at the picture's depth.

`render_plan` is the whole of it; the other functions are for those who compare pictures.
"""

from imgedit_plugins.render.blending import blend
from imgedit_plugins.render.measures import difference, mean_squared_error, psnr
from imgedit_plugins.render.passes import render_rgb
from imgedit_plugins.render.rendering import MAX_STRENGTH, Rounding, render_plan

__all__ = [
    "MAX_STRENGTH",
    "Rounding",
    "blend",
    "difference",
    "mean_squared_error",
    "psnr",
    "render_plan",
    "render_rgb",
]
