"""Acceptance of part 5, point by point: PASS, FAIL or NOT RUN, each with its figure and command.

    python3 tests/acceptance/05_mgie.py [--here] [--only POINT...] [--diffusion-results FILE]
        [--training-results FILE] [--learn-results FILE] [--full-size-results FILE]

Clones the last commit into a fresh folder, installs it there as scripts/test.py does, and runs
everything in what was installed, with the real classes at tiny size and drawn weights. `--here`
takes this working tree and its .venv instead. Long measurements are read from results of the same
sources, and are NOT RUN without them:

    OMP_NUM_THREADS=1 python -m benchmarks.diffusion --json build/diffusion.json
    OMP_NUM_THREADS=1 python -m benchmarks.mgie_training --json build/mgie_training.json
    python -m benchmarks.mgie_learning --json build/mgie_learning.json
    python -m benchmarks.mgie_full_size --json build/mgie_full_size.json

Point 11 runs MGIE in the real editors (scripts/editors.py builds them). Exits with 0 only if
nothing failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import acceptance
import mgie_evaluations
import training_runs
from acceptance import FAIL, NOT_RUN, Session, run_script

DIFFUSION = ["editing_loss", "editor", "editor_folders", "painting", "previews"]
REGIONS = ["boxes", "editing", "profiles"]
MGIE = ["editing", "front_ends", "importing", "llava", "training"]
DATA = ["expressive", "prepare"]
GPU = "no GPU on this machine"
SMALL = {"steps": 3, "resolution": 64, "max-tokens": 16, "precision": "fp32"}
RUN = {"steps": 60, "validate-every": 20, "samples": 1, "batch-size": 2, "size": 16,
       "max-length": 200, "learning-rate": 0.003, "validation": 0.2}  # fmt: skip


class Options(acceptance.Options):
    """The command line."""

    diffusion_results: Path | None
    training_results: Path | None
    learn_results: Path | None
    full_size_results: Path | None


OPTIONS = Options()


def point_0(s: Session) -> None:
    """Installation, and the tests whose counts other points print."""
    s.begin(0, "Installation and tests")
    mgie = "tests/plugins/mgie"
    files = [
        *(f"tests/modelkit/diffusion/test_{name}.py" for name in DIFFUSION),
        *(f"tests/modelkit/regions/test_region_{name}.py" for name in REGIONS),
        *(f"{mgie}/test_mgie_{name}.py" for name in MGIE),
        *(f"{mgie}/data/test_{name}.py" for name in DATA),
        *(f"tests/{name}.py" for name in OTHERS),
    ]
    s.run_tests(files, here=OPTIONS.here, shown="tests/modelkit tests/plugins/mgie ...")


OTHERS = (
    "modelkit/test_scale", "modelkit/test_human_evaluation", "modelkit/test_instructed_pairs",
    "modelkit/test_gier", "modelkit/test_metrics", "modelkit/test_processes",
    "modelkit/language/test_endpoint", "core/test_weights_fetching",
    "benchmarks/test_diffusion_benchmark", "core/test_exact_first",
    "bridges/test_worker_previews", "modelkit/test_sharding",
    "plugins/mgie/test_mgie_processes", "benchmarks/test_mgie_training_benchmark",
    "benchmarks/test_mgie_learning", "benchmarks/test_mgie_full_size",
    "plugins/mgie/evaluation/test_mgie_evaluation",
    "plugins/mgie/evaluation/test_mgie_evaluation_figures",
    "plugins/mgie/evaluation/test_mgie_evaluation_front_ends",
)  # fmt: skip


# --- what several points use ------------------------------------------------------------------


def _files(s: Session) -> Path:
    """The user's files and the imported model, made once."""
    folder = s.work / "user"
    if not folder.exists():
        folder.mkdir()
        s.environ |= {"OMP_NUM_THREADS": "1", "IMGEDIT_WEIGHTS": str(s.work / "weights")}
        s.probe("make", folder)
        done = _import(s, folder / "model", "-O", "precision=fp32")
        if done.code:
            s.say(FAIL, "import", done.last, done.command)
    return folder


