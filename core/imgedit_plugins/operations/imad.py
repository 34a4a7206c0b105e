"""The 14 operations of I-MAD, on sRGB-encoded RGB.

Source: the data set I-MAD-Dense (MiniGPT-Reverse-Designing, section 'Dataset'). Each operation has
its 8-bit recipe (`imad_recipes`), and the same mathematics as a form for pictures of any depth
(`imad_forms`).
"""

from __future__ import annotations

from imgedit_plugins.operations import imad_forms, imad_recipes
from imgedit_plugins.operations.vocabulary import (
    Constant,
    Inverse,
    Operation,
    Parameter,
    Parameters,
)

_RECIPE = "I-MAD-Dense; the published OpenCV photo-filter recipe"


def _self_inverse(name: str) -> Inverse:
    return Inverse(name, {}, exact=True)


def _undo_contrast(parameters: Parameters) -> Inverse | None:
    gain = float(parameters["gain"])
    return Inverse("contrast", {"gain": 1.0 / gain}, exact=False) if 0.1 <= gain <= 10 else None


def _undo_saturate(parameters: Parameters) -> Inverse | None:
    factor = float(parameters["factor"])
    if not 0.1 <= factor <= 10:
        return None
    return Inverse("saturate", {"factor": 1.0 / factor}, exact=False)


def _kernel(maximum: int) -> tuple[Parameter, ...]:
    return (Parameter("kernel", "Kernel", "px", 1, maximum, neutral=1, integer=True, odd=True),)


def _degrees(parameters: Parameters) -> int:
    return int(parameters["degrees"])


