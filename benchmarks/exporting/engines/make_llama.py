"""Files of a LLaMA with drawn weights: as transformers saves it, a bundle, and genai's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.exporting.deepened import deepen
from benchmarks.exporting.llama import drawn
from benchmarks.exporting.shapes import Shape
from imgedit_exporters.exporting import export
from imgedit_exporters.writing import Wanted
from imgedit_modelkit.export_parts import decoder_part, embeddings_part
from imgedit_plugins.exporting import ExportReport, Precision
from imgedit_plugins.jobs import Job

BLOCK, LEVEL = 32, 4
"""Of int4: weights that share a scale, and the accuracy level, which computes in int8."""


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """Writes `hf`, and of each precision ``bundle-P`` and ``genai-P``, in a folder."""
    folder, shape = Path(task["folder"]), Shape.of(task["shape"])

    def work(_: int) -> dict[str, Any]:
        model = drawn(shape, shape.made)
        model.save_pretrained(folder / "hf", max_shard_size="100GB")
        for precision in task["precisions"]:
            _bundle(model, folder / f"bundle-{precision}", precision)
        del model
        if task["genai"]:
            _save_tokenizer(folder / "hf", shape.vocabulary)
        for precision in task["precisions"]:
            deepen(folder / f"bundle-{precision}" / "decoder.onnx", shape.made, shape.layers)
            if task["genai"]:
                built = folder / f"genai-{precision}"
                _build(folder / "hf", built, precision)
                deepen(built / "model.onnx", shape.made, shape.layers)
                _tell_layers(built / "genai_config.json", shape.layers)
        return {}

    return work


def _bundle(model: Any, out: Path, precision: Precision) -> None:
    """By our exporter; of few golden inputs, and however large the loss of 4 bits is."""
    parts = (embeddings_part(model.get_input_embeddings()), decoder_part(model))
    wanted = Wanted(
        "fp32", {"decoder": precision}, BLOCK, LEVEL, golden=2, force=True, backend="auto"
    )
    export(ExportReport(model="llama", parts=parts), "benchmark", out, wanted, None, Job())


def _build(source: Path, out: Path, precision: str) -> None:
    """By genai's builder, as its users call it."""
    options = [f"int4_block_size={BLOCK}", f"int4_accuracy_level={LEVEL}"]
    extra = ["--extra_options", *options] if precision == "int4" else []
    subprocess.run(
        [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(source), "-o",
         str(out), "-p", precision, "-e", "cpu", "-c", str(source / "cache"), *extra],
        check=True, stdout=sys.stderr,
    )  # fmt: skip


def _tell_layers(path: Path, layers: int) -> None:
    config = json.loads(path.read_text("utf-8"))
    config["model"]["decoder"]["num_hidden_layers"] = layers
    path.write_text(json.dumps(config), "utf-8")


def _save_tokenizer(folder: Path, vocabulary: int) -> None:
    """One that genai's builder can copy; nothing is ever written with it."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = {f"t{number}": number for number in range(vocabulary)}
    kind: Any = WordLevel
    made: Any = PreTrainedTokenizerFast
    made(
        tokenizer_object=Tokenizer(kind(words, unk_token="t0")),
        unk_token="t0",
        bos_token="t1",
        eos_token="t2",
    ).save_pretrained(folder)
