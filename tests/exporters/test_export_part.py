"""A part that is no model's: exported in every precision, and every fault of an export caught."""

import functools
import json
import logging
import shutil
import sys
from pathlib import Path

import made_parts
import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import numpy_helper
from torch import nn

from imgedit_exporters import exporting, tracing, writing
from imgedit_exporters.comparing import compare
from imgedit_exporters.exporting import ExportFailedError, Wanted, export
from imgedit_exporters.quantising import Grain, quantise
from imgedit_exporters.runtime import bundles, sessions
from imgedit_exporters.runtime.golden import load_pairs
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.verifying import verify
from imgedit_modelkit.testing import realistic
from imgedit_plugins.cli import cli
from imgedit_plugins.errors import DataError, ImgeditError, WeightsError
from imgedit_plugins.exporting import BundleReport, Finding, Part
from imgedit_plugins.jobs import Job

pytestmark = pytest.mark.torch

QUANTISER = "onnxruntime.quantization.matmul_nbits_quantizer"


def exported(out: Path, report=None, wanted=None, check=None, job=None) -> bundles.Document:
    wanted = wanted or Wanted(golden=12)
    return export(report or made_parts.report(), "mixture", out, wanted, check, job or Job())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """The part in fp32, compared on as many golden inputs as small parts are."""
    out = tmp_path_factory.mktemp("exported") / "bundle"
    exported(out, wanted=Wanted())
    return out


@pytest.fixture(scope="module")
def few_bits(bundle, tmp_path_factory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("quantised")
    made = {bits: folder / f"{bits}.onnx" for bits in (4, 8)}
    for bits, path in made.items():
        assert quantise(bundle / "mix.onnx", path, Grain(bits)) == 2
    return made


def test_the_quantiser_s_logging_is_its_own(bundle, tmp_path, monkeypatch):
    """Its module sets up the logging of the process: others' chat would be shown then."""
    monkeypatch.delitem(sys.modules, QUANTISER, raising=False)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    quantise(bundle / "mix.onnx", tmp_path / "few.onnx", Grain(8))
    assert QUANTISER in sys.modules
    assert (logging.root.handlers, logging.root.level) == ([], logging.WARNING)


# --- what comes out ---------------------------------------------------------------------------


def test_a_small_part_is_compared_on_500_inputs_and_differs_by_rounding(bundle):
    (part,) = bundles.read(bundle).parts
    assert part.compared.golden == 500
    assert part.compared.fault == ""
    assert 0 < part.compared.largest < 1e-5
    assert part.compared.spread > 0.5
    assert [(port.name, port.type, port.shape) for port in part.inputs] == [
        ("values", "float", ("rows", "length", 32)), ("shift", "float", (64,))
    ]  # fmt: skip


def test_the_bundle_runs_with_sizes_that_were_never_traced(bundle):
    module = made_parts.mix()
    values, shift = np.random.default_rng(3).standard_normal((7, 11, 32), np.float32), np.ones(64)
    (found,) = Bundle(bundle, device="cpu").run("mix", [values, shift.astype(np.float32)])
    with torch.no_grad():
        wanted = module(torch.from_numpy(values), torch.from_numpy(shift).float()).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_document_is_that_of_the_published_schema(bundle):
    import jsonschema

    schema = json.loads(
        (Path(exporting.__file__).parent / "schemas/imgedit-bundle-1.schema.json").read_text()
    )
    assert schema == bundles.schema(), "python -m imgedit_exporters.runtime.bundles writes it"
    document = json.loads((bundle / bundles.FILE).read_text())
    jsonschema.validate(document, schema)
    document["parts"][0]["precision"] = "fp3"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_same_part_gives_the_same_bytes_and_tells_nothing_of_the_machine(bundle, tmp_path):
    again = tmp_path / "again"
    exported(again, wanted=Wanted())
    assert bundles.read(again) == bundles.read(bundle)
    assert (again / "mix.onnx").read_bytes() == (bundle / "mix.onnx").read_bytes()
    for secret in (b"site-packages", b".py", str(Path.home()).encode(), b"stack_trace"):
        assert secret not in (bundle / "mix.onnx").read_bytes()


def test_weights_of_a_large_part_lie_beside_it(tmp_path, monkeypatch, bundle):
    monkeypatch.setattr(tracing, "LARGE", 10_000)
    out = tmp_path / "bundle"
    document = exported(out)
    assert (out / "mix.onnx.data").stat().st_size >= 2 * 32 * 64 * 4
    assert (out / "mix.onnx").stat().st_size < 5_000
    assert "mix.onnx.data" in document.files
    assert verify(out, None, Job()).faults == ()
    (out / "mix.onnx.data").write_bytes(bytes((out / "mix.onnx.data").stat().st_size))
    faults = verify(out, None, Job()).faults
    assert any("mix.onnx.data" in fault for fault in faults)
    assert any("differs from its original" in fault for fault in faults)


def test_half_precision_is_half_as_large_and_keeps_float32_outside(tmp_path, bundle):
    document = exported(tmp_path / "half", wanted=Wanted("fp16", golden=12))
    (part,) = document.parts
    assert part.precision == "fp16"
    assert {port.type for port in (*part.inputs, *part.outputs)} == {"float"}
    assert 1e-5 < part.compared.typical < 2e-3
    sizes = [(folder / "mix.onnx").stat().st_size for folder in (tmp_path / "half", bundle)]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.parametrize("dynamic", [{0: "rows"}, {0: "rows", 1: "length"}])
def test_a_transformer_s_layers_are_exported_in_half_precision(tmp_path, dynamic):
    """With both sizes free, onnxruntime 1.31 ended the process at what was exported."""
    layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
    part = made_parts.part(
        realistic(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)).eval(),
        example={"values": np.ones((2, 3, 32), np.float32)},
        dynamic={"values": dynamic},
        draw=lambda rng: {"values": rng.standard_normal((2, 3, 32), np.float32)},
    )
    document = exported(tmp_path / "half", made_parts.report(part), Wanted("fp16", golden=8))
    assert document.parts[0].compared.typical < 5e-3


