"""Engines of TensorRT, as far as a machine without a card goes.

The builder is a double of NVIDIA's documented interface: it shows what TensorRT is asked for, and
not that it answers.
"""

from pathlib import Path
from types import SimpleNamespace

import made_parts
import msgspec
import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from imgedit_exporters import engines, tracing
from imgedit_exporters.engines import Profile
from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime import bundles, providers, sessions
from imgedit_exporters.runtime.providers import Card
from imgedit_modelkit.export_parts import decoder_part
from imgedit_modelkit.testing import tiny_llama, tiny_tokenizer
from imgedit_plugins.cli import cli
from imgedit_plugins.errors import ImgeditError, JobCancelledError, OptionError, PluginError
from imgedit_plugins.jobs import Job

pytestmark = pytest.mark.torch

CARD = Card("NVIDIA L4", "8.9", "580.65")
RELEASE = "10.16.1.11"


# --- a double of the builder ------------------------------------------------------------------


class Trt:
    """What of TensorRT 10 is used, as its documentation has it; it remembers what it was asked."""

    class Logger:
        ERROR = 1

        def __init__(self, severity):
            assert severity == self.ERROR

    class IProgressMonitor:
        pass

    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)

    def __init__(self, *, reads: bool = True, builds: bool = True) -> None:
        self.reads, self.builds = reads, builds
        self.shapes: dict[str, tuple] = {}
        self.caches: list[bytes] = []
        self.cancel = lambda: None

    def Builder(self, logger):  # noqa: N802 (NVIDIA's name)
        assert isinstance(logger, Trt.Logger)
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(flags=flags),
            create_builder_config=self.config,
            create_optimization_profile=lambda: SimpleNamespace(set_shape=self.set_shape),
            build_serialized_network=self.build,
        )

    def OnnxParser(self, network, logger):  # noqa: N802
        assert network.flags == 2, "types are those of the file"
        del logger

        def parse_from_file(path):
            made = onnx.load(path)
            assert {one.domain for one in made.opset_import} == {""}, "standard operators alone"
            return self.reads

        return SimpleNamespace(
            parse_from_file=parse_from_file, num_errors=1, get_error=lambda _: "no such operator"
        )

    def config(self):
        made = SimpleNamespace(profiles=[])
        made.add_optimization_profile = made.profiles.append
        made.create_timing_cache = lambda known: self.caches.append(known) or "times"
        made.set_timing_cache = lambda cache, ignore_mismatch: cache
        made.get_timing_cache = lambda: SimpleNamespace(serialize=lambda: b"timed")
        return made

    def set_shape(self, name, least, usual, most):
        self.shapes[name] = (least, usual, most)

    def build(self, network, config):
        del network
        config.progress_monitor.phase_start("tactics", None, 2)
        self.cancel()
        going = config.progress_monitor.step_complete("tactics", 1)
        config.progress_monitor.phase_finish("tactics")
        return b"plan" if self.builds and going else None


@pytest.fixture
def card(monkeypatch, tmp_path):
    """A machine with a card and TensorRT, but for their libraries."""

    def there(trt: Trt) -> Trt:
        monkeypatch.setattr(engines, "_tensorrt", lambda: trt)
        return trt

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (engines, providers):
        monkeypatch.setattr(module, "card", lambda: CARD)
        monkeypatch.setattr(module, "tensorrt_version", lambda: RELEASE)
    return there


def written(tmp_path: Path) -> Path:
    path = tmp_path / "mix.onnx"
    tracing.to_onnx(made_parts.part(), path, fused=False)
    return path


# --- building ---------------------------------------------------------------------------------


