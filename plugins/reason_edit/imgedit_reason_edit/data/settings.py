"""What decides about the rows of `data reason_edit make` and `benchmark`, and how they are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit.scale import Cluster
from imgedit_modelkit.shards.work import Kind
from imgedit_plugins.errors import OptionError
from imgedit_plugins.requests import DataRequest
from imgedit_reason_edit.data.detection import Limits
from imgedit_reason_edit.data.instructions import Effort
from imgedit_reason_edit.data.layout import BENCHMARK, BENCHMARK_SIZE, MADE, SIZES
from imgedit_reason_edit.data.options import Options
from imgedit_reason_edit.data.tools import Tools


@dataclass(frozen=True)
class Settings:
    """What decides about the result; two requests are the same when these are.

    Attributes:
        part: 'I', 'II' or 'III'.
        source: folder of InstructPix2Pix's pairs or of V3Det, absolute.
        split: of V3Det; empty for pairs.
        count: rows that are wanted.
        pool: how many pictures are drawn; 0 for all.
        tau: threshold of eq. 1, a number or a share.
        models: name -> identity, empty for those that have no work.
        prompts: name -> identity.
        candidates, attempts, temperature, max_new_tokens: see `Effort`.
        edited_captions: 'replaced' or 'captioner'.
        steps, guidance: of the painter.
        size: pictures have at most as many pixels as a square of this side.
        box_threshold, smallest, largest: see `Limits`.
        format, quality: of pictures that are written anew.
        layout: 'folders' or 'tar'.
        shard_rows: pictures in one shard.
        seed: of everything random.
    """

    part: str
    source: str
    split: str
    count: int
    pool: int
    tau: str
    models: dict[str, str]
    prompts: dict[str, str]
    candidates: int
    attempts: int
    temperature: float
    max_new_tokens: int
    edited_captions: str
    steps: int
    guidance: float
    size: int
    box_threshold: float
    smallest: float
    largest: float
    format: str
    quality: int
    layout: str
    shard_rows: int
    seed: int

    @property
    def effort(self) -> Effort:
        """How much the language model is asked."""
        return Effort(self.candidates, self.attempts, self.temperature, self.max_new_tokens)


@dataclass(frozen=True)
class Manner:
    """How the work is done, which may change when it goes on.

    Attributes:
        batch_size: pictures that the models see at the same time.
        cluster: where.
        dry_run: only tell what it would take.
    """

    batch_size: int
    cluster: Cluster
    dry_run: bool


def kind_of(request: DataRequest) -> Kind:
    """What the recipe writes."""
    return BENCHMARK if request.recipe == "benchmark" else MADE


def settings_of(request: DataRequest, tools: Tools) -> Settings:
    """The settings of a request, with the hashes of its models.

    Raises:
        OptionError: an option is missing or out of range.
        WeightsError, PluginError: a model is missing.
    """
    options = Options(request)
    part = options.part()
    paints = part != "I"
    benchmark = request.recipe == "benchmark"
    source = options.needed("v3det" if part == "III" else "pairs", "the folder of the pictures")
    effort = options.effort()
    limits = tools.detector.limits if tools.detector else Limits(0, 0, 0)
    captions = options.choice("edited-captions", ("replaced", "captioner"))
    if paints and captions == "captioner" and not tools.captioner:
        raise options.lacking("captioner", "the folder of BLIP-2, for captions after the edit")
    return Settings(
        part=part,
        source=str(Path(source).resolve()),
        split=options.split() if part == "III" else "",
        count=options.whole("count", 0) or (BENCHMARK_SIZE if benchmark else SIZES[part]),
        pool=options.whole("pool", 0),
        tau=options.tau(),
        models=tools.identities,
        prompts={name: prompt.identity for name, prompt in tools.prompts.items()},
        candidates=0 if paints else effort.candidates,
        attempts=effort.attempts,
        temperature=effort.temperature,
        max_new_tokens=effort.max_new_tokens,
        edited_captions=captions if paints else "",
        steps=tools.painter.steps if tools.painter else 0,
        guidance=tools.painter.guidance if tools.painter else 0.0,
        size=options.whole("size", 512, 64) if paints else 0,
        box_threshold=limits.threshold,
        smallest=limits.smallest,
        largest=limits.largest,
        format=options.choice("format", ("jpg", "png")) if paints else "",
        quality=options.whole("quality", 95, 1) if paints else 0,
        layout=options.choice("layout", ("folders", "tar")),
        shard_rows=options.whole("shard-rows", 50, 1),
        seed=request.seed,
    )


def manner_of(request: DataRequest) -> Manner:
    """How the work is done.

    Raises:
        OptionError: an option is out of range, or needs another one.
    """
    options = Options(request)
    address, workers = options.text("address"), options.whole("workers", 1, 1)
    gpus = options.number("gpus", 0.0)
    if not address and (workers > 1 or gpus):
        raise OptionError(
            "The options 'workers' and 'gpus' are for a Ray cluster; give its 'address'."
        )
    return Manner(
        batch_size=options.whole("batch-size", 4, 1),
        cluster=Cluster(address, workers, gpus),
        dry_run=bool(request.options.get("dry-run", False)),
    )
