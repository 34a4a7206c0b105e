"""Acceptance of part 7, point by point: PASS, FAIL or NOT RUN, each with its figure and command.

    python3 tests/acceptance/07_exporters.py [--here] [--only POINT...] [--speed-results FILE]
                                             [--builds FOLDER]

Clones the last commit into a fresh folder, installs it there as scripts/test.py does, trains a tiny
model of each family, exports it and uses it. `--here` takes this working tree and its .venv
instead. Speed is read from results of the same sources, and NOT RUN without them:

    python -m benchmarks.export --llama PYTHON --json build/export.json

Point 9 also takes the models that the learning benchmarks have trained, where there are such in
FOLDER [build], and compares what bundles and models make. It runs the real editors
(scripts/editors.py builds them). Exits with 0 only if nothing failed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import acceptance
import exported_families
import training_runs
from acceptance import NOT_RUN, Session, run_script
from exported_families import FAMILIES, Family
from exported_learnt import LEARNT, learnt

TESTS = "tests/exporters"
GPU = "no GPU on this machine"
REVERSE_DESIGN = FAMILIES[2]

ROLES = {
    "mgie": {"vision-tower", "projection", "embeddings", "decoder", "edit-head", "unet",
             "vae-encoder", "vae-decoder"},
    "reason_edit": {"vision-tower", "projection", "embeddings", "decoder", "unet", "vae-encoder",
                    "vae-decoder"},
    "reverse_design": {"vision-tower", "projection", "embeddings", "decoder"},
}  # fmt: skip


class Options(acceptance.Options):
    """The command line."""

    speed_results: Path | None
    builds: Path


OPTIONS = Options()


def point_0(s: Session) -> None:
    """Installation, and the tests whose counts other points print."""
    s.begin(0, "Installation and tests")
    names = sorted(path.name for path in (s.root / TESTS).glob("test_*.py"))
    files = [*(f"{TESTS}/{name}" for name in names), "tests/benchmarks/test_export_benchmark.py"]
    s.run_tests(files, here=OPTIONS.here, shown=f"{TESTS} tests/benchmarks/...")


def _tests(s: Session, *names: str) -> None:
    s.suite(*(f"tests.exporters.test_{name}" for name in names))


def _document(s: Session, family: Family) -> Any:
    return s.probe("document", exported_families.bundle(s, family))


def point_1(s: Session) -> None:
    """Declaration."""
    s.begin(1, "Declaration")
    for family in FAMILIES:
        parts = _document(s, family)["parts"]
        told = ", ".join(f"{one['name']} ({one['role']})" for one in parts)
        good = ROLES[family.plugin] <= {one["role"] for one in parts}
        s.check(good, f"parts of {family.plugin}", told)
    _tests(s, "mgie_bundle", "mgie_kinds", "minigpt4_bundle", "reason_bundle", "new_plugin_export")


def point_2(s: Session) -> None:
    """Export."""
    s.begin(2, "Export")
    weights = exported_families.trained(s, REVERSE_DESIGN)
    given = ("-O", f"weights={weights}", "--golden", "20")
    first = exported_families.bundle(s, REVERSE_DESIGN)
    again = s.work / "again"
    done = exported_families.export(s, "reverse_design", again, *given)
    same = done.code == 0 and s.probe("hashes", first) == s.probe("hashes", again)
    s.check(same, "the same model gives the same bytes", done.last, done.command)
    plain = s.work / "by-torch"
    done = exported_families.export(s, "reverse_design", plain, *given, "--backend", "torch")
    parts = s.probe("document", plain)["parts"] if done.code == 0 else []
    figure = ", ".join(f"{one['name']}: {one['backend']}" for one in parts) or done.last
    s.check(parts and all(one["backend"] == "torch" for one in parts), "--backend torch", figure,
            done.command)  # fmt: skip
    parts = s.probe("document", first)["parts"]
    figure = ", ".join(f"{one['name']}: {one['backend']}" for one in parts)
    s.check("genai" in figure, "onnxruntime-genai's builder where it fits", figure)
    _memory(s)
    done = exported_families.export(s, "reverse_design", first, *given)
    good = done.code == 1 and done.is_one_sentence
    s.check(good, "a folder that is there", done.err.strip()[:140], done.command)
    _tests(s, "export_command", "genai_decoder", "three_backends", "parking")
    s.run_slow("a tiny Llama through three backends: the same tokens",
               f"{TESTS}/test_three_backends.py")  # fmt: skip


def _memory(s: Session) -> None:
    """Peak memory beside the weights."""
    for backend in ("torch", "genai"):
        for precision, limit in (("fp32", 1.5), ("int4", 2.5)):
            words = ("--precision", precision, "--width", "1024", "--layers", "4",
                     "--backend", backend)  # fmt: skip
            done = s.run(s.python, "benchmarks/export_memory.py", *words)
            found = re.search(r"([0-9.]+) times", done.out)
            good = found and float(found[1]) <= limit
            what = f"memory of an export in {precision} by {backend}, limit {limit} x the weights"
            s.check(good, what, done.last, done.command)


def point_3(s: Session) -> None:
    """Precision."""
    s.begin(3, "Precision per part")
    weights = exported_families.trained(s, REVERSE_DESIGN)
    for precision in ("fp16", "bf16", "int8", "int4"):
        for family in FAMILIES:
            _in_precision(s, family, precision)
    mixed = s.work / "mixed"
    # Exact arithmetic: so small a model is near the limit of int8 already by its weights.
    wanted = ("--precision", "int8", "--precision", "tower=fp32", "--block-size", "64",
              "--accuracy-level", "1")  # fmt: skip
    done = exported_families.export(
        s, "reverse_design", mixed, "-O", f"weights={weights}", *wanted, "--golden", "20"
    )
    parts = s.probe("document", mixed)["parts"] if done.code == 0 else []
    told = {one["name"]: (one["precision"], one["block"], one["accuracy_level"]) for one in parts}
    good = told.get("decoder") == ("int8", 64, 1) and told.get("tower") == ("fp32", None, None)
    s.check(good, "one part in another precision", str(told or done.last), done.command)
    _tests(s, "family_precision")


def _in_precision(s: Session, family: Family, precision: str) -> None:
    """A whole family; int4 of such small models is too coarse, and may be refused."""
    out = s.work / f"{family.plugin}-{precision}"
    weights = exported_families.trained(s, family)
    words = ("-O", f"weights={weights}", "--precision", precision, "--golden", "20")
    done = exported_families.export(s, family.plugin, out, *words)
    what = f"{family.plugin} in {precision}"
    if done.code == 0:
        told = s.probe("document", out)["certificate"]["edits"]
        s.check(told, what, "; ".join(_shown(one) for one in told), done.command)
        return
    refused = "not as good as its original" in done.err and not out.exists()
    coarse = precision in ("int4", "int8") and refused
    s.check(coarse, f"{what}: refused, nothing is written", done.err.strip()[:300], done.command)


def _shown(edit: Any) -> str:
    limit = "" if edit.get("limit") is None else f", limit {edit['limit']:g}"
    return f"{edit['what']} {edit['value']:.4g}{limit}"


def point_4(s: Session) -> None:
    """Bundle."""
    s.begin(4, "Bundle")
    for family in FAMILIES:
        folder = exported_families.bundle(s, family)
        fault = s.probe("fits_schema", folder)
        s.check(not fault, f"bundle.json of {family.plugin} fits the published schema", fault)
        told = _document(s, family)
        licences = sorted({one["licence"] for one in told["lineage"] if one["licence"]})
        unhashed = set(s.probe("hashes", folder)) - set(told["files"])
        figure = f"{len(told['files'])} files with their hashes; licences: {', '.join(licences)}"
        s.check(licences and not unhashed, f"files and lineage of {family.plugin}", figure)
    folder = exported_families.bundle(s, REVERSE_DESIGN)
    done = s.cli("bundle", "show", folder)
    good = done.code == 0 and "checks: passed" in done.out and "decoder" in done.out
    s.check(good, "bundle show", done.out.splitlines()[0] if done.out else done.last, done.command)
    _triton(s)
    _tests(s, "triton")


def _triton(s: Session) -> None:
    out = s.work / "triton"
    weights = exported_families.trained(s, REVERSE_DESIGN)
    words = ("-O", f"weights={weights}", "--golden", "20", "--triton")
    done = exported_families.export(s, "reverse_design", out, *words)
    found = sorted(str(path.relative_to(out)) for path in out.rglob("config.pbtxt"))
    good = done.code == 0 and len(found) >= 4
    s.check(good, "--triton: a model repository", ", ".join(found) or done.last, done.command)
    s.say(NOT_RUN, "Triton itself with the repository", "no Triton server on this machine")


def point_5(s: Session) -> None:
    """Certificate."""
    s.begin(5, "Certificate")
    for family in FAMILIES:
        told = _document(s, family)["certificate"]
        figure = "; ".join(_shown(one) for one in told["edits"])
        good = told["passed"] and told["edits"] and all(one["passed"] for one in told["edits"])
        s.check(good, f"edits of {family.plugin} in fp32", figure)
    whole = s.work / "whole"
    weights = exported_families.trained(s, REVERSE_DESIGN)
    done = exported_families.export(s, "reverse_design", whole, "-O", f"weights={weights}")
    parts = s.probe("document", whole)["parts"] if done.code == 0 else []
    figure = ", ".join(f"{one['name']} {one['compared']['golden']}" for one in parts) or done.last
    s.check(parts and all(one["compared"]["golden"] >= 500 for one in parts),
            "golden inputs of small parts, 500 or more", figure, done.command)  # fmt: skip
    _spoilt(s, whole)
    _tests(s, "export_part", "plan_agreement")


def _spoilt(s: Session, whole: Path) -> None:
    """`bundle verify` finds a file that has changed since."""
    for name in ("decoder.onnx", "tower.onnx", "tokenizer/tokenizer.json"):
        folder = s.work / "spoilt"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        s.probe("spoil", folder, name)
        done = s.cli("bundle", "verify", folder)
        good = done.code == 1 and "Traceback" not in done.err and name in done.out + done.err
        s.check(good, f"spoilt {name} is found", (done.out + done.err).strip().splitlines()[-1],
                done.command)  # fmt: skip


def point_6(s: Session) -> None:
    """Runtime."""
    s.begin(6, "Runtime without torch")
    _tests(s, "bundle_decoding", "bundle_schedulers", "bundle_at_work", "bundle_threads")
    s.run_slow("worker of the editors in an environment without torch, and its size",
               f"{TESTS}/test_worker_without_torch.py")  # fmt: skip
    bundle = exported_families.bundle(s, REVERSE_DESIGN)
    done = s.cli("bundle", "verify", bundle, "--device", "cuda")
    said = [line for line in done.err.splitlines() if "cuda" in line.lower()]
    good = done.code == 0 and said
    s.check(good, "a device that is not there is told of", "".join(said)[:160], done.command)


def point_7(s: Session) -> None:
    """TensorRT."""
    s.begin(7, "TensorRT")
    weights = exported_families.trained(s, REVERSE_DESIGN)
    out = s.work / "engines"
    words = ("--to", "tensorrt", "-o", out, "-O", f"weights={weights}")
    done = s.cli("export", "reverse_design", *words)
    good = done.code == 1 and done.is_one_sentence and not out.exists()
    s.check(good, "without GPU or library: a clear answer", done.err.strip()[:240], done.command)
    bundle = exported_families.bundle(s, REVERSE_DESIGN)
    done = s.cli("bundle", "verify", bundle, "--device", "tensorrt")
    said = [line for line in done.err.splitlines() if "tensorrt" in line.lower()]
    s.check(done.code == 0 and said, "its provider is not there: told", "".join(said)[:160],
            done.command)  # fmt: skip
    text = (s.root / "docs" / "export.md").read_text("utf-8")
    s.check("not run" in text.lower() and "TensorRT" in text, "docs say what was not run")
    _tests(s, "tensorrt", "providers")
    s.say(NOT_RUN, "engines built and run, CUDA's provider", GPU)


def point_8(s: Session) -> None:
    """Speed."""
    s.begin(8, "Speed")
    told = training_runs.known(s, "speed", OPTIONS.speed_results, "export")
    for goal in told["goals"] if told else ():
        ratio = "nothing to compare with" if goal["value"] is None else f"{goal['value']:.2f}"
        beside = f", beside {goal['peer']}" if goal["peer"] else ""
        s.say(goal["verdict"], f"{goal['row']}: {goal['goal']}", f"{ratio}{beside}")
    _tests(s, "fused_operators")
    s.suite("tests.benchmarks.test_export_benchmark")


def point_9(s: Session) -> None:
    """From the command line and from an editor; documentation."""
    s.begin(9, "Done")
    for family in FAMILIES:
        exported_families.used(s, family)
    for model in LEARNT:
        learnt(s, model, OPTIONS.builds.resolve())
    junit = s.work / "editors.xml"
    words = ("-m", "editors", "-q", f"--junitxml={junit}", "tests/editors/test_bundles.py")
    done = s.run(s.python, "-m", "pytest", *words)
    s.check(done.code == 0, "from an editor", done.last.strip("= "), done.command)
    text = (s.root / "docs" / "export.md").read_text("utf-8")
    wanted = ("--backend", "--triton", "--to tensorrt", "bundle verify", "benchmarks.export",
              "benchmarks/export_memory.py", "bf16", "DPM-Solver++")  # fmt: skip
    missing = [word for word in wanted if word not in text]
    s.check(not missing, "docs/export.md", f"missing: {missing}" if missing else "all there")


POINTS = (point_0, point_1, point_2, point_3, point_4, point_5, point_6, point_7, point_8, point_9)


def main() -> int:
    """Walk through the points; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Acceptance of part 7, point by point.",
        epilog="Point 0 installs what the others use: --only others needs --here.",
    )
    parser.add_argument("--speed-results", type=Path, help="of benchmarks.export --json")
    parser.add_argument(
        "--builds", type=Path, default=acceptance.ROOT / "build",
        help="where the learning benchmarks left their models [build of this tree]",
    )  # fmt: skip
    return run_script(7, parser, OPTIONS, POINTS, "probes_exporters.py")


if __name__ == "__main__":
    sys.exit(main())