def _import(s: Session, out: Path, *more: str | Path, **files: str) -> acceptance.Ran:
    user = s.work / "user"
    names = {"llava": "LLaVA-7B-v1", "mllm": "mllm.pt", "unet": "unet.pt", "clip": "clip",
             "diffusion": "pix2pix", **files}  # fmt: skip
    parts = [word for part, name in names.items() if name for word in (f"--{part}", user / name)]
    return s.cli("weights", "import", "mgie", *parts, "-o", out, *more)


def _apply(
    s: Session, name: str, *more: str | Path, picture: str = "photo.png",
    instruction: str = "make it red", **options: object,
) -> acceptance.Ran:  # fmt: skip
    """Edit a picture of the user's into `$WORK/NAME`; '_' in options' names stands for '-'."""
    user = s.work / "user"
    given: dict[str, object] = {**SMALL, "weights": user / "model"}
    given |= {option.replace("_", "-"): value for option, value in options.items()}
    words = [word for key, value in given.items() for word in ("-O", f"{key}={value}")]
    asked = ("--plugin", "mgie", "--instruction", instruction, "-o", s.work / name)
    return s.cli("apply", user / picture, *asked, *words, *more)


def _edited(s: Session, what: str, name: str, *more: str | Path, **options: Any) -> bool:
    """PASS where an edit of the photo is another picture of the same form."""
    done = _apply(s, name, *more, **options)
    found = _compared(s, name) if done.code == 0 else {}
    good = found.get("same_form") and found["changed"] > 0.2
    figure = f"{found['changed']:.0%} of the pixels changed" if found else done.last
    return s.check(good, what, f"{figure}; {done.seconds:.0f} s", done.command)


def _compared(s: Session, name: str, other: str = "user/photo.png", mask: str = "") -> Any:
    given = (str(s.work / mask),) if mask else ()
    return s.probe("compared", s.work / other, s.work / name, *given)


def _train_words(s: Session, out: Path, **options: object) -> list[str | Path]:
    given = {**RUN, "weights": s.work / "user" / "model"}
    given |= {name.replace("_", "-"): value for name, value in options.items()}
    words = [word for name, value in given.items() for word in ("-O", f"{name}={value}")]
    return ["train", "mgie", "--data", s.work / "user" / "rows", "-o", out, *words]


def _trained(s: Session, name: str, what: str, **options: object) -> None:
    done = s.cli(*_train_words(s, s.work / name, **options))
    training_runs.learnt(s, done, s.work / name, what)


# --- points -----------------------------------------------------------------------------------


def point_1(s: Session) -> None:
    """Shared diffusion."""
    s.begin(1, "Shared diffusion")
    _files(s)
    for name in ("DDIMScheduler", "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler"):
        _edited(s, f"scheduler {name}", f"{name}.png", scheduler=name)
    done = _apply(s, "no.png", scheduler="NoSuchScheduler")
    good = done.code == 2 and done.is_one_sentence
    s.check(good, "an unknown scheduler", done.err.strip()[:140], done.command)
    told = training_runs.known(
        s, "overhead beside diffusers", OPTIONS.diffusion_results, "diffusion"
    )
    if told:
        figure = f"{told['ratio']:.3f} x diffusers' pipeline, limit {told['limit']}; "
        figure += f"same pixels: {told['same_pixels']}; {told['rounds']} rounds"
        s.check(told["passed"], "overhead beside diffusers, same pixels", figure)
    s.suite(*(f"tests.modelkit.diffusion.test_{name}" for name in DIFFUSION))
    s.suite("tests.bridges.test_worker_previews")


