"""Acceptance of part 4, point by point: PASS, FAIL or NOT RUN, each with its figure and command.

    python3 tests/acceptance/04_minigpt4.py [--here] [--only POINT...]
                                            [--learn-results FILE] [--training-results FILE]

Clones the last commit into a fresh folder, installs it there as scripts/test.py does, and runs
everything in what was installed, with the real classes at tiny size and drawn weights. `--here`
takes this working tree and its .venv instead. Long measurements are read from results of the same
sources, and refused if they are of others:

    OMP_NUM_THREADS=1 python -m benchmarks.training --json build/training.json
    python -m benchmarks.minigpt4_learning --json build/minigpt4.json

Without --training-results the first is run (an idle machine is needed); without --learn-results
point 6 is NOT RUN. Exits with 0 only if nothing failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import acceptance
import training_runs
from acceptance import FAIL, NOT_RUN, Session, run_script

KIT = [
    *("training", "resume", "processes", "runs", "adapters", "features", "vision_language"),
    *("imad", "gier", "metrics", "guide"),
]
MODEL = ["language", "losses", "model", "predicting", "training", "resources", "importing"]
EVALUATION = ["evaluation", "evaluation_report", "abstention", "gier_evaluation", "scores"]
EXPERIMENTS = ("1", "2", "2-gradient", "3", "3-gradient", "4", "4b")
OTHERS = ("core/test_weights", "core/test_weights_fetching", "core/test_evaluation_page")
GPU = "no GPU on this machine"
RUN = {"steps": 60, "validate-every": 20, "answers": 0, "warmup-steps": 5, "learning-rate": 0.01,
       "precision": "fp32"}  # fmt: skip


class Options(acceptance.Options):
    """The command line."""

    learn_results: Path | None
    training_results: Path | None


OPTIONS = Options()


def point_0(s: Session) -> None:
    """Installation, and the tests whose counts other points print."""
    s.begin(0, "Installation and tests")
    design = "tests/plugins/reverse_design"
    files = [
        *(f"tests/modelkit/test_{name}.py" for name in KIT),
        *(f"{design}/minigpt4/test_minigpt4_{name}.py" for name in (*MODEL, "evaluating")),
        *(f"{design}/test_{name}.py" for name in EVALUATION),
        *(f"tests/{name}.py" for name in OTHERS),
        "tests/benchmarks/test_training_benchmark.py",
        "tests/benchmarks/test_minigpt4_learning.py",
    ]
    s.run_tests(files, here=OPTIONS.here, shown="tests/modelkit tests/plugins/... ...")


# --- what several points use ------------------------------------------------------------------


def _files(s: Session) -> Path:
    """The user's files and the imported model, made once."""
    folder = s.work / "user"
    if not folder.exists():
        folder.mkdir()
        s.environ |= {"OMP_NUM_THREADS": "1", "IMGEDIT_WEIGHTS": str(s.work / "weights")}
        s.probe("make", folder)
        done = _import(s, folder / "model")
        if done.code:
            s.say(FAIL, "import", done.last, done.command)
    return folder


def _import(s: Session, out: Path, **files: str) -> acceptance.Ran:
    user = s.work / "user"
    names = {
        "eva": "eva_vit_g.pth",
        "projection": "pretrained_minigpt4_llama2_7b.pth",
        "language-model": "Llama-2-tiny",
        **files,
    }
    parts = [word for part, name in names.items() for word in (f"--{part}", user / name)]
    wrap = ["-O", "wrap=vicuna"] if "qformer" in files else []
    return s.cli("weights", "import", "reverse_design/minigpt4", *parts, "-o", out, *wrap)


def _train_words(s: Session, out: Path, **options: object) -> list[str | Path]:
    user = s.work / "user"
    given = {**RUN, "weights": user / "model", **options}
    words = [word for name, value in given.items() for word in ("-O", f"{name}={value}")]
    return ["train", "reverse_design", "--data", user / "imad", "-o", out, *words]


def _train(s: Session, name: str, **options: object) -> acceptance.Ran:
    return s.cli(*_train_words(s, s.work / name, **options))


# --- points -----------------------------------------------------------------------------------


