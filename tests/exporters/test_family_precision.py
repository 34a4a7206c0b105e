"""Whole families in other precisions than fp32: as good as it gets, or refused for a reason."""

from pathlib import Path

import made_parts
import mgie_exported
import numpy as np
import pytest
import reason_exported
import torch
from torch import nn

from imgedit_exporters import quantising, writing
from imgedit_exporters.exporting import ExportFailedError, Wanted, export
from imgedit_exporters.runtime import bundles
from imgedit_modelkit.diffusion.testing import tiny_editor
from imgedit_modelkit.export_diffusion import diffusion_parts
from imgedit_modelkit.testing import realistic
from imgedit_plugins.jobs import Job

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

PSNR = "edited pictures, lowest PSNR in dB"
AS_WRITTEN = "edited pictures by the original's words, lowest PSNR in dB"


def edits_of(folder: Path) -> dict[str, float]:
    return {one.what: one.value for one in bundles.read(folder).certificate.edits}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mgie", "reason"])
def test_a_whole_family_in_half_precision(family, mgie_model, reason_trained, tmp_path):
    exported, model = {
        "mgie": (mgie_exported.exported, mgie_model),
        "reason": (reason_exported.exported, reason_trained),
    }[family]
    document = exported(model, tmp_path / "bundle", Wanted("fp16", golden=8))
    assert {part.precision for part in document.parts} == {"fp16"}
    assert document.certificate.passed
    assert max(part.compared.typical for part in document.parts) < 0.01
    assert edits_of(tmp_path / "bundle")[PSNR] >= 40


class Waves(nn.Module):
    """A time as sines, as the UNets of diffusers begin with it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = realistic(nn.Linear(8, 8))

    def forward(self, time: torch.Tensor) -> torch.Tensor:
        rates = torch.exp(-torch.arange(8, device=time.device) * 9.2 / 8)
        waves = torch.sin(time[:, None].float() * rates)
        return self.linear(waves.to(self.linear.weight.dtype))


def test_a_time_stays_exact_in_half_precision(tmp_path):
    """Why whole families in fp16 were refused once: half precision has 998.5 after 998."""
    fields = {
        "module": Waves().eval(), "example": {"time": np.array([1, 2], np.float32)},
        "outputs": ("waves",), "dynamic": {"time": {0: "n"}},
        "draw": lambda rng: {"time": rng.uniform(0, 999, 4).astype(np.float32)},
    }  # fmt: skip
    part = made_parts.part(**fields, exact=("time",))
    wanted = Wanted("fp16", golden=20)
    export(made_parts.report(part), "made", tmp_path / "out", wanted, None, Job())
    rounded = made_parts.report(made_parts.part(**fields))
    with pytest.raises(ExportFailedError, match="it differs from its original by"):
        export(rounded, "made", tmp_path / "rounded", wanted, None, Job())
    assert diffusion_parts(tiny_editor())[0].exact == ("time",)


@pytest.mark.slow
def test_a_whole_family_in_8_bits_tells_how_good_its_edits_are(
    mgie_model, mgie_bundle, reason_trained, reason_bundle, tmp_path
):
    for exported, model, usual in (
        (mgie_exported.exported, mgie_model, mgie_bundle),
        (reason_exported.exported, reason_trained, reason_bundle),
    ):
        out = tmp_path / exported.__module__
        document = exported(model, out, Wanted("int8", golden=8))
        assert {part.precision for part in document.parts} == {"int8", "fp32"}
        assert [part.name for part in document.parts if part.precision == "fp32"] == ["embeddings"]
        edits = edits_of(out)
        assert edits.get(AS_WRITTEN, edits[PSNR]) > 30
        assert edits[PSNR] < edits_of(usual)[PSNR]


def test_weights_in_fewer_bits_than_4_are_refused(reason_trained, tmp_path, monkeypatch):
    """Parts in 4 bits may be worse than others, and not as bad as in 2."""
    quantise = quantising.quantise

    def coarse(source: Path, target: Path, grain: quantising.Grain) -> int:
        import onnx
        from onnx import numpy_helper

        model = onnx.load(source)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.ndim == 2:
                step = np.abs(array).max(axis=0, keepdims=True) / 1.5
                rounded = (np.floor(array / step) + 0.5) * step
                tensor.CopyFrom(numpy_helper.from_array(rounded.astype(np.float32), tensor.name))
        onnx.save(model, source)
        return quantise(source, target, grain)

    monkeypatch.setattr(writing, "quantise", coarse)
    with pytest.raises(ExportFailedError) as refused:
        reason_exported.exported(reason_trained, tmp_path / "out", Wanted("int4", golden=8))
    for name in ("tower", "projector", "decoder", "vae_encoder"):
        assert f"The part {name!r} (int4) fails: it differs" in str(refused.value)
    assert not (tmp_path / "out").exists()