_ROUNDING = Constant("rounding", words=("round", "truncate"), required=False)
_CURVES = (
    Constant("red", (4, 2), rising=True),
    Constant("blue", (4, 2), rising=True),
    _ROUNDING,
    Constant("short_at", (None,), 0, 255, required=False, whole=True),
)
_TURNS = {90: "a quarter clockwise", 180: "by half", 270: "a quarter anticlockwise"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "grayscale",
        "Grayscale",
        "pointwise",
        imad_recipes.grayscale,
        source=f"{_RECIPE}: BT.601 luma",
        summary="Removes all colour.",
        phrase=lambda _: "turned to grey",
        constants=(Constant("weights", (3,), 0, 1, required=False),),
        form=imad_forms.grayscale,
    ),
    Operation(
        "sepia",
        "Sepia",
        "pointwise",
        imad_recipes.sepia,
        source=f"{_RECIPE}: the well-known 3x3 matrix",
        summary="Tones the picture brown.",
        phrase=lambda _: "toned sepia",
        constants=(Constant("matrix", (3, 3)), _ROUNDING),
        form=imad_forms.sepia,
    ),
    Operation(
        "summer",
        "Summer",
        "pointwise",
        imad_recipes.red_and_blue_curves,
        source=f"{_RECIPE}: red raised, blue lowered through cubics",
        summary="Makes the picture warmer.",
        phrase=lambda _: "made warmer (summer)",
        constants=_CURVES,
        form=imad_forms.red_and_blue,
    ),
    Operation(
        "winter",
        "Winter",
        "pointwise",
        imad_recipes.red_and_blue_curves,
        source=f"{_RECIPE}: blue raised, red lowered through cubics",
        summary="Makes the picture colder.",
        phrase=lambda _: "made colder (winter)",
        constants=_CURVES,
        form=imad_forms.red_and_blue,
    ),
    Operation(
        "hdr",
        "HDR look",
        "neighbourhood",
        imad_recipes.hdr,
        source="Gastal and Oliveira 2011 (domain transform), as cv2.detailEnhance",
        summary="Exaggerates local detail.",
        # The recursive filter never ends, but beyond 40 px less than a code is left of a change.
        reach=lambda _: 40,
        phrase=lambda _: "given an HDR look",
        constants=(Constant("sigma_s", (), 0.1, 200), Constant("sigma_r", (), 0.001, 1)),
        form=imad_forms.hdr,
    ),
    Operation(
        "blur",
        "Box blur",
        "neighbourhood",
        imad_recipes.blur,
        source=f"{_RECIPE}: cv2.blur, reflected border",
        summary="Averages over a square.",
        parameters=_kernel(99),
        reach=lambda p: int(p["kernel"]) // 2,
        phrase=lambda p: f"blurred over {p['kernel']} pixels",
        form=imad_forms.blur,
    ),
    Operation(
        "bright",
        "Brightness",
        "pointwise",
        imad_recipes.bright,
        source=f"{_RECIPE}: an offset; negative offsets clip at black",
        summary="Adds an offset to every channel.",
        parameters=(Parameter("offset", "Offset", "code", -255, 255, neutral=0),),
        inverse=lambda p: Inverse("bright", {"offset": -p["offset"]}, exact=False),
        phrase=lambda p: (
            f"{'brightened' if p['offset'] >= 0 else 'darkened'} by {abs(p['offset']):g}"
        ),
        form=imad_forms.bright,
    ),
    Operation(
        "sharp",
        "Sharpen",
        "neighbourhood",
        imad_recipes.sharp,
        source=f"{_RECIPE}: 3x3 kernel, 9.5 in the centre, -1 around",
        summary="Sharpens strongly and brightens a little.",
        reach=lambda _: 1,
        phrase=lambda _: "sharpened",
        constants=(Constant("centre"), Constant("around")),
        form=imad_forms.sharp,
    ),
    Operation(
        "contrast",
        "Contrast",
        "pointwise",
        imad_recipes.contrast,
        source=f"{_RECIPE}: a gain around black",
        summary="Multiplies every channel.",
        parameters=(Parameter("gain", "Gain", "×", 0, 10, neutral=1),),
        inverse=_undo_contrast,
        phrase=lambda p: f"contrast ×{p['gain']:.3g}",
        form=imad_forms.contrast,
    ),
    Operation(
        "saturate",
        "Saturation",
        "pointwise",
        imad_recipes.saturate,
        source=f"{_RECIPE}: a factor on the saturation of 8-bit HSV",
        summary="Strengthens or weakens colours.",
        parameters=(Parameter("factor", "Factor", "×", 0, 10, neutral=1),),
        inverse=_undo_saturate,
        phrase=lambda p: f"saturation ×{p['factor']:.3g}",
        constants=(_ROUNDING,),
        form=imad_forms.saturate,
    ),
    Operation(
        "gaussian",
        "Gaussian blur",
        "neighbourhood",
        imad_recipes.gaussian,
        source=f"{_RECIPE}: cv2.GaussianBlur, sigma from the kernel",
        summary="Blurs softly.",
        parameters=_kernel(99),
        reach=lambda p: int(p["kernel"]) // 2,
        phrase=lambda p: f"softly blurred over {p['kernel']} pixels",
        form=imad_forms.gaussian,
    ),
    Operation(
        "invert",
        "Invert",
        "pointwise",
        imad_recipes.invert,
        source=f"{_RECIPE}: 255 - value",
        summary="Makes a negative.",
        inverse=lambda _: _self_inverse("invert"),
        phrase=lambda _: "inverted",
        form=imad_forms.invert,
    ),
    Operation(
        "rotate",
        "Rotate",
        "geometric",
        imad_recipes.rotate,
        source=f"{_RECIPE}: quarter turns, clockwise",
        summary="Turns the picture clockwise.",
        parameters=(
            Parameter("degrees", "Angle", "°", 90, 270, integer=True, choices=(90, 180, 270)),
        ),
        inverse=lambda p: Inverse("rotate", {"degrees": 360 - _degrees(p)}, exact=True),
        phrase=lambda p: f"turned {_TURNS[int(_degrees(p))]}",
        form=imad_forms.geometry(imad_recipes.rotate),
    ),
    Operation(
        "flip",
        "Flip",
        "geometric",
        imad_recipes.flip,
        source=f"{_RECIPE}: left and right exchanged",
        summary="Mirrors the picture left to right.",
        inverse=lambda _: _self_inverse("flip"),
        phrase=lambda _: "mirrored",
        form=imad_forms.geometry(imad_recipes.flip),
    ),
)
