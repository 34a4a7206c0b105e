"""I-MAD's operations in double precision, from the formulas of docs/operations.md.

Nothing of `imgedit_plugins` is used, nothing is rounded; each result is clipped to 0..1. `hdr` is
not here: nobody has written down what OpenCV's filter gives in exact arithmetic.
"""

import colorsys

import cv2
import numpy as np

SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
RAISED = ((0, 0), (64, 80), (128, 160), (256, 256))
LOWERED = ((0, 0), (64, 50), (128, 100), (256, 256))
SHARP = np.array([[-1, -1, -1], [-1, 9.5, -1], [-1, -1, -1]])


def grayscale(rgb):
    return (rgb @ np.array([0.299, 0.587, 0.114]))[:, :, None].repeat(3, axis=2)


def sepia(rgb):
    return rgb @ np.array(SEPIA).T


def summer(rgb):
    return np.stack([cubic(rgb[..., 0], RAISED), rgb[..., 1], cubic(rgb[..., 2], LOWERED)], -1)


def winter(rgb):
    return np.stack([cubic(rgb[..., 0], LOWERED), rgb[..., 1], cubic(rgb[..., 2], RAISED)], -1)


def cubic(channel, points):
    """The cubic through four points in codes, as Lagrange's sum."""
    codes, total = channel * 255, 0.0
    for x, y in points:
        others = [other for other, _ in points if other != x]
        total = total + y * np.prod([(codes - o) / (x - o) for o in others], axis=0)
    return total / 255


def blur(rgb, kernel):
    return cv2.blur(rgb, (kernel, kernel))


def gaussian(rgb, kernel):
    return cv2.GaussianBlur(rgb, (kernel, kernel), 0)


def sharp(rgb):
    return cv2.filter2D(rgb, -1, SHARP)


def bright(rgb, offset):
    return rgb + offset / 255


def contrast(rgb, gain):
    return rgb * gain


def saturate(rgb, factor):
    return np.array([[_saturated(*pixel, factor) for pixel in row] for row in rgb])


def _saturated(red, green, blue, factor):
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    return colorsys.hsv_to_rgb(hue, min(1.0, saturation * factor), value)


def invert(rgb):
    return 1 - rgb


def rotate(rgb, degrees):
    return np.rot90(rgb, -degrees // 90)


def flip(rgb):
    return rgb[:, ::-1]


EDITS = {
    function.__name__: function
    for function in (grayscale, sepia, summer, winter, blur, gaussian, sharp, bright, contrast,
                     saturate, invert, rotate, flip)
}  # fmt: skip


def exact(rgb, steps):
    """The steps one after another on float64 values 0..1."""
    for step in steps:
        rgb = EDITS[step.name](np.ascontiguousarray(rgb), **step.parameters)
        rgb = np.clip(rgb, 0.0, 1.0).reshape(*rgb.shape[:2], 3)
    return rgb