def test_bfloat16_is_half_as_large_and_computes_in_float32(tmp_path, bundle, monkeypatch):
    reuse(monkeypatch, bundle / "mix.onnx")
    document = exported(tmp_path / "half", wanted=Wanted("bf16", golden=12))
    (part,) = document.parts
    assert part.precision == "bf16"
    assert {port.type for port in (*part.inputs, *part.outputs)} == {"float"}
    assert 1e-4 < part.compared.typical < 1e-2
    model = onnx.load(tmp_path / "half/mix.onnx")
    kinds = {len(one.dims): one.data_type for one in model.graph.initializer}
    assert kinds[2] == onnx.TensorProto.BFLOAT16
    assert kinds[1] == onnx.TensorProto.FLOAT, "biases stay exact"
    sizes = [(folder / "mix.onnx").stat().st_size for folder in (tmp_path / "half", bundle)]
    assert sizes[0] < 0.6 * sizes[1]
    assert verify(tmp_path / "half", None, Job()).faults == ()


def test_a_repository_for_triton_is_part_of_the_bundle(tmp_path, bundle, monkeypatch):
    reuse(monkeypatch, bundle / "mix.onnx")
    out = tmp_path / "bundle"
    document = exported(out, wanted=Wanted(golden=8, triton=True))
    assert {name for name in document.files if name.startswith("triton/")} == {
        "triton/a_mixture_mix/config.pbtxt", "triton/a_mixture_mix/1/model.onnx"
    }  # fmt: skip
    text = (out / "triton/a_mixture_mix/config.pbtxt").read_text()
    assert 'input { name: "values" data_type: TYPE_FP32 dims: [ -1, -1, 32 ] }' in text


