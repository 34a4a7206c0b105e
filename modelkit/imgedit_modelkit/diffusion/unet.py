"""A UNet that sees the input picture, made from one that does not."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from imgedit_plugins.errors import ImgeditError


def with_picture_channels(unet: Any, channels: int | None = None) -> Any:
    """Let a text-to-image UNet see the input picture: widen its first convolution, in place.

    The new weights are zero, so that at first it predicts what it did before.

    Args:
        unet: a UNet2DConditionModel with as many input as output channels; one that has the new
            channels already is left as it is.
        channels: of the input picture's latents; by default as many as it has outputs.

    Returns:
        The same UNet.

    Raises:
        ImgeditError: it has another number of input channels.
    """
    own = int(unet.config.out_channels)
    added = own if channels is None else channels
    found = int(unet.config.in_channels)
    if found == own + added:
        return unet
    if found != own:
        raise ImgeditError(
            f"This UNet takes {found} channels; a text-to-image model of {own} was expected.",
            hint=f"One with {own + added} is ready for editing as it is.",
        )
    old = unet.conv_in
    wide = nn.Conv2d(
        own + added,
        old.out_channels,
        old.kernel_size,
        padding=old.padding,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, :own] = old.weight
        assert wide.bias is not None
        wide.bias.copy_(old.bias)
    wide.requires_grad_(old.weight.requires_grad)
    unet.conv_in = wide
    unet.register_to_config(in_channels=own + added)
    return unet


def check_unet(unet: Any, latent_channels: int) -> None:
    """Refuse UNets that do not edit pictures, or that need more than a sequence to attend to.

    Raises:
        ImgeditError: so it is.
    """
    found, wanted = int(unet.config.in_channels), 2 * latent_channels
    if found != wanted:
        raise ImgeditError(
            f"This UNet takes {found} channels and an editing one takes {wanted}.",
            hint="imgedit_modelkit.diffusion.unet.with_picture_channels makes one, to be trained."
            if found == latent_channels
            else "",
        )
    for name in ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type"):
        if getattr(unet.config, name, None) is not None:
            raise ImgeditError(
                f"This UNet has {name} {getattr(unet.config, name)!r}, so it needs more than a "
                "sequence to attend to; the editor gives it no more.",
                hint="UNets like that of Stable Diffusion 1 and 2 are meant.",
            )


def attended_width(unet: Any) -> int:
    """Width of the vectors that a UNet attends to."""
    width = unet.config.cross_attention_dim
    return int(width if isinstance(width, int) else width[0])
