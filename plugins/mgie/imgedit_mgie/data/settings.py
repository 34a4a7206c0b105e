"""What `data mgie prepare` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_mgie.data.describing import Models
from imgedit_mgie.expressive import LONG_QUESTION
from imgedit_modelkit.language.endpoint import Endpoint
from imgedit_modelkit.picture_answers import LocalModel
from imgedit_modelkit.readers.instruct_pix2pix import list_pairs
from imgedit_modelkit.scale import Cluster
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import DataRequest

PICTURES = ("copy", "link")


@dataclass(frozen=True)
class Settings:
    """What decides about the result; two requests are the same when these are.

    Attributes:
        pairs: folder of InstructPix2Pix's pairs, absolute.
        question: what the model is asked; `{instruction}` stands for the instruction.
        describer: the vision-language model, with a hash of its weights.
        summariser: the summarising model, with a hash of its weights.
        max_new_tokens: where the model's answer is broken off.
        shard_rows: pairs in one shard.
        limit: how many pairs of the list are used; 0 for all.
    """

    pairs: str
    question: str
    describer: str
    summariser: str
    max_new_tokens: int
    shard_rows: int
    limit: int


@dataclass(frozen=True)
class Manner:
    """How the work is done, which may change when it goes on.

    Attributes:
        batch_size: pairs that the models see at the same time.
        link: make hard links to the pictures instead of copies, where the disk can.
        cluster: where.
        dry_run: only tell what it would take.
    """

    batch_size: int
    link: bool
    cluster: Cluster
    dry_run: bool


def models_of(request: DataRequest) -> Models:
    """The two models of a request; nothing is loaded.

    Raises:
        OptionError: one is not given, or the first both as a folder and as an address.
    """
    text = {
        name: str(request.options.get(name, ""))
        for name in ("model", "endpoint", "endpoint-model", "summariser")
    }
    if bool(text["model"]) == bool(text["endpoint"]):
        raise OptionError(
            "prepare needs either the option 'model', the folder of a vision-language model, or "
            "'endpoint', the address of a server that runs one."
        )
    if text["endpoint"] and not text["endpoint-model"]:
        raise OptionError("The option 'endpoint' needs 'endpoint-model', the model's name there.")
    if not text["summariser"]:
        raise OptionError(
            "prepare needs the option 'summariser': the folder of a model such as Flan-T5."
        )
    device = str(request.options.get("device", "auto"))
    precision = str(request.options.get("precision", "auto"))
    summariser = LocalModel(Path(text["summariser"]).resolve(), device, precision)
    describer: LocalModel | Endpoint = (
        Endpoint(text["endpoint"], text["endpoint-model"])
        if text["endpoint"]
        else LocalModel(Path(text["model"]).resolve(), device, precision)
    )
    return Models(describer, summariser, _whole(request, "max-new-tokens", 1024, 1))


def settings_of(request: DataRequest, models: Models) -> Settings:
    """The settings of a request, with the hashes of its models.

    Raises:
        OptionError: an option is missing or out of range.
        WeightsError: there is no model in a folder.
    """
    pairs = request.options.get("pairs")
    if not isinstance(pairs, str) or not pairs:
        raise OptionError("prepare needs the option 'pairs': a folder of InstructPix2Pix's pairs.")
    asked = str(request.options.get("question", LONG_QUESTION))
    if "{instruction}" not in asked:
        raise OptionError(f"The question {asked!r} must have {{instruction}} in it.")
    return Settings(
        pairs=str(Path(pairs).resolve()),
        question=asked,
        describer=models.describer.identity,
        summariser=models.summariser.identity,
        max_new_tokens=models.max_new_tokens,
        shard_rows=_whole(request, "shard-rows", 100, 1),
        limit=_whole(request, "limit", 0, 0),
    )


def manner_of(request: DataRequest) -> Manner:
    """How the work is done.

    Raises:
        OptionError: an option is out of range, or needs another one.
    """
    options = request.options
    address, workers = str(options.get("address", "")), _whole(request, "workers", 1, 1)
    gpus = float(options.get("gpus", 0.0))
    if not address and (workers > 1 or gpus):
        raise OptionError(
            "The options 'workers' and 'gpus' are for a Ray cluster; give its 'address'.",
        )
    pictures = options.get("pictures", "copy")
    if pictures not in PICTURES:
        raise OptionError(f"Option 'pictures' must be copy or link, not {pictures!r}.")
    return Manner(
        batch_size=_whole(request, "batch-size", 4, 1),
        link=pictures == "link",
        cluster=Cluster(address, workers, gpus),
        dry_run=bool(options.get("dry-run", False)),
    )


def _whole(request: DataRequest, name: str, default: int, minimum: int) -> int:
    value = request.options.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool) and value >= minimum:
        return value
    raise OptionError(
        f"Option {name!r} must be a whole number of at least {minimum}, not {value!r}."
    )


def pairs_of(settings: Settings, job: Job) -> tuple[str, ...]:
    """The ids of the pairs that a request means; raises as `list_pairs`."""
    return list_pairs(Path(settings.pairs), job)[: settings.limit or None]