def point_2(s: Session) -> None:
    """Model."""
    s.begin(2, "Model")
    _files(s)
    for precision in ("fp32", "bf16", "fp16"):
        _edited(s, f"edit in {precision} on the CPU", f"{precision}.png", precision=precision)
    for offload in ("stages", "layers"):
        done = _apply(s, f"{offload}.png", offload=offload)
        found = _compared(s, f"{offload}.png", "fp32.png") if done.code == 0 else {}
        figure = f"at most {found['largest']} code from without" if found else done.last
        s.check(found and found["largest"] <= 1, f"offload {offload}", figure, done.command)
    said = s.probe("told", s.work / "user" / "model", s.work / "user" / "photo.png")
    forecast = next((stage for stage in said if stage.startswith("will need")), "")
    s.check(forecast, "forecast before an edit", forecast)
    done = s.cli(*_train_words(s, s.work / "dry", dry_run="yes"))
    s.check(done.code == 0 and not (s.work / "dry").exists(), "forecast of a training", done.last,
            done.command)  # fmt: skip
    out = s.work / "from-15"
    fresh = ("-O", "fresh=yes", "-O", "precision=fp32")
    done = _import(s, out, *fresh, llava="llava-1.5", mllm="", unet="", clip="")
    s.check(done.code == 0, "LLaVA 1.5, a model to begin with", done.last, done.command)
    _edited(s, "LLaVA 1.5 edits", "from-15.png", weights=out)
    s.suite("tests.plugins.mgie.test_mgie_llava")
    s.say(NOT_RUN, "CUDA and MPS", GPU)


def point_3(s: Session) -> None:
    """Weights."""
    s.begin(3, "Weights")
    user = _files(s)
    names = sorted(path.name for path in (user / "model").iterdir())
    parts = s.probe("lineage", user / "model")
    told = [one["part"] for one in parts if one["licence"]]
    good = {"edit_head.safetensors", "tower.safetensors", "weights.json", "unet"} <= set(names)
    figure = f"{', '.join(names)}; lineage with licences: {', '.join(told)}"
    s.check(good and len(told) == 5, "weights import", figure)
    done = _import(s, s.work / "aloud")
    said = [line for line in done.err.splitlines() if "CC-BY-NC-4.0" in line]
    s.check(said, "CC-BY-NC-4.0 is said aloud", said[0].strip()[:140] if said else "", done.command)
    done = _import(s, s.work / "bad", mllm="mllm_broken.pt")
    named = [key for key in ("query", "hid2feat.bias") if key in done.err]
    good = done.code == 1 and len(named) == 2 and not (s.work / "bad").exists()
    s.check(good, "every missing key is named", done.err.strip()[:160], done.command)
    done = _import(s, s.work / "more", mllm="mllm_more.pt")
    good = done.code == 0 and "vision_tower.surplus" in done.out + done.err
    s.check(good, "every unexpected key is named", "vision_tower.surplus", done.command)
    done = _import(s, s.work / "bad", mllm="evil.pt")
    good = done.code == 1 and "a program ran" not in done.out + done.err and done.is_one_sentence
    s.check(good, "a pickle with a program is not run", done.err.strip()[:140], done.command)
    done = _import(s, s.work / "delta", llava="deltas/delta", base="llama")
    s.check(done.code == 0, "a delta is added to its LLaMA", done.last, done.command)
    done = _import(s, s.work / "bad", llava="deltas/delta")
    good = done.code == 1 and "--base" in done.err
    s.check(good, "a delta without its LLaMA", done.err.strip()[:140], done.command)
    done = s.cli("weights", "verify", user / "model")
    s.check(done.code == 0, "weights verify", done.last, done.command)
    s.suite("tests.plugins.mgie.test_mgie_importing", "tests.core.test_weights_fetching")
    s.say(NOT_RUN, "the published files themselves", "no machine here can reach them")
    s.say(NOT_RUN, "the authors' own edit head beside ours", "their code is not on this machine; "
          "their names, shapes and arithmetic: test_mgie_importing, test_mgie_llava")  # fmt: skip


