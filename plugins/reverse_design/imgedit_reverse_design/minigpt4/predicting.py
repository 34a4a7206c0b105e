"""`predict_operations` with `model=minigpt4`: the model's answer, alone or checked by search."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgedit_exporters.runtime.using import bundle_of
from imgedit_plugins import weights
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE, default_vocabulary, load_profile
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import Options, PredictRequest
from imgedit_reverse_design.judge import judge_rendered
from imgedit_reverse_design.minigpt4 import bundled
from imgedit_reverse_design.minigpt4 import config as folders
from imgedit_reverse_design.minigpt4.bundled import Answer, BundledMiniGPT4
from imgedit_reverse_design.minigpt4.config import MAX_NEW_TOKENS
from imgedit_reverse_design.minigpt4.experiments import experiment
from imgedit_reverse_design.minigpt4.parsing import Said, parse_answer, steps
from imgedit_reverse_design.minigpt4.prompts import draw
from imgedit_reverse_design.minigpt4.requirements import memory_told, require_torch
from imgedit_reverse_design.minigpt4.spans import token_spans, touching
from imgedit_reverse_design.moves import SEARCHED, Move, Sequence_
from imgedit_reverse_design.predict import (
    abstained,
    explain,
    pair_of,
    provenance_of,
    residual_of,
    verified,
    why_not,
)
from imgedit_reverse_design.scene import Pair

if TYPE_CHECKING:
    from imgedit_modelkit.constraints import Constraint
    from imgedit_modelkit.vision_language import Generated
    from imgedit_reverse_design.minigpt4.model import MiniGPT4

NAME = "reverse_design/minigpt4"


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer, and the hash of what it learnt."""

    model: MiniGPT4
    sha256: str


def predict_by_model(request: PredictRequest, job: Job) -> EditPlan:
    """The plan that the model names.

    With the option 'verify' it is a proposal to the verified search, which confirms, mends or
    replaces it. Without, it stays as it is; it is rendered and compared all the same, and withheld
    where it explains less than 'min-explained'.

    Raises:
        WeightsError: there are no weights.
    """
    assert request.edited is not None
    options = request.options
    pair = pair_of(request.source, request.edited, job)
    if folder := bundle_of(options, NAME):
        said, confidences, text, sha256 = _asked_of_bundle(folder, pair, request, job)
    else:
        folder = model_folder(str(options.get("weights", "")))
        require_torch()
        with memory_told():
            job.report("loading the model")
            loaded = _loaded(folder, options)
            job.report("asking the model")
            said, confidences, text = ask(loaded.model, pair, request, job)
            sha256 = loaded.sha256
    definitions = str(options.get("definitions", DEFAULT_PROFILE))
    operations = steps(said, load_profile(definitions), confidences)
    if options.get("verify", True):
        if not operations:
            job.warn(f"The model named no operation ({_short(text)}); searched without it.")
        by = provenance_of("minigpt4+search", sha256)
        return verified(pair, options, job, _moves(operations), by)
    return _alone(request, pair, operations, sha256, text)


def ask(
    model: MiniGPT4, pair: Pair, request: PredictRequest, job: Job
) -> tuple[tuple[Said, ...], list[float], str]:
    """What the model says of a pair: pairs of name and value, their confidences, and the text.

    A confidence is the geometric mean of the probabilities of the tokens that write the pair.
    """
    rng = random.Random(f"prompt/{request.seed}")  # noqa: S311 (not for secrets)
    breaks = experiment(model.config.experiment).breaks
    prompt = draw(rng, request.instruction or None, model.config.wrap, breaks=breaks)
    constraint, longest = _form(model, request.options)
    pixels = model.pixels([(pair.source, pair.edited)]).to(model.projection.weight.device)
    (written,) = model.answer(
        pixels, [prompt], constraint=constraint, longest=longest, on_token=job.check
    )
    strings = model.language.strings
    text = "".join(strings[token] for token in written.tokens)
    said = parse_answer(text)
    return said, _confidences(said, written, strings), text


def _asked_of_bundle(
    folder: Path, pair: Pair, request: PredictRequest, job: Job
) -> tuple[tuple[Said, ...], list[float], str, str]:
    """As `ask`, of a bundle and without torch; also the hash of its projection."""
    job.report("loading the model")
    model = bundled.loaded(folder, request.options, job)
    job.report("asking the model")
    rng = random.Random(f"prompt/{request.seed}")  # noqa: S311 (not for secrets)
    settings = model.settings
    prompt = draw(rng, request.instruction or None, settings["wrap"], breaks=settings["breaks"])
    constraint, longest = _form(model, request.options)
    written = model.answer(
        (pair.source, pair.edited),
        prompt,
        longest=longest,
        choose=bundled.constrained(constraint) if constraint else bundled.likeliest,
        on_token=lambda _: job.check(),
    )
    text = "".join(model.strings[token] for token in written.tokens)
    said = parse_answer(text)
    file = model.bundle.document.part("projection").file
    digest = model.bundle.document.files[file].sha256
    return said, _confidences(said, written, model.strings), text, digest


