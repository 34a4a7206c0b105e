"""Providers: what is told of TensorRT where something is missing, and where its engines lie."""

from pathlib import Path

import pytest

from imgedit_exporters.runtime import providers
from imgedit_exporters.runtime.providers import Card, engine_folder, parsed, tensorrt_fault

CARD = Card("NVIDIA H100 80GB HBM3", "9.0", "580.65.06")


def test_what_nvidia_smi_says():
    text = "NVIDIA H100 80GB HBM3, 9.0, 580.65.06\nNVIDIA T4, 7.5, 580.65.06\n"
    assert parsed(text) == CARD
    for wrong in ("", "No devices were found\n", "a, , c\n"):
        assert parsed(wrong) is None


def test_what_is_missing_is_one_sentence():
    assert tensorrt_fault(None, "10.16.1") == "nvidia-smi finds no NVIDIA card."
    missing = tensorrt_fault(CARD, "")
    assert missing.startswith("TensorRT is not installed; run pip install")
    assert "[runtime-gpu,tensorrt]" in missing
    newest = tensorrt_fault(CARD, "11.4.0.106")
    assert newest.startswith("TensorRT 11.4.0.106 is installed, and onnxruntime wants 10;")
    assert tensorrt_fault(CARD, "10.16.1.11") == ""


def test_an_engine_is_good_for_one_card_driver_version_and_part(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = engine_folder(CARD, "10.16.1", "unet-0")
    assert folder == tmp_path / "imgedit-plugins/tensorrt" / (
        "NVIDIA_H100_80GB_HBM3-sm9.0-580.65.06-trt10.16.1"
    ) / "unet-0"  # fmt: skip
    others = [
        engine_folder(Card("NVIDIA T4", "9.0", "580.65.06"), "10.16.1", "unet-0"),
        engine_folder(Card(CARD.name, "8.0", "580.65.06"), "10.16.1", "unet-0"),
        engine_folder(Card(CARD.name, "9.0", "570.1"), "10.16.1", "unet-0"),
        engine_folder(CARD, "10.9.0", "unet-0"),
        engine_folder(CARD, "10.16.1", "unet-1"),
    ]
    assert len({folder, *others}) == 6


def test_options_and_the_first_compile(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(providers, "card", lambda: CARD)
    monkeypatch.setattr(providers, "tensorrt_version", lambda: "10.16.1")
    part = tmp_path / "unet.onnx"
    part.write_bytes(b"graph")
    told: list[str] = []
    name = providers.PROVIDERS["tensorrt"]
    options = providers.options_of(name, part, told.append)
    assert told == [
        "TensorRT compiles unet.onnx for NVIDIA H100 80GB HBM3; this takes minutes, once."
    ]
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir()
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "True"
    assert Path(options["trt_timing_cache_path"]) == folder.parent
    (folder / "a.engine").write_bytes(b"engine")
    assert providers.options_of(name, part, told.append) == options
    assert len(told) == 1, "the second time it is there"
    part.write_bytes(b"another graph")
    assert providers.options_of(name, part)["trt_engine_cache_path"] != str(folder)
    assert providers.options_of(providers.PROVIDERS["cuda"], part) == {}


@pytest.mark.parametrize(
    ("there", "card", "release", "chosen", "told"),
    [
        ([], CARD, "10.1", ["cpu"], "The installed onnxruntime has no tensorrt; the CPU"),
        (["tensorrt", "cuda"], None, "10.1", ["cuda", "cpu"], "nvidia-smi finds no NVIDIA card."),
        (["tensorrt", "cuda"], CARD, "11.4", ["cuda", "cpu"], "onnxruntime wants 10"),
        (["tensorrt", "cuda"], CARD, "10.16", ["tensorrt", "cuda", "cpu"], ""),
    ],
)
def test_what_runs_a_bundle_that_tensorrt_shall_run(
    monkeypatch, there, card, release, chosen, told
):
    class Ort:
        @staticmethod
        def get_available_providers():
            return [providers.PROVIDERS[one] for one in (*there, "cpu")]

    monkeypatch.setattr(providers, "onnxruntime", lambda: Ort)
    monkeypatch.setattr(providers, "card", lambda: card)
    monkeypatch.setattr(providers, "tensorrt_version", lambda: release)
    said: list[str] = []
    found = providers.chosen_providers("tensorrt", said.append)
    assert list(found) == [providers.PROVIDERS[one] for one in chosen]
    assert told in "".join(said)
    assert bool(said) == bool(told)
