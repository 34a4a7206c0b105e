"""The figures of MGIE's tables for edited pictures, each under its name there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from imgedit_modelkit.metrics import pictures as pixelwise
from imgedit_modelkit.metrics.encoders import Encoder, Lpips, clip_i, clip_s, dino

LOWER_IS_BETTER = frozenset({"L1", "LPIPS"})


@dataclass(frozen=True)
class EditEncoders:
    """The encoders that there are; figures of the others are left out.

    Published figures of this kind use CLIP ViT-B/32 (openai/clip-vit-base-patch32), DINO ViT-S/16
    (facebook/dino-vits16), as MagicBrush does, and LPIPS with AlexNet. MGIE does not name its own.
    """

    clip: Encoder | None = None
    dino: Encoder | None = None
    lpips: Lpips | None = None

    @property
    def identities(self) -> dict[str, str]:
        """Which weights made which figures; belongs beside every table.

        Raises:
            ImgeditError: weights are missing, or others than asked for.
        """
        found = {"CVS": self.clip, "CLIP-S": self.clip, "DINO": self.dino, "LPIPS": self.lpips}
        return {name: one.identity for name, one in found.items() if one is not None}


def score_edits(
    edited: Tensor,
    goals: Tensor,
    encoders: EditEncoders | None = None,
    texts: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """L1, SSIM, LPIPS, DINO, CVS of edited pictures and their goals, and CLIP-S with texts.

    Args:
        edited: (n, 3, height, width) from 0 to 1; SSIM needs 11 pixels a side.
        goals: what they should be like, as `edited`.
        encoders: without them there are L1 and SSIM only.
        texts: what the edited pictures should show, such as expressive instructions.

    Returns:
        One figure for each pair, (n,), by the paper's name of the metric.

    Raises:
        ValueError: the pictures are no pairs.
        ImgeditError: weights are missing, or others than asked for.
    """
    encoders = encoders or EditEncoders()
    found = {"L1": pixelwise.l1(edited, goals), "SSIM": pixelwise.ssim(edited, goals)}
    if encoders.lpips is not None:
        found["LPIPS"] = encoders.lpips(edited, goals)
    if encoders.dino is not None:
        found["DINO"] = dino(encoders.dino, edited, goals)
    if encoders.clip is not None:
        found["CVS"] = clip_i(encoders.clip, edited, goals)
        if texts is not None:
            found["CLIP-S"] = clip_s(encoders.clip, edited, texts)
    return found
