"""How near pictures come to others: pixel by pixel, in structure, and as trained encoders see them.

Pictures are tensors (n, 3, height, width) from 0 to 1, pairs of one size; results are one figure a
pair, (n,). What needs an encoder is in `encoders`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def l1(pictures: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference, 0 the best."""
    _check(pictures, targets)
    return (pictures - targets).abs().mean(dim=(1, 2, 3))


def l2(pictures: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference, 0 the best."""
    _check(pictures, targets)
    return (pictures - targets).square().mean(dim=(1, 2, 3))


def psnr(pictures: Tensor, targets: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _check(pictures, targets)
    pairs = zip(pictures, targets, strict=True)
    # Not over the batch in one call: torchmetrics then averages the error before the logarithm.
    return torch.stack([peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in pairs])


def ssim(pictures: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), 1 the best.

    Gaussian window of 11 pixels with sigma 1.5, mean over the colour channels.

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _check(pictures, targets)
    if min(pictures.shape[2:]) < 11:
        raise ValueError(f"SSIM needs pictures of 11 x 11 and more, not {tuple(pictures.shape)}")
    _, whole = structural_similarity_index_measure(
        pictures, targets, data_range=1.0, reduction="none", return_full_image=True
    )
    # Where the window lies within the picture, as in the paper; torchmetrics also mirrors edges.
    return whole[:, :, 5:-5, 5:-5].mean(dim=(1, 2, 3))


def _check(pictures: Tensor, targets: Tensor) -> None:
    if pictures.shape != targets.shape or pictures.ndim != 4 or pictures.shape[1] != 3:
        shapes = f"{tuple(pictures.shape)} and {tuple(targets.shape)}"
        raise ValueError(f"pictures must be (n, 3, height, width), two of one size, not {shapes}")
    for one in (pictures, targets):
        if not one.is_floating_point() or one.min() < 0 or one.max() > 1:
            raise ValueError("pictures must be floating point from 0 to 1")