def point_4(s: Session) -> None:
    """Family."""
    s.begin(4, "Family")
    user = _files(s)
    pipeline = user / "pipeline" / "pipeline"
    _edited(s, "model mgie (e2e)", "e2e.png", model="e2e")
    _edited(s, "model instructpix2pix", "ip2p.png", model="instructpix2pix",
            painter_weights=pipeline)  # fmt: skip
    _edited(s, "model fz", "fz.png", model="fz", painter_weights=pipeline)
    painter = "StableDiffusionInstructPix2PixPipeline"
    _edited(s, "any painter of diffusers", "painter.png", painter=painter,
            painter_weights=pipeline)  # fmt: skip
    done = _apply(s, "no.png", painter="NoSuchPipeline")
    good = done.code == 1 and done.is_one_sentence
    s.check(good, "a painter that diffusers lacks", done.err.strip()[:140], done.command)
    _trained(s, "lgie", "LGIE is trained", model="lgie")
    _edited(s, "LGIE edits", "lgie.png", model="lgie", weights=s.work / "lgie")
    _trained(s, "ft", "FT is trained", model="ft", weights=pipeline)
    s.suite("tests.plugins.mgie.test_mgie_editing")
    s.say(NOT_RUN, "Flux, Qwen and the like", "found by name in the tests; no weights here")


def point_5(s: Session) -> None:
    """Editing."""
    s.begin(5, "Editing the user's picture")
    user = _files(s)
    done = _apply(s, "masked.png", "--mask", user / "mask.png")
    found = _compared(s, "masked.png", mask="user/mask.png") if done.code == 0 else {}
    good = found.get("changed_outside") == 0 and found["changed"] > 0.05
    figure = f"{found.get('changed', 0):.0%} changed, outside of the selection "
    figure += f"{found.get('changed_outside', done.last)} pixels"
    s.check(good, "bit for bit unchanged outside the mask", figure, done.command)
    done = _apply(s, "deep.tif", picture="deep.tif")
    found = _compared(s, "deep.tif", "user/deep.tif") if done.code == 0 else {}
    good = found.get("same_form") and found["dtype"] == "uint16" and found["alpha_kept"]
    s.check(good and found["changed"] > 0.2, "16 bits and alpha are kept", str(found), done.command)
    _apply(s, "one.png")
    second = _apply(s, "two.png")
    same = _compared(s, "two.png", "one.png")["changed"] == 0
    s.check(same, "the same seed gives the same bits", second.last, second.command)
    other = _apply(s, "three.png", "--seed", "8")
    differs = _compared(s, "three.png", "one.png")["changed"] > 0.2
    s.check(differs, "another seed gives another picture", other.last, other.command)
    _expressive(s)
    several = _apply(s, "several.png", candidates=3)
    further = sorted(path.name for path in s.work.glob("several*.png"))
    s.check(len(further) == 3, "several candidates", ", ".join(further), several.command)
    tiled = _apply(s, "tiled.png", tiled="yes", resolution=64)
    s.check(tiled.code == 0, "tiles", tiled.last, tiled.command)
    s.suite(*(f"tests.modelkit.regions.test_region_{name}" for name in REGIONS))
    s.suite("tests.plugins.mgie.data.test_expressive", "tests.core.test_exact_first")


def _expressive(s: Session) -> None:
    """What was written is shown; a changed one makes another picture, and the same one twice."""
    told = _apply(s, "json.png", "--json")
    text = json.loads(told.out)[0]["explanation"] if told.code == 0 else ""
    s.check(text, "the expressive instruction is shown", text[:100] or told.last, told.command)
    given = "The sky is darker and the grass is green."  # drawn weights write no words of ours
    changed = _apply(s, "changed.png", "--json", expressive=given)
    shown = json.loads(changed.out)[0]["explanation"] if changed.code == 0 else changed.last
    differs = changed.code == 0 and _compared(s, "changed.png", "json.png")["changed"] > 0.05
    s.check(differs and shown == given, "edited it makes another", shown, changed.command)
    again = _apply(s, "again.png", expressive=given)
    same = again.code == 0 and _compared(s, "again.png", "changed.png")["changed"] == 0
    s.check(same, "given back it makes the same picture", again.last, again.command)