@pytest.mark.parametrize(
    ("precision", "least", "most"), [("int8", 1e-3, 0.05), ("int4", 0.05, 0.5)]
)
def test_few_bits(tmp_path, bundle, precision, least, most, monkeypatch):
    reuse(monkeypatch, bundle / "mix.onnx")
    wanted = Wanted(precision, block=64, accuracy_level=4, golden=12)
    (part,) = exported(tmp_path / "few", wanted=wanted).parts
    assert (part.precision, part.block, part.accuracy_level, part.quantised) == (
        precision, 64, 4, 2
    )  # fmt: skip
    assert least < part.compared.typical < most
    (node,) = [
        node
        for node in onnx.load(tmp_path / "few/mix.onnx").graph.node
        if node.op_type == "MatMulNBits"
    ][:1]
    settings = {one.name: one.i for one in node.attribute}
    assert (settings["bits"], settings["block_size"], settings["accuracy_level"]) == (
        int(precision[3:]), 64, 4
    )  # fmt: skip


def test_a_part_without_matrices_stays_as_it_is_and_says_so(tmp_path):
    told: list[str] = []
    part = made_parts.part(
        nn.Embedding(20, 32), name="table", example={"ids": np.arange(4)[None]},
        dynamic={"ids": {1: "length"}}, draw=lambda rng: {"ids": rng.integers(0, 20, (1, 6))},
    )  # fmt: skip
    document = exported(
        tmp_path / "out",
        made_parts.report(part),
        Wanted("int4", golden=8),
        job=Job(on_warning=told.append),
    )
    assert document.parts[0].precision == "fp32"
    assert told == ["The part table has no matrix to put into 4 bits; it stays fp32."]


def test_precision_for_one_part_alone(tmp_path, bundle, monkeypatch):
    reuse(monkeypatch, bundle / "mix.onnx")
    report = made_parts.report(made_parts.part(), made_parts.part(name="other"))
    document = exported(tmp_path / "out", report, Wanted("fp32", {"other": "int8"}, golden=8))
    assert [part.precision for part in document.parts] == ["fp32", "int8"]
    with pytest.raises(DataError, match=r"no part 'third'\. It has mix, other"):
        exported(tmp_path / "none", report, Wanted("fp32", {"third": "int8"}))


# --- faults -----------------------------------------------------------------------------------


def reuse(monkeypatch, path: Path, change=lambda model: None) -> None:
    """Let the exporter write this file, changed."""

    def written(part, target, dtype=torch.float32, *, fused=True):
        model = onnx.load(path)
        change(model)
        onnx.save(model, target)

    monkeypatch.setattr(tracing, "to_onnx", written)


def matrices(model):
    return [one for one in model.graph.initializer if len(one.dims) == 2]


