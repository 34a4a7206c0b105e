"""A language model's folder of transformers: taken over with each key checked, and loaded."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgedit_modelkit.tensor_files import open_checkpoint, save_tensors
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import DataError, WeightsError
from imgedit_plugins.jobs import Job

if TYPE_CHECKING:
    import torch

_KEPT = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""Files beside the weights; none of them is a program."""

_INDEX = "model.safetensors.index.json"


def take_language_model(source: Path, target: Path, job: Job) -> tuple[list[Path], list[str]]:
    """Copy a language model's folder, its pickles turned into safetensors.

    Safetensors are linked where both folders lie on one disk, and copied elsewhere.

    Args:
        source: as transformers saves it.
        target: the folder to write.
        job: progress and cancellation.

    Returns:
        The written files, and the keys that the model has no place for.

    Raises:
        WeightsError: it is no such folder, or weights are missing.
    """
    shards = sorted(source.glob("*.safetensors"))
    pickles = [] if shards else sorted(source.glob("pytorch_model*.bin"))
    if not shards and not pickles:
        raise WeightsError(f"{source} holds no model*.safetensors.", path=source)
    if shards:
        _check_keys(source, shards)
    target.mkdir(parents=True, exist_ok=True)
    weights = []
    for number, path in enumerate(shards or pickles):
        job.report(f"taking {path.name}", number, len(shards or pickles))
        if shards:
            weights.append(link(path, target / path.name))
        else:
            weights.append(_convert(path, target / _renamed(path)))
    unexpected = _check_keys(source, weights)
    others = [link(source / name, target / name) for name in _KEPT if (source / name).is_file()]
    return [*weights, *others, _write_index(target, weights)], unexpected


def check_folder(source: Path) -> None:
    """Refuse a folder that is not of transformers.

    Raises:
        WeightsError: says of what form it is, or what it lacks.
    """
    if any(source.glob("consolidated.*.pth")):
        raise WeightsError(
            f"{source} is in Meta's own form.",
            path=source,
            hint="Get the folder ending in -hf, or convert it with transformers' script for LLaMA.",
        )
    if not (source / "config.json").is_file():
        raise WeightsError(f"{source} is no model of transformers: no config.json.", path=source)


def link(source: Path, target: Path) -> Path:
    """The same file under another name, or a copy; whole or not at all."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            os.link(source.resolve(), temporary)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _renamed(path: Path) -> str:
    return path.name.replace("pytorch_model", "model").removesuffix(".bin") + ".safetensors"


def _convert(path: Path, target: Path) -> Path:
    return save_tensors(target, open_checkpoint(path))


def _write_index(target: Path, weights: list[Path]) -> Path:
    """Which file holds which tensor, as transformers wants it where there are several."""
    where = {name: path.name for path in weights for name, _ in _headers(path)}
    size = sum(path.stat().st_size for path in weights)
    document = {"metadata": {"total_size": size}, "weight_map": where}
    write_text_atomic(target / _INDEX, json.dumps(document, indent=1) + "\n")
    return target / _INDEX


def _headers(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118 - not a mapping
            yield name, tuple(opened.get_slice(name).get_shape())


def empty_language_model(folder: Path) -> Any:
    """The model of a folder's configuration, without memory for its weights.

    Raises:
        WeightsError: transformers does not know that model; code that came with it is not run.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    check_folder(folder)
    build: Any = AutoModelForCausalLM.from_config
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            return build(config, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        told = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"transformers knows no causal language model as in {folder}: {told}", path=folder
        ) from error


def _check_keys(folder: Path, weights: list[Path]) -> list[str]:
    """The keys that a folder's model has no place for; raises where it lacks any."""
    model = empty_language_model(folder)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = dict(header for path in weights for header in _headers(path))
    tied = (
        set(getattr(model, "_tied_weights_keys", None) or ()) if _is_tied(model.config) else set()
    )
    wrong = [n for n, shape in wanted.items() if n in found and found[n] != shape]
    missing = [n for n in wanted if (n not in found or n in wrong) and n not in tied]
    if missing:
        told = [
            f"{n} (there it is {found[n]}, not {wanted[n]})" if n in wrong else n for n in missing
        ]
        raise WeightsError(f"{folder} lacks weights of its model: {', '.join(told)}.", path=folder)
    return [name for name in found if name not in wanted]


def _is_tied(config: Any) -> bool:
    return bool(getattr(config, "tie_word_embeddings", False))


# --- loading ----------------------------------------------------------------------------------


def load_language_model(folder: Path, dtype: torch.dtype, **settings: Any) -> tuple[Any, Any]:
    """The language model of a folder, and its tokenizer; no code of theirs is run.

    Args:
        folder: as transformers saves it.
        dtype: of the weights.
        settings: more of `from_pretrained`, such as `quantization_config`.

    Raises:
        DataError: transformers cannot load it, or its weights are not those of the model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    load: Any = AutoModelForCausalLM.from_pretrained
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        with no_progress_bars():
            model, found = load(
                folder,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                **safe,
                **settings,
            )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} holds no language model that transformers can load: {error}", path=folder
        ) from error
    if missing := sorted(found["missing_keys"]):
        raise DataError(f"{folder} lacks weights of its model: {', '.join(missing)}.", path=folder)
    return model, tokenizer


@contextlib.contextmanager
def no_progress_bars(*libraries: str) -> Iterator[None]:
    """No bars of transformers, or of other libraries that log as it does, during the block.

    They do not know whether anybody looks; jobs report for them.
    """
    names = libraries or ("transformers",)
    logs: list[Any] = [importlib.import_module(f"{name}.utils.logging") for name in names]
    shown = [log for log in logs if log.is_progress_bar_enabled()]
    for log in shown:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in shown:
            log.enable_progress_bar()