def test_an_engine_is_built_for_the_sizes_that_may_come(card, tmp_path):
    trt, stages = card(Trt()), []
    job = Job(on_progress=lambda progress: stages.append(progress.stage))
    target = tmp_path / "engines" / "mix.engine"
    engines.build(made_parts.part(), written(tmp_path), target, {"length": (1, 8, 64)}, job)
    assert target.read_bytes() == b"plan"
    least, usual, most = trt.shapes["values"]
    assert (least[1], usual[1], most[1]) == (1, 8, 64)
    assert least[0] == 1 <= usual[0] <= most[0] == 5, "rows as the golden inputs have them"
    assert trt.shapes["shift"] == ((64,), (64,), (64,))
    assert "building mix: tactics" in stages
    engines.build(made_parts.part(), written(tmp_path), target, {}, job)
    assert trt.caches == [b"", b"timed"], "what was timed for one engine is known to the next"
    (kept,) = (tmp_path / "cache").rglob("timing.cache")
    assert "NVIDIA_L4-sm8.9-580.65-trt10.16.1.11" in str(kept)


def test_a_decoder_begins_without_a_cache():
    llama = tiny_llama(tiny_tokenizer(["The sky is darker."] * 3, size=60))
    made = engines.profiles(decoder_part(llama), {})
    assert made["past_key_0"].least[2] == 0
    assert made["past_key_0"].most[2] >= 9
    assert made["embeds"].least[1] == 1
    assert isinstance(made["embeds"], Profile)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"width": (1, 2, 3)}, r"No part has an axis 'width'.*length, rows"),
        ({"rows": (3, 2, 4)}, r"'rows' are not in order: 3:2:4"),
        ({"rows": (0, 0, 0)}, r"not in order: 0:0:0"),
    ],
)
def test_sizes_that_cannot_be(sizes, told):
    with pytest.raises(OptionError, match=told):
        engines.check_sizes((made_parts.part(),), sizes)


def test_what_tensorrt_cannot_do_is_told(card, tmp_path):
    path, target = written(tmp_path), tmp_path / "mix.engine"
    card(Trt(reads=False))
    with pytest.raises(ImgeditError, match="cannot read the part 'mix': no such operator"):
        engines.build(made_parts.part(), path, target, {}, Job())
    card(Trt(builds=False))
    with pytest.raises(ImgeditError, match="cannot build an engine of the part 'mix'"):
        engines.build(made_parts.part(), path, target, {}, Job())
    job, trt = Job(), card(Trt())
    trt.cancel = job.cancel
    with pytest.raises(JobCancelledError):
        engines.build(made_parts.part(), path, target, {}, job)
    assert not target.exists()


# --- what is missing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "release", "told"),
    [
        (None, RELEASE, "nvidia-smi finds no NVIDIA card"),
        (CARD, "", r"TensorRT is not installed; run pip install 'imgedit-plugins\[runtime-gpu,"),
        (CARD, "11.4.0", "TensorRT 11.4.0 is installed, and onnxruntime wants 10"),
        (CARD, RELEASE, "TensorRT cannot be loaded: "),
    ],
)
def test_what_is_missing_is_one_sentence(monkeypatch, tmp_path, found, release, told):
    monkeypatch.setattr(engines, "card", lambda: found)
    monkeypatch.setattr(engines, "tensorrt_version", lambda: release)
    report = made_parts.report()
    with pytest.raises(PluginError, match=told):
        export(report, "made", tmp_path / "out", Wanted(engines=True), None, Job())
    assert list(tmp_path.iterdir()) == []


def test_few_bits_and_wrong_usage(card, tmp_path):
    card(Trt())
    with pytest.raises(OptionError, match=r"no operator for mix in int4.*fp32, fp16 or bf16"):
        export(made_parts.report(), "made", tmp_path / "out", Wanted("int4", engines=True), None,
               Job())  # fmt: skip
    asked = ["export", "reverse_design", "-o", str(tmp_path / "out"), "--size", "length=1:2:3"]
    told = CliRunner().invoke(cli, [*asked, "--to", "onnx"])
    assert told.exit_code == 2
    assert "--size is of TensorRT's engines" in told.output
    told = CliRunner().invoke(cli, [*asked[:-1], "length=1:2", "--to", "tensorrt"])
    assert told.exit_code == 2
    assert "--size takes AXIS=LEAST:USUAL:MOST, not 'length=1:2'" in told.output