def point_6(s: Session) -> None:
    """Data."""
    s.begin(6, "Data")
    user = _files(s)
    done = _prepare(s, user / "pairs", s.work / "prepared")
    rows: list[Any] = s.probe("rows", s.work / "prepared") if done.code == 0 else []
    good = len(rows) == 12 and all(row["expressive"] and row["summarised"] for row in rows)
    figure = f"{len(rows)} rows of 12 pairs and a damaged one; {done.last}"
    s.check(good, "data mgie prepare", figure, done.command)
    provenance = {name for row in rows for name in row if "sha256" in name or name == "source"}
    s.check(len(provenance) >= 3, "provenance per row", ", ".join(sorted(provenance)))
    count = s.probe("parquet", user / "pairs", s.work / "hub")
    done = _prepare(s, s.work / "hub", s.work / "from-hub")
    again: list[Any] = s.probe("rows", s.work / "from-hub") if done.code == 0 else []
    same = [row["summarised"] for row in again] == [row["summarised"] for row in rows]
    s.check(count == len(again) and same, "Parquet of the hub gives the same texts",
            f"{len(again)} rows", done.command)  # fmt: skip
    done = _prepare(s, user / "pairs", s.work / "none", "--dry-run")
    s.check(done.code == 0 and not (s.work / "none").exists(), "dry run", done.last, done.command)
    s.suite(*(f"tests.plugins.mgie.data.test_{name}" for name in DATA), "tests.modelkit.test_scale")
    s.suite("tests.modelkit.language.test_endpoint")
    s.run_slow("on a local two-node Ray cluster", "tests/plugins/mgie/data/test_prepare_on_ray.py")


def _prepare(s: Session, pairs: Path, out: Path, *more: str) -> acceptance.Ran:
    user = s.work / "user"
    models = ("--model", user / "describer", "--summariser", user / "summariser")
    few = ("--max-new-tokens", "12", "--shard-rows", "5")
    return s.cli("data", "mgie", "prepare", "--pairs", pairs, "--out", out, *models, *few, *more)


def point_7(s: Session) -> None:
    """Training."""
    s.begin(7, "Training")
    _files(s)
    _trained(s, "whole", "train mgie")
    words = _train_words(s, s.work / "killed")
    training_runs.killed(s, words, s.work / "killed", s.work / "whole")
    few: dict[str, object] = {"steps": 20, "validate_every": 10}
    _trained(s, "alone", "without the instruction loss", instruction_loss=0, **few)
    for kind in ("full", "short"):
        _trained(s, kind, f"{kind} instructions", instructions=kind, **few)
    _trained(s, "how", "the 'how' prompt", prompt="how", **few)
    _trained(s, "saving", "EMA, accumulation, bf16, LoRA", ema=0.9, accumulate=2,
             precision="bf16", lora=2, **few)  # fmt: skip
    _edited(s, "what was trained edits", "trained.png", weights=s.work / "whole")
    told = training_runs.known(s, "throughput", OPTIONS.training_results, "mgie_training")
    if told:
        figure = f"{told['ratio']:.3f} x a plain loop, goal >= {told['limit']}; {told['rounds']} "
        s.check(told["passed"], "throughput", f"{figure}rounds of {told['steps']} steps")
    s.suite("tests.plugins.mgie.test_mgie_training", "tests.modelkit.test_processes")
    s.suite("tests.modelkit.test_sharding", "tests.plugins.mgie.test_mgie_processes")
    s.suite("tests.benchmarks.test_mgie_training_benchmark")
    s.say(NOT_RUN, "a card of 24 GB, several GPUs", GPU)


def point_8(s: Session) -> None:
    """It learns."""
    s.begin(8, "It learns, shown here")
    told = training_runs.known(s, "goals", OPTIONS.learn_results, "mgie_learning")
    if told:
        million = sum(told["parameters"].values()) / 1e6
        s.check(1 < million < 10, "a few million parameters", f"{million:.1f} million")
        training_runs.claims(s, told, "MGIE", "mgie.md")
    s.suite("tests.benchmarks.test_mgie_learning")
    s.say(NOT_RUN, "larger and longer, on a GPU", GPU)


def point_9(s: Session) -> None:
    """Evaluation."""
    s.begin(9, "Evaluation")
    mgie_evaluations.every_table(s, _files(s))
    for name in ("", "_figures", "_front_ends"):
        s.suite(f"tests.plugins.mgie.evaluation.test_mgie_evaluation{name}")
    s.suite("tests.modelkit.test_human_evaluation", "tests.modelkit.test_instructed_pairs",
            "tests.modelkit.test_gier", "tests.modelkit.test_metrics")  # fmt: skip
    s.say(NOT_RUN, "the published data sets and weights", "no machine here can reach them")


