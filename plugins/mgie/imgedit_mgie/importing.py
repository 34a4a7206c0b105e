"""`import_weights`: LLaVA, MGIE's released files, CLIP and a VAE become one model folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgedit_mgie import folders
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Config, Head, Language, write_config
from imgedit_mgie.llava import projector as build_projector
from imgedit_mgie.llava_files import (
    EMBEDDINGS,
    OUTPUT,
    Llava,
    clip_tensors,
    open_llava,
    stretched,
)
from imgedit_mgie.released import Mllm, open_mllm
from imgedit_mgie.requirements import NAME
from imgedit_modelkit.configurations import Part, lineage
from imgedit_modelkit.diffusion.files import Diffusion, open_diffusion, write_diffusion
from imgedit_modelkit.random_states import kept
from imgedit_modelkit.tensor_files import misfits, save_tensors
from imgedit_modelkit.tensor_folders import write_shards
from imgedit_modelkit.vision_towers import VisionTower
from imgedit_plugins import weights
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import WeightsReport, WeightsRequest

_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class _Language:
    """The language model as it will be written."""

    config: Any
    tokenizer: Any
    shapes: dict[str, tuple[int, ...]]
    embeddings: Tensor
    output: Tensor
    unexpected: list[str]


def import_weights(request: WeightsRequest, job: Job) -> WeightsReport:
    """Check every key of the user's files and write the model folder.

    All is checked before the first file is written. Missing keys are errors that name each of
    them; keys that nobody has a place for are told, and left out.

    Raises:
        WeightsError: a file cannot be read, is another model's, or lacks tensors.
    """
    files, out = request.files, request.out
    fresh = bool(request.options.get("fresh", False))
    _check_parts(files, fresh=fresh)
    job.report("reading LLaVA", 0, 4)
    llava = open_llava(files["llava"], files.get("base"))
    mllm = None if fresh else open_mllm(files["mllm"])
    language = _language(llava, mllm)
    job.report("reading CLIP", 1, 4)
    vision, tower, strange = _tower(llava, files)
    llava = replace(llava, language=_with_vision(llava.language, vision))
    _check_projector(llava)
    job.report("reading the diffusion model", 2, 4)
    diffusion = open_diffusion(_fetched(files, "diffusion", folders.PIX2PIX), files.get("unet"))
    head, tensors, missing = _head(mllm, language, diffusion, request.seed)
    config = Config(language=llava.language, head=head, lineage=tuple(_lineage(files, job)))
    job.report("writing", 3, 4)
    precision = _PRECISIONS[str(request.options.get("precision", "fp16"))]
    written = _write_language(llava, language, out, precision, job)
    out.mkdir(parents=True, exist_ok=True)
    written.append(save_tensors(out / folders.TOWER, tower, precision))
    written.append(save_tensors(out / folders.PROJECTOR, llava.projector, precision))
    written.append(save_tensors(out / folders.EDIT_HEAD, tensors, precision))
    written += write_diffusion(diffusion, out, precision)
    written.append(write_config(out, config))
    if mllm is not None:
        job.warn("MGIE's weights are under CC-BY-NC-4.0: they are not for commercial use.")
    return WeightsReport(
        files=tuple(written),
        missing_keys=tuple(missing),
        unexpected_keys=(
            *language.unexpected,
            *(mllm.unexpected if mllm else ()),
            *strange,
            *diffusion.unexpected,
        ),
    )


def _check_parts(files: Mapping[str, Path], *, fresh: bool) -> None:
    given = [name for name in ("mllm", "unet") if name in files]
    if fresh and "mllm" in given:
        raise WeightsError("With fresh=yes the edit head begins at random, so leave --mllm out.")
    if not fresh and len(given) < 2:
        lacking = "--mllm" if "mllm" not in given else "--unet"
        raise WeightsError(
            f"{NAME}/{NAME} needs {lacking}: MGIE's mllm.pt and unet.pt (2.3 GB, CC-BY-NC-4.0, not "
            "for commercial use) belong together.",
            hint="They are published at https://github.com/apple/ml-mgie. To train a model of your "
            "own, say -O fresh=yes instead.",
        )


def _fetched(files: Mapping[str, Path], part: str, identifier: str) -> Path:
    """A part that the user gave, or that was fetched before."""
    if part in files:
        return files[part]
    folder = weights.home() / NAME / identifier
    if folder.is_dir():
        return folder
    raise WeightsError(
        f"{NAME}/{NAME} needs --{part}, or {NAME}/{identifier} in {folder}.",
        path=folder,
        hint=f"`imgedit-plugins weights fetch {NAME}/{identifier}` gets it.",
    )


# --- the language model -----------------------------------------------------------------------


def _language(llava: Llava, mllm: Mllm | None) -> _Language:
    """The language model with the visual tokens, every name and shape of it checked."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(llava)
    if mllm is not None:
        embeddings, output = mllm.embeddings, mllm.output
    else:
        rows = max(llava.source.shape(llava.tensors[EMBEDDINGS])[0], len(tokenizer))
        embeddings = _begun(llava, EMBEDDINGS, rows, tokenizer)
        output = _begun(llava, OUTPUT, rows, tokenizer)
    if len(embeddings) < len(tokenizer):
        raise WeightsError(
            f"{llava.folder} and the visual tokens have {len(tokenizer)} tokens, and there are "
            f"embeddings for {len(embeddings)}.",
            path=llava.folder,
            hint="Take LLaVA-7B-v1, whose tokenizer has <im_patch>, <im_start> and <im_end>.",
        )
    config = LlamaConfig(**llava.fields, vocab_size=len(embeddings))
    with torch.device("meta"):
        empty = LlamaForCausalLM(config)
    wanted = {name: tuple(t.shape) for name, t in empty.state_dict().items()}
    found = {name: llava.source.shape(there) for name, there in llava.tensors.items()}
    found |= {EMBEDDINGS: tuple(embeddings.shape), OUTPUT: tuple(output.shape)}
    missing = [n for n in wanted if n not in found]
    wrong = [f"{n} is {found[n]}, not {s}" for n, s in wanted.items() if found.get(n, s) != s]
    if missing or wrong:
        raise WeightsError(
            f"{llava.folder} lacks weights of its language model: {', '.join(missing + wrong)}.",
            path=llava.folder,
        )
    unexpected = [name for name in found if name not in wanted]
    return _Language(config, tokenizer, wanted, embeddings, output, unexpected)