def point_1(s: Session) -> None:
    """Model kit."""
    s.begin(1, "Model kit")
    _files(s)
    done = _train(s, "whole")
    s.check(done.code == 0, "train", f"{done.seconds:.0f} s; {done.last}", done.command)
    _run_folder(s)
    words = _train_words(s, s.work / "killed")
    training_runs.killed(s, words, s.work / "killed", s.work / "whole")
    _options(s)
    _throughput(s)
    tests = [f"tests.modelkit.test_{name}" for name in KIT]
    s.suite(*tests, "tests.plugins.reverse_design.minigpt4.test_minigpt4_resources")
    s.say(NOT_RUN, "several GPUs", GPU)
    s.say(NOT_RUN, "several nodes", "one machine; two CPU processes: tests test_processes above")
    s.say(NOT_RUN, "fp16 scaling on a GPU", f"{GPU}; on the CPU fp16 is refused, bf16 is tested")


def _run_folder(s: Session) -> None:
    out = s.work / "whole"
    wanted = {"run.json", "config.json", "metrics.jsonl", "state.json", "checkpoints", "samples"}
    there = {path.name for path in out.iterdir()}
    facts = json.loads((out / "run.json").read_text("utf-8"))
    has = [name for name in ("seed", "processes", "versions", "data", "code") if name in facts]
    checkpoint = sorted((out / "checkpoints").iterdir())[-1]
    files = json.loads((checkpoint / "checkpoint.json").read_text("utf-8"))["files"]
    hashed = all("sha256" in one for one in files.values())
    figure = f"{', '.join(sorted(there & wanted))}; run.json: {', '.join(has)}; "
    figure += f"{len(files)} files of a checkpoint with their hashes"
    s.check(wanted <= there and len(has) == 5 and hashed, "run folder", figure)


def _options(s: Session) -> None:
    cache = s.work / "cache"
    done = _train(s, "cached", cache=cache)
    found = training_runs.same(s.work / "whole", s.work / "cached") if done.code == 0 else None
    size = sum(path.stat().st_size for path in cache.rglob("*.npy"))
    figure = f"{size / 1e3:.0f} kB; the same bits as without: {found.same if found else done.last}"
    s.check(found and found.same and size, "feature cache", figure, done.command)
    for bits in ("8", "4"):
        done = _train(s, f"bits{bits}", bits=bits, steps=20)
        what = f"frozen language model in {bits} bits"
        training_runs.learnt(s, done, s.work / f"bits{bits}", what)
    done = _train(s, "lora", lora=2, steps=20)
    training_runs.learnt(s, done, s.work / "lora", "LoRA (peft) in the language model")
    adapters = (s.work / "lora" / "model" / "lora.safetensors").is_file()
    s.check(adapters, "its adapters are in the model folder", "lora.safetensors")
    done = _train(s, "mixed", steps=20, precision="bf16", accumulate=2, tensorboard="yes",
                  **{"gradient-checkpointing": "yes"})  # fmt: skip
    what = "bf16, accumulation, gradient checkpointing, TensorBoard"
    training_runs.learnt(s, done, s.work / "mixed", what)
    s.check(list((s.work / "mixed").glob("tensorboard/*")), "TensorBoard's files are there")


def _throughput(s: Session) -> None:
    path, command = OPTIONS.training_results, f"reading {OPTIONS.training_results}"
    if path is None:
        path = s.work / "training.json"
        done = s.run(s.python, "-m", "benchmarks.training", "--json", path,
                     env={"OMP_NUM_THREADS": "1"})  # fmt: skip
        command = done.command
        if not path.is_file():
            s.say(FAIL, "benchmarks.training", done.last, command)
            return
    told = json.loads(path.read_text("utf-8"))
    if told.get("sources_sha256") != s.probe("sources")["training"]:
        s.say(NOT_RUN, "throughput", "the results are of other sources than these", command)
        return
    figure = f"{told['ratio']:.3f} x a plain loop, goal >= {told['limit']}; {told['rounds']} rounds"
    figure += f" of {told['steps']} steps, {told['machine']['threads']} thread(s)"
    s.check(told["passed"], "throughput", figure, command)


