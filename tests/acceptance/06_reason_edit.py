"""Acceptance of part 6, point by point: PASS, FAIL or NOT RUN, each with its figure and command.

    python3 tests/acceptance/06_reason_edit.py [--here] [--only POINT...] [--learn-results FILE]

Clones the last commit into a fresh folder, installs it there as scripts/test.py does, and runs
everything in what was installed, with the real classes at tiny size and drawn weights. `--here`
takes this working tree and its .venv instead. Whether it learns is read from results of the same
sources, and NOT RUN without them:

    python -m benchmarks.reason_learning --json build/reason_learning.json

Point 8 runs the real editors (scripts/editors.py builds them). Exits with 0 only if nothing failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import acceptance
import reason_data
import reason_evaluations
import reason_model
import reasoned_plans
import training_runs
from acceptance import NOT_RUN, Session, run_script

DATA = ["make", "models", "pictures", "wording", "layouts", "killed"]
REASONING = ["answers", "asking", "carrying_out", "document", "front_ends", "hooks", "local",
             "regions", "with_mgie"]  # fmt: skip
EVALUATION = ["evaluation", "evaluation_front_ends", "judging", "study"]
MODEL = ["editing", "features", "front_ends", "importing", "training"]
EDITORS = ["gimp_reasoning", "krita_reasoning", "reasoned_painting"]
TESTS = "tests/plugins/reason_edit"
GPU = "no GPU on this machine"


class Options(acceptance.Options):
    """The command line."""

    learn_results: Path | None


OPTIONS = Options()


def point_0(s: Session) -> None:
    """Installation, and the tests whose counts other points print."""
    s.begin(0, "Installation and tests")
    files = [
        *(f"{TESTS}/data/test_reason_{name}.py" for name in DATA),
        *(f"{TESTS}/model/test_reasoner_{name}.py" for name in MODEL),
        *(f"{TESTS}/evaluation/test_reason_{name}.py" for name in EVALUATION),
        "tests/benchmarks/test_reason_learning.py",
        *(f"{TESTS}/reasoning/test_reasoned_{name}.py" for name in REASONING),
    ]
    s.run_tests(files, here=OPTIONS.here, shown=f"{TESTS} ...")


def _files(s: Session) -> Path:
    """The user's files, made once."""
    folder = s.work / "user"
    if not folder.exists():
        folder.mkdir()
        s.environ |= {"OMP_NUM_THREADS": "1", "IMGEDIT_WEIGHTS": str(s.work / "weights")}
        s.probe("make", folder)
    return folder


def point_1(s: Session) -> None:
    """Pipeline."""
    s.begin(1, "Pipeline")
    reason_data.every_part(s, _files(s))
    s.suite(*(f"tests.plugins.reason_edit.data.test_reason_{name}" for name in DATA[:-1]))
    s.run_slow("on a local two-node Ray cluster", f"{TESTS}/data/test_reason_on_ray.py")
    s.say(NOT_RUN, "GPT-3.5, BLIP-2, Grounding DINO and GLIGEN at full size, on the published data",
          "no machine here can reach them")  # fmt: skip


def point_2(s: Session) -> None:
    """Tested end to end."""
    s.begin(2, "End to end, misbehaving and killed")
    reason_data.killed(s, _files(s))
    s.suite("tests.plugins.reason_edit.data.test_reason_killed")
    s.run_slow("part III killed 20 times", f"{TESTS}/data/test_reason_killed.py")


def point_3(s: Session) -> None:
    """Benchmark generator."""
    s.begin(3, "Benchmark generator")
    reason_data.benchmark(s, _files(s))


def point_4(s: Session) -> None:
    """Model."""
    s.begin(4, "Model")
    user = _files(s)
    reason_model.imported(s, user)
    reason_model.trained(s, user)
    reason_model.edits(s, user)
    s.suite(*(f"tests.plugins.reason_edit.model.test_reasoner_{name}" for name in MODEL))
    s.say(NOT_RUN, "LLaVA-1.5-7B and Stable Diffusion 1.5 themselves",
          "no machine here can reach them")  # fmt: skip
    s.say(NOT_RUN, "several GPUs", GPU)


def point_5(s: Session) -> None:
    """It learns."""
    s.begin(5, "It learns, shown here")
    told = training_runs.known(s, "goals", OPTIONS.learn_results, "reason_learning")
    if told:
        training_runs.claims(s, told, "the model", "reason_edit.md")
    s.suite("tests.benchmarks.test_reason_learning")
    s.say(NOT_RUN, "larger and longer, on a GPU", GPU)


def point_6(s: Session) -> None:
    """Evaluation."""
    s.begin(6, "Evaluation")
    user = _files(s)
    model = s.work / "to-evaluate"
    done = s.cli(*reason_model.train_words(s, user, model, steps=20, validate_every=20))
    s.check(done.code == 0, "a model to evaluate", done.last, done.command)
    reason_evaluations.every_table(s, user, model)
    s.suite(*(f"tests.plugins.reason_edit.evaluation.test_reason_{name}" for name in EVALUATION))
    s.say(NOT_RUN, "the published weights, data sets and encoders",
          "no machine here can reach them")  # fmt: skip


def point_7(s: Session) -> None:
    """Reasoned plan."""
    s.begin(7, "Reasoned plan")
    reasoned_plans.carried_out(s, _files(s))
    s.suite(*(f"tests.plugins.reason_edit.reasoning.test_reasoned_{name}" for name in REASONING))
    s.say(NOT_RUN, "a trained vision-language model", "no machine here can reach one")


def point_8(s: Session) -> None:
    """From both editors; documentation."""
    s.begin(8, "Done")
    junit = s.work / "editors.xml"
    tests = [f"tests/editors/test_{name}.py" for name in EDITORS]
    done = s.run(s.python, "-m", "pytest", "-m", "editors", "-q", f"--junitxml={junit}", *tests)
    s.check(done.code == 0, "both editors offer it", done.last.strip("= "), done.command)
    text = (s.root / "docs" / "reason_edit.md").read_text("utf-8")
    wanted = ("data reason_edit make", "data reason_edit benchmark", "weights import reason_edit",
              "train reason_edit", "evaluate reason_edit", "benchmarks.reason_learning",
              "Reasoned plan")  # fmt: skip
    missing = [word for word in wanted if word not in text]
    s.check(not missing, "docs/reason_edit.md", f"missing: {missing}" if missing else "all there")


POINTS = (*(point_0, point_1, point_2, point_3, point_4, point_5, point_6, point_7, point_8),)


def main() -> int:
    """Walk through the points; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Acceptance of part 6, point by point.",
        epilog="Point 0 installs what the others use: --only others needs --here.",
    )
    parser.add_argument("--learn-results", type=Path, help="of benchmarks.reason_learning --json")
    return run_script(6, parser, OPTIONS, POINTS, "probes_reason.py")


if __name__ == "__main__":
    sys.exit(main())
