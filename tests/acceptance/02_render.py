"""Acceptance of part 2, point by point: PASS, FAIL or NOT RUN, each with its figure and command.

    python3 tests/acceptance/02_render.py [--here] [--results FILE] [--only POINT...]

Clones the last commit into a fresh folder, installs it there as scripts/test.py does, and runs
everything in what was installed. `--here` takes this working tree and its .venv instead. Point 5
runs `benchmarks.render` (a quarter of an hour and more, on an idle machine), or reads the results
of an earlier run of the same sources (`--results`). Exits with 0 only if nothing failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import acceptance
from acceptance import FAIL, NOT_RUN, PASS, Ran, Session, read_tests, run_script

IMAD = {
    *("grayscale", "sepia", "summer", "winter", "hdr", "blur", "bright", "sharp", "contrast"),
    *("saturate", "gaussian", "invert", "rotate", "flip"),
}
WANTED = {
    *("exposure", "gamma", "lightness", "hue", "tint", "temperature", "highlights", "shadows"),
    *("whites", "blacks", "vibrance", "clarity", "texture", "denoise", "dehaze", "vignette"),
    *("levels", "curves", "split-tone", "hsl", "grain", "crop", "straighten", "resize"),
    "perspective",
}
TESTS = [
    *("test_operations", "test_every_operation", "test_tone_operations", "test_colour_operations"),
    *("test_detail_operations", "test_frame_operations", "test_hdr", "test_render"),
    *("test_render_blending", "test_render_grey", "test_render_jobs", "test_render_memory"),
    *("test_render_rounding", "test_render_strips", "test_render_out", "test_byte_tables"),
    *("test_weighted_sums", "test_colour_profiles", "test_baking"),
    *("test_picture_files", "test_modern_picture_files", "test_plan_in_xmp", "test_batch"),
    *("test_content_credentials", "test_cli_apply", "test_operation_pictures", "test_docs"),
]
KINDS = ("tone", "colour", "detail", "frame")
MEMORY_LIMIT = 64
CANCEL_LIMIT = 50
HEADER = '{"schema": "imgedit-plan/1", "definitions": "opencv-photo-filters/1", '


class Options(acceptance.Options):
    """The command line."""

    results: Path | None


OPTIONS = Options()


def point_0(s: Session) -> None:
    """Installation, and the tests whose counts other points print."""
    s.begin(0, "Installation and tests")
    where = "this working tree" if OPTIONS.here else "a fresh clone, bare environment"
    junit = s.work / "junit.xml"
    files = [f"tests/core/{name}.py" for name in TESTS]
    files.append("tests/benchmarks/test_render_benchmark.py")
    there = [name for name in files if (s.root / name).is_file()]
    s.check(there == files, "test modules", f"{len(there)} of {len(files)}")
    arguments = ["-n", "auto", "--maxprocesses", "8", *there]
    env = {"PYTEST_ADDOPTS": f"--junitxml={junit}"}
    done = s.run("python3", "scripts/test.py", *arguments, env=env)
    s.tests = read_tests(junit) if junit.is_file() else None
    s.check(done.code == 0, f"tests of this part in {where}", done.last.strip("= "))
    print("               $ python3 scripts/test.py tests/core/test_render*.py ...")


def point_1(s: Session) -> None:
    """Vocabulary."""
    s.begin(1, "Vocabulary")
    done = s.cli("operations", "--json")
    declared = {one["name"]: one for one in json.loads(done.out)}
    missing = sorted((IMAD | WANTED) - set(declared))
    figure = f"{len(declared)} operations" + (f"; missing: {', '.join(missing)}" if missing else "")
    s.check(not missing, "I-MAD's 14 and every photo editor's", figure, done.command)
    fields = ("title", "kind", "summary", "source", "parameters", "example")
    bare = {
        n: [f for f in fields if f != "parameters" and not one[f]] for n, one in declared.items()
    }
    bare |= {n: ["compares"] for n in WANTED & set(declared) if not declared[n]["compares"]}
    bare = {name: what for name, what in bare.items() if what}
    s.check(not bare, "source, comparison, example", str(bare or "all there"))
    parameters = [p for one in declared.values() for p in one["parameters"]]
    good = [p for p in parameters if p["unit"] and p["minimum"] < p["maximum"]]
    figure = f"{len(good)} of {len(parameters)} parameters"
    s.check(len(good) == len(parameters), "unit and range", figure)
    _one_page(s, declared)
    s.suite("tests.core.test_every_operation", "tests.core.test_operations")
    s.suite(*(f"tests.core.test_{kind}_operations" for kind in KINDS))


def _one_page(s: Session, declared: dict[str, Any]) -> None:
    """`operations NAME`, and its example carried out on a picture."""
    s.probe("make_pictures", s.work)
    bad = []
    for name, one in declared.items():
        shown = s.cli("operations", name)
        out = s.work / "example.png"
        command = ("apply", s.work / "deep.png", "--op", one["example"], "-o", out, "--overwrite")
        done = s.cli(*command)
        if shown.code or done.code or not shown.out:
            bad.append(f"{name}: {done.last}")
    figure = f"{len(declared) - len(bad)} of {len(declared)} on 16-bit RGBA"
    told = figure + (f"; {bad}" if bad else "")
    s.check(not bad, "each example applies", told, "imgedit-plugins apply ... --op EXAMPLE")


def point_2(s: Session) -> None:
    """Rendering."""
    s.begin(2, "Rendering")
    s.probe("make_pictures", s.work)
    depths = s.probe("depths")
    bad = {k: v for k, v in depths.items() if not v["kept"]}
    s.check(not bad, "type and alpha kept", f"{len(depths) - len(bad)} of {len(depths)}")
    deep = min(v["levels"] for k, v in depths.items() if "uint8" not in k)
    figure = f"at least {deep} levels of 65536 after three steps"
    s.check(deep > 10_000, "16 bits and float in full depth", figure, "probes_render.py depths")
    _mask_and_strength(s)
    _rounding(s)
    _memory(s)
    _job(s)
    _profile(s)
    _hdr(s)
    _bake(s)
    s.suite("tests.core.test_render*", "tests.core.test_hdr", "tests.core.test_colour_profiles")
    s.suite("tests.core.test_baking")


def _mask_and_strength(s: Session) -> None:
    start, out = s.work / "deep.png", {n: s.work / f"{n}.png" for n in ("full", "part", "none",
                                                                       "double")}  # fmt: skip
    edit = ("--op", "exposure=0.5", "--op", "sepia", "--overwrite", "-o")
    runs = {
        "full": s.cli("apply", start, *edit, out["full"]),
        "part": s.cli("apply", start, "--mask", s.work / "mask.png", *edit, out["part"]),
        "none": s.cli("apply", start, "--strength", "0", *edit, out["none"]),
        "double": s.cli("apply", start, "--strength", "200", *edit, out["double"]),
    }
    found = s.probe("masked", start, out["full"], out["part"])
    good = found["outside"] and found["inside"] and found["between"] <= 0.51
    figure = f"{found['type']}, bit-exact outside {found['outside']}, inside {found['inside']}; "
    figure += f"between {found['between']:.2f} codes of 65535 from the formula"
    s.check(good, "selection mask", figure, runs["part"].command)
    nothing = s.probe("pixels_apart", start, out["none"])
    exact = nothing == {"same_type": 1.0, "largest": 0.0}
    s.check(exact, "strength 0 %", f"{nothing['largest']:g} codes apart", runs["none"].command)
    apart = s.probe("doubled", start, out["full"], out["double"])
    figure = f"{apart:.2f} codes of 65535 from twice the change, clipped"
    s.check(apart <= 1, "strength 200 %", figure, runs["double"].command)


def _rounding(s: Session) -> None:
    found = s.probe("rounding")
    each = found["each step to the second implementation"]
    figure = f"{each:g} codes from the second implementation, five steps"
    s.check(each == 0, "'each-step' is bit for bit the data's", figure)
    end, deep, apart = (found[f"{what} to unrounded"] for what in ("end", "16 bits", "each step"))
    figure = f"{end:.3f} codes in 8 bits, {deep:.4f} in 16; each-step {apart:.2f}"
    good = end <= 0.51 and deep <= 0.02
    s.check(good, "'end' rounds once", figure, "probes_render.py rounding")


def _memory(s: Session) -> None:
    done = s.run(s.python, "-m", "benchmarks.render_memory", "--json")
    try:
        found = json.loads(done.out)
    except json.JSONDecodeError:
        s.say(NOT_RUN, "memory", done.last, done.command)
        return
    for one in (memory for memory in found if memory["plan"] == "pointwise"):
        what = f"memory, {one['bits']} bits, rounding {one['rounding']}"
        figure = f"{one['extra']:.0f} MiB beside input and output at 24 MP, limit {MEMORY_LIMIT}"
        s.check(one["extra"] <= MEMORY_LIMIT, what, figure, done.command)


def _job(s: Session) -> None:
    found = s.probe("cancelled")
    late = found["milliseconds"]
    figure = f"{late:.0f} ms after it was asked for, on 24 MP; limit {CANCEL_LIMIT}"
    s.check(late <= CANCEL_LIMIT, "cancelling", figure, "probes_render.py cancelled")
    good = found["reports"] >= 5 and found["rising"]
    s.check(good, "progress", f"{found['reports']} reports in the first fifth, rising")
    busy = s.probe("cores")
    figure = f"the work of {busy['busy']:.2f} threads on {busy['there']} cores, "
    figure += f"{busy['milliseconds']:.0f} ms for 24 MP"
    good = busy["busy"] > 0.6 * busy["there"]
    s.check(good, "all cores", figure, "probes_render.py cores")


def _profile(s: Session) -> None:
    edit = ("--op", "exposure=0.3", "--op", "vibrance=20", "--overwrite", "-o")
    wide, plain = s.work / "p3-out.tif", s.work / "srgb-out.tif"
    done = s.cli("apply", s.work / "p3.tif", *edit, wide)
    s.cli("apply", s.work / "srgb.tif", *edit, plain)
    found = s.probe("profiled", wide, plain)
    figure = f"{found['profile']!r} kept; {found['largest']:.2f} codes of 8 bits from the edit of "
    figure += f"the same picture in sRGB, {found['mean']:.3f} on average"
    good = "P3" in found["profile"] and found["largest"] <= 2
    s.check(good, "Display P3 by way of sRGB and back", figure, done.command)


def _hdr(s: Session) -> None:
    found = s.probe("hdr")
    figure = f"{found['levels']} levels in 16 bits, {found['mean_apart']:.2f} codes of 8 bits from "
    figure += f"OpenCV's; 24 MP: {found['seconds']:.1f} s, {found['mib']:.0f} MiB beside both"
    good = found["levels"] > 1000 and found["mean_apart"] <= 1
    s.check(good, "hdr of our own for 16 bits", figure, "probes_render.py hdr")
    text = (s.root / "docs" / "rendering.md").read_text("utf-8")
    start = text.find("## HDR")
    section = text[start : text.find("\n## ", start + 1)] if start >= 0 else ""
    stated = re.findall(r"[\d.]+ (?:bytes a pixel|MiB|s|seconds)\b", section)
    units = {figure.split(" ", 1)[1] for figure in stated}
    good = units & {"bytes a pixel", "MiB"} and units & {"s", "seconds"}
    s.check(good, "its memory and time are stated", f"docs/rendering.md: {stated}")


def _bake(s: Session) -> None:
    plan = s.work / "look.json"
    steps = '{"name": "exposure", "parameters": {"stops": 0.4}}, {"name": "sepia"}'
    vignette = '{"name": "vignette", "parameters": {"amount": -40}}'
    plan.write_text(f'{HEADER}"operations": [{steps}]}}')
    cube = s.work / "look.cube"
    done = s.cli("plan", "bake", plan, "-o", cube, "--json")
    apart = s.probe("cube_apart", cube, plan, s.work / "deep.png")
    figure = f"{apart:.2f} codes on average, by a reader of our own for this test"
    s.check(done.code == 0 and apart <= 1, ".cube", figure, done.command)
    done = s.cli("plan", "bake", plan, "-o", s.work / "hald.png")
    size = s.probe("sizes", s.work / "hald.png")
    s.check(done.code == 0 and size[:2] == [512, 512], "HaldCLUT of level 8", f"{size[:2]}")
    plan.write_text(f'{HEADER}"operations": [{steps}, {vignette}]}}')
    done = s.cli("plan", "bake", plan, "-o", cube, "--json")
    left = [one["name"] for one in json.loads(done.out)["left_out"]] if done.code == 0 else []
    told = done.err.strip().splitlines()[-1:] or [done.last]
    s.check(left == ["vignette"], "says what it cannot hold", told[0], done.command)
    done = s.cli("plan", "bake", plan, "-o", cube, "--strict")
    s.check(done.code == 1 and done.is_one_sentence, "--strict refuses", done.last)


def point_3(s: Session) -> None:
    """Files."""
    s.begin(3, "Files")
    folder = s.work / "files"
    folder.mkdir()
    missing = s.probe("make_files", folder)
    for name, why in missing.items():
        if why:
            s.say(NOT_RUN, f"{name.upper()} kept", f"the library is not here: {why}")
            continue
        before, after = folder / f"picture.{name}", folder / f"edited.{name}"
        done = s.cli("apply", before, "--op", "exposure=0.3", "-o", after)
        found = s.probe("kept", before, after) if done.code == 0 else {"applied": False}
        figure = ", ".join(f"{what} {good}" for what, good in found.items())
        s.check(all(found.values()), f"{name.upper()} kept", figure, done.command)
    done = s.cli("apply", folder / "turned.jpg", "--op", "exposure=0.3", "-o", folder / "up.jpg")
    size = s.probe("sizes", folder / "up.jpg")
    s.check(size == [80, 120, 1], "orientation", f"120x80 turned -> {size}", done.command)
    _plan_in_xmp(s, folder)
    _answers(s, folder)
    text = s.root / "docs" / "files.md"
    compared = [name for name in ("pyvips", "Pillow", "OpenImageIO", "OpenCV", "tifffile")
                if text.is_file() and name in text.read_text("utf-8")]  # fmt: skip
    s.check(len(compared) >= 4, "pyvips beside its alternatives", f"docs/files.md: {compared}")
    s.suite("tests.core.test_picture_files", "tests.core.test_modern_picture_files")
    s.suite("tests.core.test_plan_in_xmp", "tests.core.test_content_credentials")


def _plan_in_xmp(s: Session, folder: Path) -> None:
    out, again = folder / "with-plan.jpg", folder / "again.jpg"
    edit = ("--op", "exposure=0.3", "--op", "sepia")
    done = s.cli("apply", folder / "picture.jpg", *edit, "--embed-plan", "-o", out)
    shown = s.cli("plan", "show", out, "--json")
    names = [step["name"] for step in json.loads(shown.out)["operations"]] if shown.out else []
    found = s.probe("kept", folder / "picture.jpg", out) if done.code == 0 else {}
    good = names == ["exposure", "sepia"] and found.get("XMP") and found.get("EXIF")
    figure = f"read back: {names}; other XMP kept: {found.get('XMP')}"
    s.check(good, "plan written to XMP and read", figure, shown.command)
    done = s.cli("apply", folder / "picture.jpg", "--plan", out, "-o", again)
    apart = s.probe("pixels_apart", out, again) if done.code == 0 else {"largest": done.last}
    figure = f"{apart['largest']} codes from the first edit"
    s.check(apart["largest"] == 0, "applied from a picture's XMP", figure, done.command)


def _answers(s: Session, folder: Path) -> None:
    out = folder / "answer.jpg"
    done = s.cli("apply", folder / "credentials.jpg", "--op", "sepia", "-o", out)
    told = done.err.strip().replace("\n", " ")
    good = done.code == 0 and ("redential" in told or "C2PA" in told)
    s.check(good, "C2PA: the loss is told", told[:160] or "nothing", done.command)
    for name in ("camera.raf", "camera.cr2"):
        done = s.cli("apply", folder / name, "--op", "sepia", "-o", folder / f"{name}.jpg")
        good = done.code == 1 and done.is_one_sentence and "raw" in done.err
        s.check(good, f"raw file {name}", done.err.strip().replace("\n", " ")[:160])
    out = folder / "cmyk-out.jpg"
    done = s.cli("apply", folder / "cmyk.jpg", "--op", "sepia", "-o", out)
    told = done.err.strip().replace("\n", " ")
    answered = done.is_one_sentence and "CMYK" in told and out.is_file() == (done.code == 0)
    s.check(answered, "CMYK", f"exit {done.code}: {told[:160]}", done.command)


def point_4(s: Session) -> None:
    """A folder."""
    s.begin(4, "apply for a folder")
    photos, out = s.work / "photos", s.work / "edited"
    names = s.probe("make_folder", photos, "16")
    edit = ("apply", photos, "--recursive", "--op", "exposure=0.5", "--op", "clarity=30")
    sheet = s.work / "outliers.html"
    done = s.cli(*edit, "-o", out, "--contact-sheet", sheet, "--json")
    rows = {Path(row["picture"]).name: row for row in json.loads(done.out or "[]")}
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.jpg"))
    s.check(made == sorted(names), "names and folders kept", f"{len(made)} results", done.command)
    bad = rows.get("damaged.jpg", {})
    good = done.code == 4 and bad.get("status") == "failed" and bad.get("error")
    s.check(good, "goes on after a damaged one", f"exit {done.code}; {bad.get('error', '')}")
    status = rows.get("notes.txt", {}).get("status")
    s.check(status == "skipped", "what is no picture", f"notes.txt: {status}")
    outliers = {name: row["outlier"] for name, row in rows.items() if row.get("outlier")}
    html = sheet.read_text("utf-8") if sheet.is_file() else ""
    good = set(outliers) == {"bright.jpg"} and "bright.jpg" in html
    s.check(good, "contact sheet of the outliers", f"{outliers}, {len(html) // 1024} KiB")
    _resumed(s, edit, out)
    _parallel(s)
    s.suite("tests.core.test_cli_apply", "tests.core.test_batch")


def _resumed(s: Session, edit: tuple[str | Path, ...], whole: Path) -> None:
    """Ctrl-C during a run, and the rest with --resume."""
    out = s.work / "resumed"
    command = [s.bin / "imgedit-plugins", *edit, "-o", out, "--jobs", "1"]
    process = subprocess.Popen([str(word) for word in command], env=s.environ,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(out.rglob("*.jpg"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    before = len(list(out.rglob("*.jpg")))
    others = [p.name for p in out.rglob("*") if p.is_file() and p.suffix != ".jpg"]
    good = process.returncode == 130 and 3 <= before < 17 and "Traceback" not in told
    good = good and set(others) <= {".imgedit-apply.jsonl"}
    s.check(good, "Ctrl-C", f"exit {process.returncode}, {before} of 17 done, beside them {others}")
    done = s.cli(*edit, "-o", out, "--resume", "--json")
    rows = json.loads(done.out or "[]")
    counts = {status: sum(row["status"] == status for row in rows) for status in ("kept", "done")}
    found = s.probe("same_files", whole, out)
    good = counts["kept"] == before and found["same"] and found["count"] == 17 and found["exif"]
    figure = f"{counts['kept']} kept, {counts['done']} done; byte for byte those of one run: "
    figure += f"{found['same']}; EXIF: {found['exif']}"
    s.check(good, "--resume", figure, done.command)


def _parallel(s: Session) -> None:
    folder = s.work / "large"
    s.probe("make_large", folder)
    edit = ("apply", folder, "--op", "exposure=0.5", "--op", "sepia")
    one = s.cli(*edit, "-o", s.work / "one", "--jobs", "1")
    all_of_them = s.cli(*edit, "-o", s.work / "all")
    gain = one.seconds / all_of_them.seconds
    figure = f"{all_of_them.seconds:.1f} s, one at a time {one.seconds:.1f} s: {gain:.2f} x"
    if (os.cpu_count() or 1) == 1:
        s.say(NOT_RUN, "in parallel", f"one core; {figure}")
        return
    s.check(gain > 1.1, "in parallel", figure, all_of_them.command)


def point_5(s: Session) -> None:
    """Benchmark."""
    s.begin(5, "Benchmark")
    path, command = OPTIONS.results, f"reading {OPTIONS.results}"
    if path is None:
        path = s.work / "render.json"
        done = s.run(s.python, "-m", "benchmarks.render", "--json", path)
        command = done.command
        if not path.is_file():
            s.say(FAIL, "benchmarks.render", done.last, command)
            return
    results = json.loads(path.read_text("utf-8"))
    if results.get("sources_sha256") != s.probe("sources"):
        s.say(NOT_RUN, "goals", "the results are of other sources than these", command)
    else:
        _judged(s, results, command)
    s.suite("tests.benchmarks.test_render_benchmark")


def _judged(s: Session, results: dict[str, Any], command: str) -> None:
    where = results["machine"]
    megapixels = results["width"] * results["height"] / 1e6
    print(f"               {where['processor']}, {where['cores']} cores; {megapixels:.0f} MP")
    here = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    print(f"               beside {here}")
    for name in results["missing"]:
        s.say(NOT_RUN, f"beside {name}", "not installed (scripts/benchmark_packages.sh)")
    if not results["goals"]:
        s.say(NOT_RUN, "goals", "a run that judges none (--quick)")
    for goal in results["goals"]:
        sign = ">=" if goal["against"] == "the fastest peer" else "<="
        value = "unknown" if goal["value"] is None else f"{goal['value']:.2f} x"
        figure = f"{value}, goal {sign} {goal['limit']:g} x"
        figure += f" ({goal['peer']})" if goal["peer"] else ""
        verdict = {PASS: PASS, NOT_RUN: NOT_RUN}.get(goal["verdict"], FAIL)
        s.say(verdict, f"{goal['row']}, {goal['variant']}: {goal['goal']}", figure)
    for one in results["memory"]:
        what = f"memory of {one['plan']}, {one['bits']} bits, rounding {one['rounding']}"
        s.check(one["passed"], what, f"{one['extra']:.0f} MiB beside input and output")
    print(f"               $ {command}")


def point_6(s: Session) -> None:
    """Documentation."""
    s.begin(6, "Documentation")
    declared = [one["name"] for one in json.loads(s.cli("operations", "--json").out)]
    text = (s.root / "docs" / "operations.md").read_text("utf-8")
    shown = [name for name in declared if f"](operations/{name}.webp)" in text]
    there = [n for n in shown if (s.root / "docs" / "operations" / f"{n}.webp").is_file()]
    figure = f"{len(there)} of {len(declared)}"
    s.check(there == declared, "docs/operations.md: a picture per operation", figure)
    _drawn_again(s)
    table = (s.root / "docs" / "rendering.md").read_text("utf-8")
    rows = table[table.find("<!-- benchmark") :].count("\n|")
    measured = rows > 10 and "Not measured yet" not in table
    s.check(measured, "the benchmark's table in docs/rendering.md", f"{rows} lines of tables")
    s.suite("tests.core.test_operation_pictures", "tests.core.test_docs")
    s.say(NOT_RUN, "the pictures were looked at", "a person's part; open docs/operations.md")


def _drawn_again(s: Session) -> None:
    """The command that makes pictures and entries, in a copy of the tree."""
    copy = s.work / "copy"
    ignored = {".venv", ".git", "build", "demo-report", "__pycache__"}
    shutil.copytree(s.root, copy, ignore=lambda _, names: ignored & set(names))
    path = os.pathsep.join(str(copy / part) for part in ("", "core", "plugins/reverse_design"))
    before = (copy / "docs" / "operations.md").read_text("utf-8")
    drawn: Ran = s.run(s.python, "scripts/operation_pictures.py", cwd=copy,
                       env={"PYTHONPATH": path})  # fmt: skip
    same = (copy / "docs" / "operations.md").read_text("utf-8") == before
    apart = s.probe("drawn_alike", s.root / "docs" / "operations", copy / "docs" / "operations")
    worst = max(apart.values(), default=255.0)
    good = drawn.code == 0 and same and worst < 0.5
    figure = f"text the same: {same}; {len(apart)} pictures, at most {worst:.3f} codes apart"
    s.check(good, "made by their command", figure, "python scripts/operation_pictures.py")


POINTS = (point_0, point_1, point_2, point_3, point_4, point_5, point_6)


def main() -> int:
    """Walk through the points; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Acceptance of part 2, point by point.",
        epilog="Point 0 installs what the others use: --only others needs --here.",
    )
    parser.add_argument("--results", type=Path, help="file of `python -m benchmarks.render --json`")
    return run_script(2, parser, OPTIONS, POINTS, "probes_render.py")


if __name__ == "__main__":
    sys.exit(main())