def point_2(s: Session) -> None:
    """Model."""
    s.begin(2, "Model")
    user = _files(s)
    found = s.probe("halves", user / "imad", user / "model")
    for part, counts in found.items():
        figure = f"{counts[1]} of {sum(counts)} batches of two have one command"
        s.check(counts[1] == sum(counts), f"half of each batch with a command, {part}", figure)
    _test_half(s, user)
    told = s.probe("answers", user / "model", "40")
    figure = f"{told['constrained']} of {told['count']} answers of an untrained model can be read; "
    figure += f"unconstrained {told['free']}"
    good = told["constrained"] == told["count"]
    s.check(good, "constrained decoding", figure, "probes_minigpt4.py answers")
    out = user / "vicuna"
    names = {"projection": "pretrained_minigpt4_vicuna.pth", "qformer": "blip2.pth"}
    done = _import(s, out, **names)
    s.check(done.code == 0, "with a Q-Former", done.last, done.command)
    done = _train(s, "vicuna-run", weights=out, steps=20)
    training_runs.learnt(s, done, s.work / "vicuna-run", "trained before Vicuna's prompts")
    for name in ("language", "model"):
        s.suite(f"tests.plugins.reverse_design.minigpt4.test_minigpt4_{name}")
    s.say(NOT_RUN, "EVA ViT-g/14, LLaMA-2 and Vicuna themselves", "15 GB, not on this machine")


def _test_half(s: Session, user: Path) -> None:
    """The test pairs are scored with and without, both in full."""
    done = _evaluate(s, "commands=both", "split=test")
    told = _titles(done)
    figure = next((title for title in told if "paper" in title), f"tables: {told}; {done.last}")
    rows = _rows(done, "paper")
    given = {str(row[0]) for row in rows}
    good = {"average", "with text", "without text"} <= given
    s.check(good, "test: with, without, average", f"{figure}: {sorted(given)}", done.command)


def _evaluate(s: Session, *options: str, data: str = "imad", more: tuple[str | Path, ...] = ()
              ) -> acceptance.Ran:  # fmt: skip
    user = s.work / "user"
    given = (f"weights={user / 'model'}", "precision=fp32", "constrained=yes", "limit=4",
             "effort=quick", "model=minigpt4", *options)  # fmt: skip
    words = [word for one in given for word in ("-O", one)]
    return s.cli("evaluate", "reverse_design", "--data", user / data, "--json", *words, *more)


def _tables(done: acceptance.Ran) -> list[dict[str, Any]]:
    return list(json.loads(done.out)["tables"]) if done.code == 0 else []


def _titles(done: acceptance.Ran) -> list[str]:
    return [table["title"] for table in _tables(done)]


def _rows(done: acceptance.Ran, title: str) -> list[list[Any]]:
    return next((table["rows"] for table in _tables(done) if title in table["title"]), [])


