"""A vision-language model's folder of transformers, taken over with each key checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.model_folders import check_folder, link, no_progress_bars
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.jobs import Job

_KEPT = (".json", ".txt", ".model", ".jinja", ".safetensors")
"""Files of weights, configuration, tokenizer and processor; none of them is a program."""


@dataclass(frozen=True)
class Taken:
    """A folder that was taken over.

    Attributes:
        files: that were written.
        width: of the language model's hidden states.
        unexpected: keys that the model has no place for.
    """

    files: tuple[Path, ...]
    width: int
    unexpected: tuple[str, ...]


def take_seeing_model(source: Path, target: Path, job: Job) -> Taken:
    """Take over a vision-language model: linked where both folders lie on one disk, or copied.

    Names and shapes of its weights are checked without reading them; old names are understood as
    far as transformers knows them.

    Args:
        source: as transformers saves it, with safetensors.
        target: the folder to write.
        job: progress and cancellation.

    Raises:
        WeightsError: it is no such folder, or weights are missing or have other shapes; all are
            named.
    """
    check_folder(source)
    if not any(source.glob("*.safetensors")):
        raise WeightsError(
            f"{source} holds no model*.safetensors.",
            path=source,
            hint="Pickles (.bin) are not read: convert them with transformers where you trust "
            "them.",
        )
    width, unexpected = _checked(source)
    target.mkdir(parents=True, exist_ok=True)
    paths = sorted(p for p in source.iterdir() if p.suffix in _KEPT and p.is_file())
    shown = [path for path in paths if path.name[0] != "."]
    written = []
    for number, path in enumerate(shown):
        job.report(f"taking {path.name}", number, len(shown))
        written.append(link(path, target / path.name))
    return Taken(tuple(written), width, tuple(unexpected))


def _checked(folder: Path) -> tuple[int, list[str]]:
    """Width of the hidden states, and the keys that there is no place for."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    load: Any = AutoModelForImageTextToText.from_pretrained
    load_processor: Any = AutoProcessor.from_pretrained
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        load_processor(folder, backend="pil", **safe)
        with no_progress_bars(), _quiet():
            model, found = load(
                folder,
                device_map="meta",
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told below, all of them
                **safe,
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        told = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"transformers knows no vision-language model as in {folder}: {told}", path=folder
        ) from error
    missing = sorted(found["missing_keys"])
    missing += [
        f"{name} (there it is {tuple(there)}, not {tuple(wanted)})"
        for name, there, wanted in sorted(found["mismatched_keys"])
    ]
    if missing:
        unexpected = sorted(found["unexpected_keys"])
        told = f"; unexpected: {', '.join(unexpected)}" if unexpected else ""
        raise WeightsError(
            f"{folder} lacks weights of its model: {', '.join(missing)}{told}.", path=folder
        )
    width = int(model.config.get_text_config().hidden_size)
    return width, sorted(found["unexpected_keys"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Transformers writes a table of the same keys."""
    from transformers.utils import logging as told

    logging: Any = told
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