def replace(tensor, array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def corrupted(model) -> None:
    """One weight of 4096 has lost its sign."""
    weights = numpy_helper.to_array(matrices(model)[0]).copy()
    place = np.unravel_index(np.abs(weights).argmax(), weights.shape)
    weights[place] *= -1
    replace(matrices(model)[0], weights)


def swapped(model) -> None:
    """Rows and columns of a matrix, at the shape that it had."""
    tensor = matrices(model)[0]
    replace(tensor, numpy_helper.to_array(tensor).T.reshape(tuple(tensor.dims)))


def zeroed(model) -> None:
    for tensor in matrices(model):
        replace(tensor, np.zeros(tuple(tensor.dims), np.float32))


FAULTS = {"corrupted": corrupted, "swapped": swapped, "zeroed": zeroed}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_export_is_refused_and_nothing_is_written(tmp_path, monkeypatch, bundle, fault):
    reuse(monkeypatch, bundle / "mix.onnx", FAULTS[fault])
    with pytest.raises(ExportFailedError, match=r"'mix' \(fp32\) fails: it differs") as caught:
        exported(tmp_path / "out")
    assert "--force" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_force_writes_it_with_the_fault_recorded(tmp_path, monkeypatch, bundle):
    reuse(monkeypatch, bundle / "mix.onnx", zeroed)
    told: list[str] = []
    exported(
        tmp_path / "out", wanted=Wanted(golden=12, force=True), job=Job(on_warning=told.append)
    )
    certificate = bundles.read(tmp_path / "out").certificate
    assert not certificate.passed
    assert certificate.faults == tuple(told)
    warned: list[str] = []
    Bundle(tmp_path / "out", warn=warned.append)
    assert "did not pass its checks" in warned[0]


def test_weights_in_fewer_bits_than_declared_are_refused(tmp_path, monkeypatch, few_bits):
    monkeypatch.setattr(tracing, "to_onnx", lambda part, path, dtype=None, fused=True: path.touch())
    monkeypatch.setattr(
        writing, "quantise", lambda source, target, grain: shutil.copy(few_bits[4], target) and 2
    )
    with pytest.raises(ExportFailedError, match=r"'mix' \(int8\) fails: it differs"):
        exported(tmp_path / "out", wanted=Wanted("int8", golden=12))
    exported(tmp_path / "four", wanted=Wanted("int4", golden=12))


def test_a_part_that_gives_the_same_whatever_it_gets_proves_nothing(tmp_path, monkeypatch):
    """As BLIP-2 before anybody draws its weights: 1e-10."""

    class Dull(made_parts.Mix):
        def forward(self, values, shift):
            return torch.sigmoid(super().forward(values * 1e-10, shift * 1e-10))

    part = made_parts.part(Dull().eval())
    with pytest.raises(ExportFailedError, match="hardly depends on what it gets"):
        exported(tmp_path / "out", made_parts.report(part))


def test_whole_edits_that_are_worse_are_refused(tmp_path, monkeypatch, bundle):
    reuse(monkeypatch, bundle / "mix.onnx")
    report = made_parts.report(golden=lambda job: {"picture": np.zeros(3)})

    def check(value):
        finding = Finding(what="PSNR in dB", value=value, limit=40.0, passed=value >= 40)
        return lambda folder, job: BundleReport(findings=(finding,))

    with pytest.raises(ExportFailedError, match="PSNR in dB is 31, and the limit is 40"):
        exported(tmp_path / "bad", report, check=check(31.0))
    document = exported(tmp_path / "good", report, check=check(51.0))
    assert [(one.what, one.value) for one in document.certificate.edits] == [("PSNR in dB", 51.0)]
    assert bundles.EDITS in document.files


@pytest.mark.parametrize("fault", FAULTS)
def test_verify_finds_it_on_the_user_s_machine_even_where_the_hashes_agree(tmp_path, bundle, fault):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    model = onnx.load(folder / "mix.onnx")
    FAULTS[fault](model)
    onnx.save(model, folder / "mix.onnx")
    told = verify(folder, None, Job())
    assert "mix.onnx is not the file that was written." in told.faults
    document = json.loads((folder / bundles.FILE).read_text())
    files = bundles.files_of(folder, Job())
    document["files"] = {n: {"sha256": f.sha256, "size": f.size} for n, f in files.items()}
    (folder / bundles.FILE).write_text(json.dumps(document))
    (told,) = verify(folder, None, Job()).faults
    assert told.startswith("The part 'mix' fails: it differs from its original by")


def test_a_missing_file_and_a_foreign_one(tmp_path, bundle):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    (folder / "golden/mix.npz").unlink()
    faults = verify(folder, None, Job()).faults
    assert faults[0] == "golden/mix.npz is missing."
    (folder / "mix.onnx").write_bytes(b"no model")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        Bundle(folder).run("mix", [])
    document = json.loads((folder / bundles.FILE).read_text())
    document["parts"][0]["file"] = "../../evil.onnx"
    (folder / bundles.FILE).write_text(json.dumps(document))
    with pytest.raises(WeightsError, match="outside its folder"):
        bundles.read(folder)
    with pytest.raises(WeightsError, match=r"holds no bundle\.json"):
        bundles.read(tmp_path)


def test_shapes_and_numbers_that_are_none_are_told():
    inputs = {"x": np.zeros(2)}
    wanted = [np.ones((2, 3))]
    told = compare([(inputs, wanted)], lambda _: [np.ones((3, 2))], "fp32", 1e-4)
    assert told.fault == "it gives the shape (3, 2), and its original (2, 3)"
    told = compare([(inputs, wanted)], lambda _: [np.full((2, 3), np.nan)], "fp32", 1e-4)
    assert told.fault == "it gives numbers that are none"
    told = compare([(inputs, wanted)], lambda _: [], "fp32", 1e-4)
    assert told.fault == "it gives 0 outputs, and its original 1"


def test_golden_inputs_in_the_bundle_are_those_of_the_part(bundle):
    pairs = load_pairs(bundle / "golden/mix.npz")
    assert len(pairs) == 3
    for (inputs, wanted), drawn in zip(pairs, made_parts.part().inputs(3), strict=True):
        assert list(inputs) == ["values", "shift"]
        for name, array in drawn.items():
            np.testing.assert_array_equal(inputs[name], array)
        np.testing.assert_array_equal(wanted[0], tracing.original(made_parts.part(), drawn)[0])


# --- declaring --------------------------------------------------------------------------------


def test_a_declaration_is_checked():
    with pytest.raises(ValueError, match="must be 2 or more, and the example is"):
        made_parts.part(dynamic={"shift": {0: "n"}, "values": {2: "w", 3: "x"}})
    with pytest.raises(ValueError, match="has no input 'weights'"):
        made_parts.part(dynamic={"weights": {0: "n"}})
    with pytest.raises(ValueError, match="a name of its own"):
        made_parts.report(made_parts.part(), made_parts.part())
    with pytest.raises(ValueError, match="no path for a file"):
        made_parts.report(files={"../tokenizer.json": b""})


def test_outputs_that_are_not_named_are_told(tmp_path):
    with pytest.raises(ImgeditError, match="names 2 outputs and gives 1"):
        tracing.original(made_parts.part(outputs=("one", "two")), made_parts.part().example)


def test_what_cannot_be_traced_is_told_in_a_sentence(tmp_path):
    class Choosing(made_parts.Mix):
        def forward(self, values, shift):
            return values if float(values.sum()) > 0 else shift

    with pytest.raises(ImgeditError, match="PyTorch cannot export the part 'mix': ") as caught:
        exported(tmp_path / "out", made_parts.report(made_parts.part(Choosing().eval())))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        exported(tmp_path)
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_cancelling_leaves_nothing(tmp_path):
    job = Job(on_progress=lambda progress: job.cancel())
    with pytest.raises(ImgeditError, match="cancelled"):
        exported(tmp_path / "out", job=job)
    assert list(tmp_path.iterdir()) == []


def test_a_function_is_a_part_too(tmp_path):
    part = made_parts.part(lambda values, shift: values * 2 + shift.mean())
    document = exported(tmp_path / "out", made_parts.report(part), Wanted("fp16", golden=8))
    assert document.parts[0].precision == "fp32", "it has no weights to be halved"
    assert isinstance(part, Part)


class Cancelling(torch.nn.Module):
    """Large numbers that take each other away: their order decides what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.large = torch.nn.Parameter(torch.linspace(-1, 1, 32) * 3e5)

    def forward(self, values: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        moved = values + self.large
        return moved - self.large + shift.mean() * 0


def test_an_original_that_is_rough_itself_is_not_asked_for_more(tmp_path, monkeypatch):
    rough = made_parts.part(Cancelling().eval())
    document = export(made_parts.report(rough), "made", tmp_path / "same", Wanted(golden=20), None,
                      Job())  # fmt: skip
    assert document.part("mix").compared.rounding is None, "nothing was beyond the usual limit"
    nearly = functools.partial(_shifted, by=0.01)
    monkeypatch.setattr(exporting, "answers", nearly)
    document = export(made_parts.report(rough), "made", tmp_path / "near", Wanted(golden=20), None,
                      Job())  # fmt: skip
    compared = document.part("mix").compared
    assert 2e-4 < compared.largest < compared.limit
    assert compared.limit == pytest.approx(2 * compared.rounding)
    shown = CliRunner().invoke(cli, ["bundle", "show", str(tmp_path / "near")])
    assert f"mix: its original in float32 is {compared.rounding:.2g} from" in shown.output
    far = functools.partial(_shifted, by=0.3)
    monkeypatch.setattr(exporting, "answers", far)
    with pytest.raises(ExportFailedError, match="it differs from its original by"):
        export(made_parts.report(rough), "made", tmp_path / "far", Wanted(golden=20), None, Job())


def _shifted(session, inputs, name="", *, by):
    return [one + np.float32(by) for one in sessions.run(session, inputs, name)]