def point_3(s: Session) -> None:
    """Weights."""
    s.begin(3, "Weights")
    user = _files(s)
    names = sorted(path.name for path in (user / "model").iterdir())
    parts = s.probe("lineage", user / "model")
    told = [one["part"] for one in parts if one["licence"]]
    good = {"projection.safetensors", "tower.safetensors", "weights.json"} <= set(names)
    figure = f"{', '.join(names)}; lineage with licences: {', '.join(told)}"
    s.check(good and len(told) == 3, "weights import", figure, "imgedit-plugins weights import ...")
    done = _import(s, user / "bad", eva="eva_broken.pth")
    keys = ("layers.1.mlp.fc2.weight", "layers.0.layer_norm1.bias", "head.weight")
    named = [key for key in keys if key in done.err]
    good = done.code == 1 and len(named) == 3 and done.is_one_sentence
    s.check(good, "each missing and unexpected key is named", ", ".join(named), done.command)
    done = _import(s, user / "bad", projection="evil.pth")
    good = done.code == 1 and "a program ran" not in done.out + done.err and done.is_one_sentence
    s.check(good, "a pickle with a program is not run", done.err.strip()[:140], done.command)
    done = s.cli("weights", "verify", user / "model")
    s.check(done.code == 0, "weights verify", done.last, done.command)
    with (user / "model" / "projection.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
        file.flush()
        done = s.cli("weights", "verify", user / "model")
        file.seek(-1, 2)
        file.write(last)
    s.check(done.code == 1, "one changed bit is found", done.last, done.command)
    _forecast(s)
    for name in ("core.test_weights", "core.test_weights_fetching"):
        s.suite(f"tests.{name}")
    s.suite("tests.plugins.reverse_design.minigpt4.test_minigpt4_importing")
    s.say(NOT_RUN, "the published files themselves", "EVA, MiniGPT-4, LLaMA-2: not on this machine")
    s.say(NOT_RUN, "fetching from the real hub", "a local server speaks its protocol instead")


def _forecast(s: Session) -> None:
    done = s.cli(*_train_words(s, s.work / "dry", **{"dry-run": "yes"}), "--json")
    told = json.loads(done.out)["metrics"] if done.code == 0 else {}
    wanted = ("memory, GB", "steps", "seconds a step", "hours")
    figure = ", ".join(f"{name} {told[name]:.3g}" for name in wanted if name in told)
    good = all(told.get(name) for name in wanted) and not (s.work / "dry").exists()
    s.check(good, "forecast before a run", figure or done.last, done.command)


def point_4(s: Session) -> None:
    """Experiments."""
    s.begin(4, "Experiments")
    _files(s)
    for name in EXPERIMENTS:
        out = f"experiment-{name}"
        done = _train(s, out, experiment=name, steps=20)
        training_runs.learnt(s, done, s.work / out, f"experiment {name}")
    done = _train(s, "experiment-1", experiment="2", steps=20)
    told = done.err.strip().replace("\n", " ")[:140]
    s.check(done.code == 1 and "experiment" in told, "a run keeps to its experiment", told)
    text = (s.root / "docs" / "reverse-design.md").read_text("utf-8")
    said = "changes no gradient" in text and "| **no** |" in text
    s.check(said, "documented: the authors' auxiliary losses have no gradient")
    s.suite("tests.plugins.reverse_design.minigpt4.test_minigpt4_losses")
    s.suite("tests.plugins.reverse_design.minigpt4.test_minigpt4_training")


def point_5(s: Session) -> None:
    """Verification."""
    s.begin(5, "Verification")
    user = _files(s)
    before, after = user / "before.png", user / "after.png"
    given = ("model=minigpt4", f"weights={user / 'model'}", "constrained=yes", "precision=fp32")
    asked: list[str | Path] = ["predict", before, after]
    asked += [word for one in given for word in ("-O", one)]
    done = s.cli(*asked, "--json")
    plan = json.loads(done.out) if done.code == 0 else {}
    explained = (plan.get("residual") or {}).get("explained", 0)
    by = (plan.get("provenance") or {}).get("model")
    figure = f"explains {explained:.4f}, by {by}; the model is untrained"
    s.check(explained > 0.99 and by == "minigpt4+search", "verified", figure, done.command)
    done = s.cli(*asked, "-O", "verify=no", "--json")
    figure = f"exit {done.code}; {json.loads(done.out).get('explanation', '') if done.out else ''}"
    s.check(done.code == 3, "model alone abstains from what explains nothing", figure, done.command)
    done = s.cli("predict", user / "before.png", user / "photos" / "0.png", *asked[3:], "--json")
    s.check(done.code == 3, "verified abstains from unrelated pictures", f"exit {done.code}")
    done = _evaluate(s, "commands=both")
    tables = {
        table["title"]: json.dumps([table["columns"], *table["rows"]]) for table in _tables(done)
    }
    lacking = [
        title
        for title, text in tables.items()
        if not ("model alone" in title + text or "model + verification" in title + text)
    ]
    figure = f"{len(tables)} tables" + (f"; without either: {lacking}" if lacking else "")
    s.check(tables and not lacking, "both are rows of every table", figure, done.command)
    s.suite("tests.plugins.reverse_design.minigpt4.test_minigpt4_predicting")
    s.suite("tests.plugins.reverse_design.minigpt4.test_minigpt4_evaluating")


def point_6(s: Session) -> None:
    """It learns."""
    s.begin(6, "It learns, shown here")
    path, command = OPTIONS.learn_results, f"reading {OPTIONS.learn_results}"
    if path is None:
        why = "hours; give --learn-results of `python -m benchmarks.minigpt4_learning --json FILE`"
        s.say(NOT_RUN, "experiments 1-4b, three seeds", why)
    else:
        told = training_runs.results(s, "goals", path)
        if told is not None:
            _learning(s, told, command)
    s.suite("tests.benchmarks.test_minigpt4_learning")
    s.say(NOT_RUN, "larger and longer, on a GPU", GPU)


def _learning(s: Session, told: dict[str, Any], command: str) -> None:
    if told["missing"]:
        s.say(FAIL, "every run is there", f"missing: {', '.join(told['missing'])}", command)
    seeds = told["sizes"]["seeds"]
    s.check(len(seeds) >= 3, "seeds", ", ".join(map(str, seeds)))
    wanted = {"1", "2", "3", "4", "4b"}
    there = set(told["experiments"])
    s.check(wanted <= there, "experiments", ", ".join(sorted(there)), command)
    for name, one in told["experiments"].items():
        for other, kinds in one["ahead"].items():
            low = {
                f"{figure} {kind}": kinds[kind][figure]["low"]
                for kind in kinds
                for figure in ("accuracy", "f1")
            }
            figure = ", ".join(f"{what} by at least {value:.3f}" for what, value in low.items())
            good = all(value > 0 for value in low.values())
            s.check(good, f"experiment {name} is ahead of {other}", f"{figure} (95 %)")
    text = (s.root / "docs" / "reverse-design.md").read_text("utf-8")
    curves = re.findall(r"!\[[^]]*\]\(([^)]+\.svg)\)", text)
    drawn = [name for name in curves if (s.root / "docs" / name).is_file()]
    s.check(drawn, "curves in docs/", ", ".join(drawn))


def point_7(s: Session) -> None:
    """Evaluation."""
    s.begin(7, "Evaluation")
    user = _files(s)
    page, figures = s.work / "page.html", s.work / "figures.json"
    done = _evaluate(s, "commands=both", more=("--baseline", "--report", page, "-o", figures))
    text = json.dumps(_tables(done))
    mark = "published, not reproduced here, other test set"
    good = mark in text and "71.96" in text and "94.37" in text
    s.check(good, "--baseline", f"the paper's columns, marked '{mark}'", done.command)
    titles = _titles(done)
    abstaining = [title for title in titles if "bst" in title]
    s.check(abstaining, "abstention curve", "; ".join(abstaining))
    html = page.read_text("utf-8") if page.is_file() else ""
    pictures = html.count("<img")
    good = pictures >= 4 and "<svg" in html and figures.is_file()
    s.check(good, "HTML report", f"{len(html) // 1024} KiB, {pictures} pictures of worst cases")
    s.say(NOT_RUN, "the report was looked at", "a person's part")
    pro = user / "pro"
    recipe = ("data", "reverse_design", "make-imad", "--out", pro, "--edition", "pro")
    made = s.cli(*recipe, "--images", user / "photos", "--count", "12")
    done = _evaluate(s, data="pro") if made.code == 0 else made
    names = sorted(path.name for path in pro.glob("*.csv")) if pro.is_dir() else []
    s.check(done.code == 0 and _tables(done), "I-MAD-Pro's layout", ", ".join(names), done.command)
    design = "tests.plugins.reverse_design"
    s.suite(*(f"{design}.test_{name}" for name in EVALUATION), "tests.core.test_evaluation_page")
    s.say(NOT_RUN, "GIER's own pictures", "not on this machine; its layout: test_gier_evaluation")


def point_8(s: Session) -> None:
    """Documentation."""
    s.begin(8, "Documentation")
    for name, words in {
        "reverse-design.md": ("train reverse_design", "evaluate reverse_design", "--baseline"),
        "training.md": ("benchmarks.training", "torchrun", "FeatureCache"),
        "plugin-authors.md": ("## Training a model", "imgedit_modelkit.training"),
    }.items():
        text = (s.root / "docs" / name).read_text("utf-8")
        missing = [word for word in words if word not in text]
        s.check(not missing, f"docs/{name}", f"missing: {missing}" if missing else "commands there")
    s.suite("tests.modelkit.test_guide")


POINTS = (point_0, point_1, point_2, point_3, point_4, point_5, point_6, point_7, point_8)


def main() -> int:
    """Walk through the points; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Acceptance of part 4, point by point.",
        epilog="Point 0 installs what the others use: --only others needs --here.",
    )
    parser.add_argument("--learn-results", type=Path, help="of benchmarks.minigpt4_learning --json")
    parser.add_argument("--training-results", type=Path, help="of benchmarks.training --json")
    return run_script(4, parser, OPTIONS, POINTS, "probes_minigpt4.py")


if __name__ == "__main__":
    sys.exit(main())