def _tokenizer(llava: Llava) -> Any:
    from transformers import AutoTokenizer

    load: Any = AutoTokenizer.from_pretrained
    try:
        tokenizer = load(llava.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{llava.folder} has no tokenizer that transformers can load: {error}",
            path=llava.folder,
        ) from error
    language = llava.language
    needed = [name for name in (language.patch, language.start, language.end) if name]
    if absent := [name for name in needed if name not in tokenizer.get_vocab()]:
        raise WeightsError(
            f"The tokenizer of {llava.folder} lacks {', '.join(absent)}.",
            path=llava.folder,
            hint="It is not LLaVA's; files beside the weights belong into the folder, too.",
        )
    tokenizer.add_tokens(list(language.visual), special_tokens=True)
    return tokenizer


def _begun(llava: Llava, name: str, rows: int, tokenizer: Any) -> Tensor:
    """A table in which the visual tokens begin as the mean of all others."""
    table = llava.tensor(name)
    visual = tokenizer.convert_tokens_to_ids(list(llava.language.visual))
    known = table[: min(len(table), *visual)]
    begun = stretched(rows, table).clone()
    begun[visual] = known.float().mean(0).to(table.dtype)
    return begun


def _write_language(
    llava: Llava, language: _Language, out: Path, precision: torch.dtype, job: Job
) -> list[Path]:
    given = {EMBEDDINGS: language.embeddings, OUTPUT: language.output}
    folder = out / folders.LANGUAGE_MODEL
    written = write_shards(
        folder,
        language.shapes,
        lambda name: given[name] if name in given else llava.tensor(name),
        precision,
        job,
    )
    language.config.dtype = precision
    language.config.architectures = ["LlamaForCausalLM"]
    language.config.save_pretrained(folder)
    names = language.tokenizer.save_pretrained(folder)
    others = [folder / "config.json", *(Path(name) for name in names)]
    return [*written, *(path for path in others if path.is_file())]


