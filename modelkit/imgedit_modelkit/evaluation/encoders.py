"""The encoders behind the figures: given as files, checked before the work, told of in the report.

Figures of different encoders cannot be compared, so each is named with the hash of its weights, and
what is not given is said to be missing, with the way to get it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from imgedit_modelkit.metrics import encoders as kit
from imgedit_modelkit.metrics.edits import EditEncoders
from imgedit_modelkit.metrics.encoders import Encoder, Lpips
from imgedit_plugins.errors import ImgeditError, WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Options, Table

_USUAL = {
    "clip": ("CLIP ViT-B/32", "openai/clip-vit-base-patch32, MIT, 0.6 GB"),
    "dino": ("DINO ViT-S/16", "facebook/dino-vits16, Apache-2.0, 0.1 GB"),
    "alexnet": ("AlexNet", "torchvision's alexnet-owt-7be5be79.pth, BSD-3-Clause, 0.2 GB"),
}
"""What published figures of this kind are made with; MGIE's and ReasonPix2Pix's papers do not name
their own."""

_HOW = {
    "clip": "hf download openai/clip-vit-base-patch32 --local-dir CLIP; then -O clip=CLIP",
    "dino": "hf download facebook/dino-vits16 --local-dir DINO; then -O dino=DINO",
    "alexnet": (
        "curl -LO https://download.pytorch.org/models/alexnet-owt-7be5be79.pth; "
        "then -O alexnet=alexnet-owt-7be5be79.pth"
    ),
}

_DINO_KINDS = ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit")


@dataclass(frozen=True)
class Told:
    """An encoder, for the report.

    Attributes:
        name: the option that gave it.
        place: folder or file.
        kind: such as 'CLIP ViT-B/32'.
        sha256: of its weights.
    """

    name: str
    place: str
    kind: str
    sha256: str

    @property
    def is_usual(self) -> bool:
        """Whether published figures are made with this kind of encoder."""
        return self.kind == _USUAL[self.name][0]


@dataclass(frozen=True)
class Given:
    """The encoders of an evaluation.

    Attributes:
        encoders: for the metrics.
        told: what they are, by option.
        needed: what this table's figures need: by option, what is measured with its encoder.
    """

    encoders: EditEncoders
    told: dict[str, Told] = field(default_factory=dict)
    needed: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """The options of those that were not given."""
        return tuple(name for name in self.needed if name not in self.told)

    @property
    def stamp(self) -> list[str]:
        """What changes when an encoder is another."""
        return [self.told[name].sha256 for name in self.told]

    def to(self, device: torch.device) -> Given:
        """The same, with the models on a device; LPIPS stays where it is."""
        for one in (self.encoders.clip, self.encoders.dino):
            if one is not None:
                one.model.to(device)
        return self

    def missing_tables(self) -> Iterator[Table]:
        """What could not be measured, and how it could be."""
        if self.missing:
            yield Table(
                title="Not measured",
                columns=("figures", "needs", "how to get it"),
                rows=tuple(
                    (self.needed[name], " (".join(_USUAL[name]) + ")", _HOW[name])
                    for name in self.missing
                ),
            )

    def tables(self) -> Iterator[Table]:
        """What the encoders are."""
        if self.told:
            yield Table(
                title="Encoders",
                columns=("figures", "weights", "kind", "SHA-256", "as in published figures"),
                rows=tuple(
                    (self.needed[t.name], t.place, t.kind, t.sha256, "yes" if t.is_usual else "no")
                    for t in self.told.values()
                ),
            )


def how_to_get(name: str) -> str:
    """The command that gets an encoder, and the option that gives it."""
    return _HOW[name]


def given_encoders(options: Options, needed: Mapping[str, str], job: Job) -> Given:
    """The encoders that options name, as far as a table needs them, checked.

    Args:
        options: with 'clip', 'dino' and 'alexnet': folders, and torchvision's file.
        needed: some of these, each with the figures that it is for.
        job: warned of what is missing, and of encoders that published figures are not made with.

    Raises:
        WeightsError: one is not what it is given as.
    """
    places = {name: Path(str(options[name])) for name in needed if str(options[name])}
    found: dict[str, Any] = {}
    told = {}
    for name, place in places.items():
        job.report(f"checking {place}")
        try:
            found[name], told[name] = _checked(name, place)
        except ImgeditError as error:
            raise WeightsError(
                f"Option {name!r}: {error.message}", path=place, hint=_HOW[name] + "."
            ) from error
    encoders = EditEncoders(found.get("clip"), found.get("dino"), found.get("alexnet"))
    given = Given(encoders, told, needed)
    for name in given.missing:
        job.warn(f"{needed[name]} cannot be measured without -O {name}; the report says how.")
    for one in told.values():
        if not one.is_usual:
            job.warn(
                f"{one.place} is {one.kind}; published figures of this kind are made with "
                f"{_USUAL[one.name][0]}, so they cannot be compared."
            )
    return given


def _checked(name: str, place: Path) -> tuple[Encoder | Lpips, Told]:
    if name == "alexnet":
        lpips = Lpips(place, kit.ALEXNET_SHA256)
        return lpips, Told(name, str(place), "AlexNet", lpips.digest)
    encoder = Encoder(place)
    kind = _clip(encoder) if name == "clip" else _dino(encoder)
    if not (place / "preprocessor_config.json").is_file():
        raise ImgeditError(f"{place} has no preprocessor_config.json.")
    return encoder, Told(name, str(place), kind, encoder.digest)


def _clip(encoder: Encoder) -> str:
    config = _config(encoder, ("clip",))
    assert encoder.tokenizer  # its own error says what is wrong
    return f"CLIP {_vit(config.vision_config)}"


def _dino(encoder: Encoder) -> str:
    config = _config(encoder, _DINO_KINDS)
    name = {"vit": "DINO"}.get(config.model_type, config.model_type)
    return f"{name} {_vit(config)}"


def _config(encoder: Encoder, kinds: tuple[str, ...]) -> Any:
    """The whole configuration, with what config.json leaves at its defaults."""
    from transformers import AutoConfig

    found = str(encoder.config.get("model_type", ""))
    if found not in kinds:
        what = f"a {found!r}" if found else "no model of transformers"
        raise ImgeditError(f"{encoder.folder} holds {what}, not {' or '.join(kinds)}.")
    return AutoConfig.from_pretrained(encoder.folder, local_files_only=True)


_WIDTHS = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1408: "g", 1664: "G"}


def _vit(config: Any) -> str:
    """'ViT-B/32' and the like."""
    width = int(config.hidden_size)
    return f"ViT-{_WIDTHS.get(width, width)}/{config.patch_size}"
