"""Acceptance of part 3, point by point: PASS, FAIL or NOT RUN, each with its figure and command.

    sudo python3 tests/acceptance/03_editors.py [--here] [--bridge-results FILE] [--forky]

Clones the last commit into a fresh folder, installs it there as scripts/test.py does, and runs
everything in what was installed. `--here` takes this working tree and its .venv instead. Point 0
builds the root with GIMP and Krita where there is none (minutes) and runs the tests of the
bridges, slow ones included, and of the editors, whose outcomes the other points tell by clause.
Without root and mount namespaces those clauses are NOT RUN. Point 2 runs `benchmarks.bridge` (on an
idle machine), or reads the results of an earlier run of the same sources. `--forky` builds another
root with GIMP 3.2 and Krita 5.3 and runs the editors' tests there too. Exits with 0 only if nothing
failed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import sys
from pathlib import Path

import acceptance
import editor_tables
from acceptance import FAIL, NOT_RUN, PASS, Session, read_tests, run_script

FAULTS, JOBS = "test_worker_faults::test_", "test_worker_jobs::test_"
SECURITY, VERSIONS = "test_worker_security::test_", "test_worker_versions::test_"
CANCEL = "test_worker_cancel::test_"
CLOSE = ("invert", "bright", "contrast", "grayscale", "sepia", "gaussian")
NEAR = (
    *("saturate", "blur", "exposure", "gamma", "temperature", "tint", "hue", "vignette"), "levels"
)  # fmt: skip
LIVE_IN_KRITA = (
    *("bright", "contrast", "gamma", "exposure", "levels", "curves", "summer", "winter", "invert"),
    *("grayscale", "sepia", "saturate", "hue", "gaussian", "blur"),
)
FORKY = ("gimp 3.2", "krita 1:5.3")


class Options(acceptance.Options):
    """The command line."""

    bridge_results: Path | None
    forky: bool


OPTIONS = Options()
_why_not: list[str] = []  # why editors cannot run here


def point_0(s: Session) -> None:
    """Installation, the root, and the tests whose outcomes the other points tell."""
    s.begin(0, "Installation, root, tests")
    bridges = s.work / "bridges.xml"
    s.tests = {}
    _run_tests(s, "tests of the bridges", bridges, "-n", "auto", "-m", "not editors",
               "tests/bridges", "tests/benchmarks/test_bridge_benchmark.py",
               "tests/core/test_editor_scripts.py")  # fmt: skip
    possible = s.run("python3", "scripts/editors.py", "check")
    if possible.code != 0:
        _why_not.append(possible.last)
        s.say(NOT_RUN, "the real editors", possible.last, possible.command)
        return
    built = s.run("python3", "scripts/editors.py", "build")
    status = s.run("python3", "scripts/editors.py", "status")
    figure = f"{built.seconds:.0f} s; {status.out.splitlines()[0] if status.out else status.last}"
    if s.check(built.code == 0, "root with both editors", figure, built.command):
        _run_tests(s, "tests in the real editors", s.work / "editors.xml", "-n", "2", "-m",
                   "editors", "tests/editors")  # fmt: skip
    else:
        _why_not.append("the root could not be built")


def _run_tests(
    s: Session, what: str, junit: Path, *arguments: str, env: dict[str, str] | None = None
) -> bool:
    options = {"PYTEST_ADDOPTS": f"--junitxml={junit}", **(env or {})}
    done = s.run("python3", "scripts/test.py", *arguments, env=options)
    if junit.is_file() and s.tests is not None and env is None:
        s.tests.update(read_tests(junit))
    figure = f"{done.last.strip('= ')} ({done.seconds:.0f} s)"
    return s.check(done.code == 0, what, figure, f"scripts/test.py {' '.join(arguments)}")


def clause(s: Session, what: str, *patterns: str) -> None:
    """One line for a clause: what became of the tests whose MODULE::NAME fit the patterns."""
    if s.tests is None:
        s.say(NOT_RUN, what, "point 0 was not run")
        return
    found, missing = [], []
    for pattern in patterns:
        fitting = [
            (f"{module.rpartition('.')[2]}::{name}", outcome)
            for module, tests in s.tests.items()
            for name, outcome, _ in tests
            if fnmatch.fnmatchcase(
                f"{module.rpartition('.')[2]}::{name.partition('[')[0]}", pattern
            )
        ]
        found += fitting
        if not fitting:
            missing.append(pattern)
    if missing and _why_not and all(_is_of_editors(one) for one in missing):
        s.say(NOT_RUN, what, _why_not[0])
        return
    bad = [name for name, outcome in found if outcome == FAIL]
    bad += [f"no test {name}" for name in missing]
    passed = sum(outcome == PASS for _, outcome in found)
    figure = f"{passed} of {len(found)} tests" + (f"; {', '.join(bad)}" if bad else "")
    skipped = not bad and passed < len(found)
    s.say(FAIL if bad else NOT_RUN if skipped else PASS, what, figure, "pytest -k " + patterns[0])


def _is_of_editors(pattern: str) -> bool:
    """Whether tests of that name run in editors: those of the bridges are always run."""
    return not pattern.startswith("test_worker_")


def point_1(s: Session) -> None:
    """Worker."""
    s.begin(1, "Worker")
    clause(s, "worker start|status|stop|logs", "test_worker_commands::*")
    clause(s, "started on demand by the recorded interpreter",
           f"{FAULTS}the_recorded_python_starts_it",
           f"{FAULTS}a_python_that_is_gone_is_told")  # fmt: skip
    clause(s, "one per user", f"{FAULTS}editors_that_start_at_once_share_one_worker",
           f"{FAULTS}a_second_start_finds_the_first",
           f"{FAULTS}a_worker_of_a_lost_race_leaves_the_other_alone")  # fmt: skip
    clause(s, "ends when idle", f"{FAULTS}it_ends_when_nobody_needs_it")
    clause(s, "Unix socket and loopback TCP", f"{JOBS}prediction_is_the_one_of_this_process")
    clause(s, "versioned handshake", f"{FAULTS}*versions_that*", f"{VERSIONS}*protocol*")
    clause(s, "queue, load, compile and step progress",
           f"{JOBS}loading_compiling_and_steps_are_told_as_they_happen",
           f"{JOBS}jobs_wait_in_order*", f"{JOBS}the_story_of_a_job")  # fmt: skip
    clause(s, "cancel in under a second in every phase", f"{CANCEL}*")
    clause(s, "results kept until fetched or expired", f"{JOBS}a_forgotten_job_leaves_no_files",
           f"{JOBS}results_and_pictures_expire", "test_pixel_files::*")  # fmt: skip
    clause(s, "several editors at once", f"{JOBS}two_editors_at_once_each_get_their_own")


def point_2(s: Session) -> None:
    """Pixels."""
    s.begin(2, "Pixels")
    clause(s, "mapped files, both orders of colours", "test_pixel_files::*",
           f"{JOBS}blue_may_come_first", f"{JOBS}rendering_is_the_one_of_this_process")  # fmt: skip
    path, command = OPTIONS.bridge_results, f"reading {OPTIONS.bridge_results}"
    if path is None:
        if _why_not:
            s.say(NOT_RUN, "benchmarks.bridge", _why_not[0])
            return
        path = s.work / "bridge.json"
        done = s.run(s.python, "-m", "benchmarks.bridge", "--json", path)
        command = done.command
        if not path.is_file():
            s.say(FAIL, "benchmarks.bridge", done.last, command)
            return
    results = json.loads(path.read_text("utf-8"))
    code = "from benchmarks.bridging import sources as s; print(s.sources_sha256())"
    now = s.run(s.python, "-c", code).out.strip()
    if results.get("sources_sha256") != now:
        s.say(NOT_RUN, "round trip", "the results are of other sources than these", command)
        return
    for editor in results["editors"]:
        _round_trip(s, results, editor)
    for missing in {"gimp", "krita"} - {one["editor"] for one in results["editors"]}:
        s.say(NOT_RUN, f"round trip in {missing}", "the results are without it")
    print(f"               $ {command}")


def _round_trip(s: Session, results: dict[str, object], editor: dict[str, object]) -> None:
    goal, picture, found = editor["goal"], editor["picture"], editor["contenders"]
    assert isinstance(goal, dict)
    assert isinstance(picture, dict)
    assert isinstance(found, list)
    name = f"{editor['editor']} {editor['version']}"
    size = picture["width"] * picture["height"] / 1e6
    times = {one["contender"]: 1000 * one["seconds"] for one in found}
    told = ", ".join(f"{contender} {time:.0f} ms" for contender, time in times.items())
    figure = f"{goal['value']:.2f} x the do-nothing plug-in, goal {goal['limit']:g}; "
    figure += f"{goal['of_bands']:.2f} x the one by bands ({told})"
    wrong = [one["contender"] for one in found if not one["right"]]
    s.check(not wrong, f"{name}, {size:.0f} MP: pixels are right", str(wrong or "all"))
    if not results["judged"]:
        s.say(NOT_RUN, f"{name}: round trip", f"--quick judges none: {figure}")
        return
    s.check(goal["value"] <= goal["limit"], f"{name}, {size:.0f} MP: round trip", figure)
    beside = f"{times['PNG'] / times['bridge']:.0f} times as long"
    s.check(times["PNG"] > times["bridge"], f"{name}: PNG beside it", beside)


def point_3(s: Session) -> None:
    """Security."""
    s.begin(3, "Security")
    clause(s, "permissions", f"{SECURITY}permissions_of_every_file_and_folder")
    clause(s, "foreign Origin, rebinding Host, wrong token", f"{SECURITY}who_may_ask",
           f"{SECURITY}a_web_page_s_simple_request_has_no_effect",
           f"{SECURITY}the_token_of_one_worker*")  # fmt: skip
    clause(s, "another user", f"{SECURITY}another_user_*")
    clause(s, "malformed and oversized messages", f"{SECURITY}*oversized*",
           f"{SECURITY}malformed_bodies*", "test_protocol::*")  # fmt: skip
    clause(s, "slow clients", f"{SECURITY}a_slow_*", f"{SECURITY}a_head_that_takes_too_long*")
    clause(s, "rates limited", f"{SECURITY}strangers_run*", f"{SECURITY}the_limit_of_requests*",
           f"{JOBS}too_many_waiting_jobs*")  # fmt: skip
    clause(s, "no path from a request", f"{SECURITY}tricks_in_*")
    clause(s, "a symlink race on the pixel file", f"{SECURITY}a_link_*",
           f"{SECURITY}another_file_under_the_same_name*", f"{SECURITY}a_second_name*")  # fmt: skip
    clause(s, "10,000 generated messages", f"{SECURITY}ten_thousand_generated_messages")
    sources = [*(s.root / "bridges").rglob("*.py")]
    pickles = [p.name for p in sources if re.search(r"\bpickle\b", p.read_text("utf-8"))]
    loads = [p.name for p in sources if re.search(r"pipe\.(?:send|recv)\(", p.read_text("utf-8"))]
    figure = f"{pickles or 'not imported'}; objects over pipes: {loads or 'none'}"
    s.check(not pickles and not loads, "no pickle", figure, "grep -rn pickle bridges")


def point_4(s: Session) -> None:
    """Faults."""
    s.begin(4, "Faults")
    clause(s, "killed at 100 random moments", f"{FAULTS}a_worker_killed_at_100_random_moments")
    clause(s, "noticed within 5 seconds, one sentence", f"{FAULTS}a_killed_worker_is_noticed*",
           f"{FAULTS}a_worker_that_hangs*")  # fmt: skip
    clause(s, "a full disk", f"{FAULTS}a_disk_that_fills_up_*", f"{FAULTS}no_room_for_pixels*")
    clause(s, "a plugin that crashes its process", f"{FAULTS}a_crash_*",
           f"{FAULTS}processes_that_a_plugin_leaves*")  # fmt: skip
    clause(s, "a plugin that eats memory", f"{FAULTS}a_job_that_takes_too_much_memory*")
    clause(s, "two package versions", f"{VERSIONS}*", f"{FAULTS}a_plug_in_of_another_version*")
    for editor in ("gimp", "krita"):
        clause(s, f"in the real {editor.title()}: killed, untouched, the next action works",
               f"test_faults::test_{editor}")  # fmt: skip
    clause(s, "in the real GIMP: other faults are one sentence", "test_gimp_faults::*")
    clause(s, "in the real Krita: other faults are one sentence", "test_krita_*::*fault*")


def point_5(s: Session) -> None:
    """GIMP."""
    s.begin(5, "GIMP")
    _installs(s, "gimp", ("plug-ins/imgedit/imgedit.py",))
    clause(s, "every configuration folder; distribution, Flatpak, Snap", "test_gimp_install::*")
    clause(s, "entries of all manifests, third parties included",
           "test_gimp_plugin::*menu*", "test_gimp_actions::*")  # fmt: skip
    clause(s, "dialogs: options, preview, strength, presets", "test_gimp_dialogs::*")
    clause(s, "progress with cancel", "test_gimp_windows::*cancel*")
    clause(s, "Recover edit from two layers", "test_gimp_plugin::*recovered*")
    clause(s, "Apply plan", "test_gimp_plugin::*rendered*")
    clause(s, "Copy this edit to other open images", "test_gimp_plugin::*copied*")
    clause(s, "Save plan and Explain", "test_gimp_plugin::*saved*")
    _doctor(s, "GIMP")


def point_6(s: Session) -> None:
    """Live filters in GIMP."""
    s.begin(6, "Live filters in GIMP")
    clause(s, "made and compared in the real GIMP", "test_gimp_operations::*rendered*")
    _table(s, "gimp", live=CLOSE, near=NEAR)
    clause(s, "selections, soft ones too", "test_gimp_plugin::*selection*")
    clause(s, "kept in the .xcf", "test_gimp_plugin::*saved_and_reopened*")
    clause(s, "one undo step; redo", "test_gimp_windows::*ctrl_z*", "test_gimp_dialogs::*undo*")
    clause(s, "our own panel re-renders", "test_gimp_pane::*")
    clause(s, "precisions, grey and indexed images", "test_gimp_depths::*", "test_gimp_images::*")
    clause(s, "offset, alpha, groups, several layers", "test_gimp_plugin::*group*",
           "test_gimp_plugin::*several*")  # fmt: skip


def point_7(s: Session) -> None:
    """Krita."""
    s.begin(7, "Krita")
    _installs(s, "krita", ("pykrita/imgedit/__init__.py", "pykrita/imgedit.desktop"))
    clause(s, "installation by rule", "test_krita_install::*")
    clause(s, "why docker or menu might be missing", "test_krita_check::*")
    _doctor(s, "Krita")
    clause(s, "the same actions", "test_krita_window::*menu*", "test_krita_plugin::*recovered*",
           "test_krita_plugin::*copied*", "test_krita_plugin::*saved*")  # fmt: skip
    clause(s, "the docker", "test_krita_docker::*")
    clause(s, "groups of filter layers, compared in the real Krita",
           "test_krita_plugin::*operations*rendered*")  # fmt: skip
    _table(s, "krita", live=LIVE_IN_KRITA, near=NEAR)
    clause(s, "one undo step", "test_krita_window::*ctrl_z*", "test_krita_window::*one_step*")
    clause(s, "nothing blocks", "test_krita_window::*goes_on*", "test_krita_window::*cancel*")
    imports = [
        p.relative_to(s.root).as_posix()
        for p in (s.root / "bridges").rglob("*.py")
        if re.search(r"^\s*(?:from|import) PyQt", p.read_text("utf-8"), re.MULTILINE)
    ]
    s.check(len(imports) == 1, "one import seam for PyQt5 and PyQt6", str(imports))


def point_8(s: Session) -> None:
    """Tests in the real editors."""
    s.begin(8, "Tests in the real editors")
    if _why_not or s.tests is None:
        s.say(NOT_RUN, "the suite", _why_not[0] if _why_not else "point 0 was not run")
    else:
        ran = {m: t for m, t in s.tests.items() if m.startswith("tests.editors.")}
        count = sum(len(tests) for tests in ran.values())
        skipped = [f"{n} ({why})" for tests in ran.values() for n, o, why in tests if o == NOT_RUN]
        figure = f"{count} tests in {len(ran)} modules; skipped: {skipped or 'none'}"
        s.check(count and not skipped, "run, and not skipped", figure)
        clause(s, "version and process are logged", "test_*_harness::*version_and_process*")
        clause(s, "judged by marks: crashes and exceptions", "test_*_harness::*failure*")
        clause(s, "the package is installed as a user does", "test_installed_package::*")
    _doubles(s)
    if not OPTIONS.forky:
        s.say(NOT_RUN, "GIMP 3.2 and Krita 5.3", "--forky builds that root and runs the tests")
        return
    built = s.run("python3", "scripts/editors.py", "build", "--suite", "forky")
    status = s.run("python3", "scripts/editors.py", "status", "--suite", "forky").out
    there = built.code == 0 and all(name in status for name in FORKY)
    figure = status.splitlines()[0] if status else built.last
    if s.check(there, "root with GIMP 3.2 and Krita 5.3", figure, built.command):
        _run_tests(s, "tests there", s.work / "forky.xml", "-n", "2", "-m", "editors",
                   "tests/editors", env={"IMGEDIT_EDITORS_SUITE": "forky"})  # fmt: skip


def _doubles(s: Session) -> None:
    doubles = sorted(p.name for p in (s.root / "tests").rglob("*_double.py"))
    if not doubles:
        page = (s.root / "docs" / "developing-editors.md").read_text("utf-8")
        s.check("No doubles" in page, "doubles", "none; docs/developing-editors.md says so")
        return
    clause(s, f"the same scenario on {', '.join(doubles)} and the real editor", "test_*::*double*")


def point_9(s: Session) -> None:
    """Looks, and the guides."""
    s.begin(9, "Looks and guides")
    for editor in ("gimp", "krita"):
        page = s.root / "docs" / f"{editor}.md"
        if not page.is_file():
            s.say(FAIL, f"docs/{editor}.md", "is not there")
            continue
        count = editor_tables.steps(page)
        s.check(count == 3, f"docs/{editor}.md: from nothing to live filters", f"{count} steps")
        shown = editor_tables.pictures(page)
        gone = [name for name, there in shown.items() if not there]
        figure = f"{len(shown)} shown" + (f"; missing: {gone}" if gone else "")
        s.check(shown and not gone, f"docs/{editor}.md: screenshots of the tests", figure)
        names = " ".join(p.stem for p in (s.root / "docs" / "screenshots").glob(f"*{editor}*"))
        looks = [look for look in ("light", "dark", "200") if look in names]
        s.check(len(looks) == 3, f"{editor}: light and dark, at 100 and 200 %", str(looks))
    clause(s, "GIMP by keyboard alone", "test_gimp_dialogs::*keyboard*")
    clause(s, "Krita by keyboard alone", "test_krita_docker::*keys_alone*")
    s.say(NOT_RUN, "the screenshots were looked at", "a person's part; open docs/screenshots")


# --- parts of points --------------------------------------------------------------------------


def _installs(s: Session, editor: str, files: tuple[str, ...]) -> None:
    profile = s.work / editor / "profile"
    profile.mkdir(parents=True)
    env = {"HOME": str(s.work / editor), "XDG_CONFIG_HOME": str(s.work / editor / "config")}
    options = ("--profile", profile)
    dry = s.cli("install", editor, "--dry-run", *options, env=env)
    nothing = not [path for path in profile.rglob("*") if path.is_file()]
    s.check(dry.code == 0 and nothing, f"install {editor} --dry-run", dry.last, dry.command)
    done = s.cli("install", editor, *options, env=env)
    there = [name for name in files if (profile / name).is_file()]
    s.check(done.code == 0 and len(there) == len(files), f"install {editor}", str(there),
            done.command)  # fmt: skip
    gone = s.cli("uninstall", editor, *options, env=env)
    left = [str(p.relative_to(profile)) for p in profile.rglob("*") if p.is_file()]
    s.check(gone.code == 0 and not left, f"uninstall {editor}", f"left: {left or 'nothing'}",
            gone.command)  # fmt: skip


def _doctor(s: Session, editor: str) -> None:
    profile = s.work / "doctor" / "3.0"  # on a machine where no GIMP was ever started
    profile.mkdir(parents=True, exist_ok=True)
    done = s.cli("doctor", env={"GIMP3_DIRECTORY": str(profile)})
    told = [line.strip() for line in done.out.splitlines() if editor.lower() in line.lower()]
    s.check(told, f"doctor speaks of {editor}", (told or [done.last])[0][:160], done.command)


def _table(s: Session, editor: str, *, live: tuple[str, ...], near: tuple[str, ...]) -> None:
    page = s.root / "docs" / f"{editor}.md"
    declared = {one["name"] for one in json.loads(s.cli("operations", "--json").out)}
    rows = editor_tables.rows(page) if page.is_file() else []
    missing = sorted(declared - {row.name for row in rows})
    unsaid = sorted(row.name for row in rows if not row.reason)
    figure = f"{len(declared) - len(missing)} of {len(declared)} operations"
    figure += f"; missing: {missing}" if missing else ""
    s.check(not missing and not unsaid, f"table in docs/{editor}.md", figure)
    by_name = {name: [row for row in rows if row.name == name] for name in declared}
    for names, limit, what in ((live, 1.0, "live"), (near, 2.0, "live within it, or rendered")):
        worst, bad = 0.0, []
        for name in names:
            held = [row for row in by_name.get(name, []) if row.is_live]
            if not held and what == "live":
                bad.append(f"{name}: not live")
            errors = [row.mean for row in held if row.mean is not None]
            allowed = 2.0 if name in NEAR else limit
            bad += [f"{name}: {error:g}" for error in errors if error > allowed]
            worst = max([worst, *errors])
        figure = f"worst mean {worst:g} codes of 255, limit {limit:g}"
        figure += f"; {', '.join(bad)}" if bad else ""
        s.check(not bad, f"{', '.join(names)}: {what}", figure)


POINTS = (
    *(point_0, point_1, point_2, point_3, point_4, point_5, point_6, point_7, point_8), point_9
)  # fmt: skip


def main() -> int:
    """Walk through the points; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Acceptance of part 3, point by point.",
        epilog="Point 0 installs what the others use: --only others needs --here.",
    )
    parser.add_argument(
        "--bridge-results", type=Path, help="file of `python -m benchmarks.bridge --json`"
    )
    parser.add_argument("--forky", action="store_true", help="GIMP 3.2 and Krita 5.3 as well")
    return run_script(3, parser, OPTIONS, POINTS, "probes_core.py")


if __name__ == "__main__":
    sys.exit(main())