# --- the rest ---------------------------------------------------------------------------------


def _with_vision(language: Language, vision: dict[str, Any]) -> Language:
    from msgspec.structs import replace as changed

    return changed(language, vision=vision)


def _tower(
    llava: Llava, files: Mapping[str, Path]
) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """CLIP's configuration and tensors: LLaVA's own, or else those of its publisher."""
    fields, tensors, folder = dict(llava.language.vision), dict(llava.tower), llava.folder
    if not tensors or "clip" in files:
        folder = _fetched(files, "clip", folders.CLIP)
        fields, tensors = clip_tensors(folder)
    with torch.device("meta"):
        empty = VisionTower(_with_vision(llava.language, fields).tower())
    ours = {name.replace("vision_model.", ""): name for name in empty.state_dict()}
    named = {ours.get(f"vision.{n}", f"vision.{n}"): t for n, t in tensors.items()}
    missing, unexpected = misfits(empty, named)
    if missing:
        told = f"; unexpected: {', '.join(unexpected)}" if unexpected else ""
        raise WeightsError(
            f"{folder} lacks tensors of CLIP: {', '.join(missing)}{told}.", path=folder
        )
    wanted = set(empty.state_dict())
    return fields, {n: t for n, t in named.items() if n in wanted}, unexpected


def _check_projector(llava: Llava) -> None:
    with torch.device("meta"):
        narrow = VisionTower(llava.language.tower()).width
        empty = build_projector(llava.language, narrow, int(llava.fields["hidden_size"]))
    missing, unexpected = misfits(empty, llava.projector)
    if missing or unexpected:
        raise WeightsError(
            f"The projector of {llava.folder} does not lead from CLIP ({narrow}) to the language "
            f"model ({llava.fields['hidden_size']}): missing {', '.join(missing) or 'nothing'}, "
            f"unexpected {', '.join(unexpected) or 'nothing'}.",
            path=llava.folder,
        )


def _head(
    mllm: Mllm | None, language: _Language, diffusion: Diffusion, seed: int
) -> tuple[Head, dict[str, Tensor], list[str]]:
    """The edit head, its tensors, and what of it is missing and begins at random."""
    width = int(language.config.hidden_size)
    if mllm is None:
        sizes = Head(width=width, features=diffusion.attended)
        with kept(seed):
            tensors = EditHead(sizes).state_dict()
        return sizes, tensors, [f"edit_head.{n} (begins at random)" for n in tensors]
    if (mllm.sizes.width, mllm.sizes.features) != (width, diffusion.attended):
        raise WeightsError(
            f"The edit head leads from {mllm.sizes.width} to {mllm.sizes.features}, and it must "
            f"lead from {width} (the language model) to {diffusion.attended} (the UNet)."
        )
    visual = {} if mllm.visual is None else {"emb": mllm.visual}
    return mllm.sizes, {**mllm.head, **visual}, []


def _lineage(files: Mapping[str, Path], job: Job) -> Iterable[Part]:
    """Where each part came from, also those that `weights fetch` put in place."""
    home = weights.home() / NAME
    fetched = {"clip": home / folders.CLIP, "diffusion": home / folders.PIX2PIX}
    return lineage(Path(__file__).parent, NAME, {**fetched, **files}, job)