def point_10(s: Session) -> None:
    """Full size."""
    s.begin(10, "Full size, on the CPU")
    told = training_runs.known(
        s, "random full-size weights", OPTIONS.full_size_results, "mgie_full_size"
    )
    if told:
        _full_size(s, told)
    s.suite("tests.benchmarks.test_mgie_full_size")
    s.say(NOT_RUN, "the whole edit on a GPU", GPU)


def _full_size(s: Session, told: dict[str, Any]) -> None:
    numbers, memory, stages = told["numbers"], told["memory"], told["stages"]
    billion = sum(numbers.values()) / 1e9
    parts = ", ".join(f"{name} {count / 1e9:.2f}" for name, count in numbers.items())
    s.check(told["scale"] == "full" and billion > 7, "sizes", f"{billion:.2f} billion: {parts}")
    figure = f"{told['tokens']} tokens and {told['steps']} steps at {told['side']} pixels in "
    figure += f"{told['seconds']:.0f} s; " + ", ".join(f"{k} {v:.2f} s" for k, v in stages.items())
    s.check(told["tokens"] >= 16 and told["steps"] == 2, "seconds per stage", figure)
    figure = f"peak {memory['peak'] / 1e9:.1f} GB, weights {memory['weights'] / 1e9:.1f} GB"
    s.check(memory["peak"] < 1.5 * memory["weights"], "peak memory", figure)
    later = {steps: one["seconds"] for steps, one in told["extrapolated"].items()}
    figure = ", ".join(f"{steps} steps {seconds / 60:.0f} min" for steps, seconds in later.items())
    text = (s.root / "docs" / "mgie.md").read_text("utf-8")
    s.check("xtrapolat" in text, "extrapolation, labelled so in docs/mgie.md", figure)


def point_11(s: Session) -> None:
    """From the command line and from both editors; documentation."""
    s.begin(11, "Done")
    _files(s)
    asked = ("--plugin", "mgie", "--instruction", "make it red", "-o", s.work / "none.png")
    nowhere = {"IMGEDIT_WEIGHTS": str(s.work / "nowhere")}
    done = s.cli("apply", s.work / "user" / "photo.png", *asked, env=nowhere)
    good = done.code == 1 and all(word in done.err for word in ("14 GB", "CC-BY-NC", "import"))
    s.check(good and done.is_one_sentence, "without weights", done.err.strip()[:200], done.command)
    junit = s.work / "editors.xml"
    tests = ("tests/editors/test_mgie.py", "tests/editors/test_gimp_layers.py",
             "tests/editors/test_krita_layers.py")  # fmt: skip
    done = s.run(s.python, "-m", "pytest", "-m", "editors", "-q", f"--junitxml={junit}", *tests)
    s.check(done.code == 0, "MGIE in GIMP and Krita", done.last.strip("= "), done.command)
    text = (s.root / "docs" / "mgie.md").read_text("utf-8")
    wanted = ("weights import mgie", "train mgie", "evaluate mgie", "data mgie prepare",
              "benchmarks.mgie_learning", "benchmarks.mgie_full_size")  # fmt: skip
    missing = [word for word in wanted if word not in text]
    s.check(not missing, "docs/mgie.md", f"missing: {missing}" if missing else "commands there")


POINTS = (
    *(point_0, point_1, point_2, point_3, point_4, point_5, point_6, point_7),
    *(point_8, point_9, point_10, point_11),
)


def main() -> int:
    """Walk through the points; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Acceptance of part 5, point by point.",
        epilog="Point 0 installs what the others use: --only others needs --here.",
    )
    for name in ("diffusion", "mgie_training", "mgie_learning", "mgie_full_size"):
        option = {"mgie_training": "training", "mgie_learning": "learn",
                  "mgie_full_size": "full-size"}.get(name, name)  # fmt: skip
        told = f"of benchmarks.{name} --json"
        parser.add_argument(f"--{option}-results", type=Path, help=told)
    return run_script(5, parser, OPTIONS, POINTS, "probes_mgie.py")


if __name__ == "__main__":
    sys.exit(main())