def _form(model: MiniGPT4 | BundledMiniGPT4, options: Options) -> tuple[Constraint | None, int]:
    """What an answer may look like, and its longest length in tokens."""
    if not options.get("constrained", False):
        return None, MAX_NEW_TOKENS
    grammar = model.grammar(int(options.get("max-operations", 5)))
    return model.constraint(grammar), grammar.length


def _confidences(
    said: Sequence[Said], written: Generated | Answer, strings: Sequence[str]
) -> list[float]:
    spans = token_spans(written.tokens, strings)
    found = []
    for one in said:
        chances = np.array([written.probabilities[i] for i in touching(spans, one.place)])
        found.append(float(np.exp(np.log(np.maximum(chances, 1e-9)).mean())))
    return found


# --- the plan ---------------------------------------------------------------------------------


def _moves(operations: Sequence[PlannedOperation]) -> Sequence_:
    """What the search can start from: no flips and turns, nothing without effect."""
    moves = []
    for operation in operations:
        if operation.name in SEARCHED:
            parameters = default_vocabulary()[operation.name].parameters
            value = operation.parameters[parameters[0].name] if parameters else None
            if value is None or value != parameters[0].neutral:
                moves.append(Move(operation.name, value))
    return tuple(moves)


def _alone(
    request: PredictRequest,
    pair: Pair,
    operations: tuple[PlannedOperation, ...],
    sha256: str,
    text: str,
) -> EditPlan:
    definitions = str(request.options.get("definitions", DEFAULT_PROFILE))
    by = provenance_of("minigpt4", sha256)
    if not operations:
        return abstained(definitions, f"The model named no operation ({_short(text)}).", by)
    plan = EditPlan(definitions=definitions, operations=operations)
    rendered = _fitted(render_plan(Picture(pair.source), plan).rgb8(), pair.edited)
    if rendered is None:
        reason = "The model's plan turns the picture to another shape than the edited one has."
        return abstained(definitions, reason, by)
    verdict = judge_rendered(pair, rendered)
    enough = float(request.options.get("min-explained", 0.9))
    if enough and (reason := why_not(verdict, enough, "the model's")):
        return abstained(definitions, reason, by, verdict)
    return plan.model_copy(
        update={
            "residual": residual_of(verdict),
            "explanation": explain(operations, pair, verdict),
            "provenance": by,
        }
    )


def _fitted(rendered: RGB8, edited: RGB8) -> RGB8 | None:
    """The rendered picture at the edited one's size; None where their shapes contradict."""
    from imgedit_reverse_design.outcomes import at_size_of

    return rendered if rendered.shape == edited.shape else at_size_of(rendered, edited)


def _short(text: str) -> str:
    told = " ".join(text.split())
    return repr(told if len(told) <= 60 else f"{told[:57]}...")


# --- the model --------------------------------------------------------------------------------


def model_folder(given: str) -> Path:
    """The folder that the option 'weights' names, or where `weights import` puts it.

    Raises:
        WeightsError: there is none; says how to get it.
    """
    folder = Path(given) if given else weights.home() / NAME
    if (folder / folders.FILE).is_file():
        return folder
    if (folder / folders.MODEL / folders.FILE).is_file():
        return folder / folders.MODEL  # a run folder
    raise WeightsError(
        f"There is no MiniGPT-4 model in {folder}: EVA ViT-g/14 (2 GB, MIT), MiniGPT-4's "
        "projection (0.1 GB, BSD-3-Clause) and LLaMA-2 (13 GB, LLaMA 2 Community License) are "
        "needed.",
        path=folder,
        hint=f"`imgedit-plugins weights import {NAME} --help` says where they are published.",
    )


def _loaded(folder: Path, options: Options) -> Loaded:
    learnt = _learnt(folder)
    return _load(
        folder.resolve(),
        max(path.stat().st_mtime_ns for path in learnt),
        str(options.get("device", "auto")),
        str(options.get("precision", "auto")),
        str(options.get("bits", "full")),
    )


def _learnt(folder: Path) -> list[Path]:
    """The files of what training has learnt."""
    adapted = folders.read_config(folder).lora is not None
    return [folder / folders.PROJECTION, *([folder / folders.LORA] if adapted else [])]


@functools.lru_cache(maxsize=1)
def _load(folder: Path, changed: int, device: str, precision: str, bits: str) -> Loaded:  # noqa: ARG001
    from imgedit_modelkit.devices import (
        choose_bits,
        choose_device,
        choose_precision,
        stored_bytes,
    )
    from imgedit_reverse_design.minigpt4.model import Frozen, load_model

    place = choose_device(device)
    stored = stored_bytes(folders.frozen_parts(folder))
    frozen = Frozen(choose_precision(precision, place, stored), choose_bits(bits), place)
    model = load_model(folder, frozen)
    digests = [weights.sha256_of(path, Job()) for path in _learnt(folder)]
    digest = digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()
    return Loaded(model.to(place), digest)