# --- in a bundle ------------------------------------------------------------------------------


@pytest.fixture
def bundle(card, tmp_path, monkeypatch) -> Path:
    """Exported where there is a card; the ONNX part answers in the engine's place."""
    card(Trt())
    opened = []

    def open_session(path, used=(sessions.CPU,), threads=0, warn=lambda _: None, **_):
        opened.append((path.name, used[0]))
        around = path.parent.name == bundles.ENGINES
        return sessions.open_session(path.parent.parent / path.name if around else path)

    monkeypatch.setattr("imgedit_exporters.exporting.open_session", open_session)
    out = tmp_path / "bundle"
    export(made_parts.report(), "made", out, Wanted(golden=8, engines=True), None, Job())
    assert opened == [("mix.onnx", "CPUExecutionProvider"),
                      ("mix.onnx", "TensorrtExecutionProvider")]  # fmt: skip
    return out


def test_the_bundle_tells_of_its_engine(bundle):
    document = bundles.read(bundle)
    (engine,) = document.part("mix").engines
    assert (engine.card, engine.capability, engine.driver) == ("NVIDIA L4", "8.9", "580.65")
    assert engine.tensorrt == RELEASE
    assert engine.compared.golden == 3
    assert not engine.compared.fault
    assert {engine.file, engine.engine} <= set(document.files)
    (node,) = onnx.load(bundle / engine.file).graph.node
    told = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    assert (node.op_type, node.domain) == ("EPContext", "com.microsoft")
    assert told["ep_cache_context"] == b"mix.engine"
    assert told["embed_mode"] == 0
    assert told["source"] == b"TensorrtExecutionProvider"
    assert told["hardware_architecture"] == b"89"


def test_an_engine_is_used_on_its_own_machine_alone(bundle, monkeypatch):
    told: list[str] = []

    def loaded() -> str:
        used = sessions.Bundle(bundle, device="cpu", warn=told.append)
        used._providers = (providers.PROVIDERS["tensorrt"],)
        return used._file("mix").relative_to(bundle).as_posix()

    assert loaded() == "engines/mix.onnx"
    assert told == []
    monkeypatch.setattr(providers, "card", lambda: Card("NVIDIA A10", "8.6", "580.65"))
    assert loaded() == "mix.onnx"
    assert told == [
        "The engine of mix is for NVIDIA L4 with TensorRT 10.16.1.11, so onnxruntime compiles the "
        "part anew."
    ]
    assert sessions.Bundle(bundle, device="cpu")._file("mix").name == "mix.onnx"


def test_an_engine_that_is_not_as_good_is_refused(card, tmp_path, monkeypatch):
    card(Trt())

    def wrong(session, inputs, name=""):
        made = sessions.run(session, inputs, name)
        return made if session is first else [one + np.float32(0.1) for one in made]

    def open_session(path, *_, **__):
        nonlocal first
        around = path.parent.name == bundles.ENGINES
        made = sessions.open_session(path.parent.parent / path.name if around else path)
        first = first or made
        return made

    first = None
    monkeypatch.setattr("imgedit_exporters.exporting.open_session", open_session)
    monkeypatch.setattr("imgedit_exporters.exporting.answers", wrong)
    with pytest.raises(ImgeditError, match="The engine of the part 'mix' fails: it differs"):
        export(made_parts.report(), "made", tmp_path / "out", Wanted(golden=8, engines=True), None,
               Job())  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_document_that_names_an_engine_elsewhere_is_refused(bundle):
    document = bundles.read(bundle)
    part = document.part("mix")
    outside = msgspec.structs.replace(part.engines[0], engine="../evil.engine")
    changed = msgspec.structs.replace(
        document, parts=(msgspec.structs.replace(part, engines=(outside,)),)
    )
    bundles.write(bundle, changed)
    with pytest.raises(ImgeditError, match="outside its folder"):
        bundles.read(bundle)
