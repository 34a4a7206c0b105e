"""`bundle.json`: what a bundle holds and says of itself.

::

    bundle.json               this document, with the hash of every other file
    NAME.onnx, NAME.onnx.data  a part, and its weights where they are large
    golden/NAME.npz           inputs of the part and what the original made of them
    golden/edits.npz          whole edits by the original, for the plugin
    engines/NAME.onnx, .engine  what TensorRT made of a part, for one card
    ...                       tokenizers and other files of the plugin's
"""

from __future__ import annotations

import inspect
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from imgedit_plugins.atomic import write_bytes_atomic
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.exporting import Precision
from imgedit_plugins.jobs import Job
from imgedit_plugins.weights import sha256_of

SCHEMA = "imgedit-bundle/1"
FILE = "bundle.json"
GOLDEN = "golden"
EDITS = "golden/edits.npz"
ENGINES = "engines"

Backend = Literal["torch", "genai", "optimum"]

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Meta(ge=0)]


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the document; unknown fields are faults."""


class File(_Table, frozen=True):
    """A file, as it was when the bundle was written."""

    sha256: Sha256
    size: Size


class Port(_Table, frozen=True):
    """An input or output of a part; a size that may differ has a name."""

    name: str
    type: str
    shape: tuple[int | str, ...]


class Compared(_Table, frozen=True):
    """A part beside its original.

    Attributes:
        golden: inputs that it was compared on.
        largest: the largest difference of all, as a share of the standard deviation of what the
            original gives.
        typical: the root of the mean square of the differences, of the worst input, as such a
            share.
        limit: what `largest` (fp32) or `typical` (fp16, bf16, int8, int4) may be.
        spread: how far what the original gives for one input is from what it gives for another, as
            such a share; where that is small, the comparison proves nothing.
        fault: what is wrong; '' where nothing is.
        rounding: the largest difference between the original and itself in float64; told where
            that has raised the limit, to twice as much.
    """

    golden: int
    largest: float | None
    typical: float | None
    limit: float
    spread: float | None
    fault: str = ""
    rounding: float | None = None


class Engine(_Table, frozen=True):
    """What TensorRT made of a part, for one card and version.

    Attributes:
        file: an ONNX file by which onnxruntime runs the engine.
        engine: the engine, beside it.
        card, capability, driver: of NVIDIA's card that it was built for.
        tensorrt: its version.
        compared: the engine beside the part's original, on the golden inputs that the bundle has.
    """

    file: str
    engine: str
    card: str
    capability: str
    driver: str
    tensorrt: str
    compared: Compared


class BundlePart(_Table, frozen=True):
    """One ONNX model of a bundle.

    Attributes:
        name, role: as the plugin declared them.
        precision: of its weights; inputs and outputs are float32 or int64, but for a decoder of
            onnxruntime-genai's form in fp16.
        file: its path.
        inputs, outputs: in order.
        compared: the part's place in the certificate.
        block: weights that share a scale, of int8 and int4.
        accuracy_level: of the kernel, of int8 and int4; 0 is as the runtime likes, 1 computes in
            fp32, 4 in int8.
        quantised: matrices in few bits; the others are float32.
        backend: that wrote it. 'genai' is a decoder of onnxruntime-genai's form; see
            `runtime.fused`.
        engines: of TensorRT.
    """

    name: str
    role: str
    precision: Precision
    file: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    compared: Compared
    block: int | None = None
    accuracy_level: int | None = None
    quantised: int | None = None
    backend: Backend = "torch"
    engines: tuple[Engine, ...] = ()


class Found(_Table, frozen=True):
    """One thing that was measured of whole edits; see `imgedit_plugins.exporting.Finding`."""

    what: str
    value: float | None
    passed: bool
    limit: float | None = None


class Certificate(_Table, frozen=True):
    """What was compared when the bundle was written.

    Attributes:
        passed: of all parts and edits.
        edits: whole edits of the bundle beside those of the original.
        faults: what was wrong; such a bundle is only written where that was forced.
        versions: of the packages that made it.
    """

    passed: bool
    edits: tuple[Found, ...] = ()
    faults: tuple[str, ...] = ()
    versions: dict[str, str] = {}


class Origin(_Table, frozen=True):
    """What a part of the model was made of, under which licence."""

    part: str
    file: str = ""
    sha256: str = ""
    licence: str = ""
    source: str = ""


class Document(_Table, frozen=True):
    """Contents of ``bundle.json``.

    Attributes:
        schema: 'imgedit-bundle/1'.
        plugin, model: what it is a bundle of.
        parts: its ONNX models.
        files: every other file of the folder, by path.
        lineage: what the model was made of, with licences.
        certificate: what was compared.
        settings: of the plugin's, for its composition.
    """

    schema: Literal["imgedit-bundle/1"]
    plugin: str
    model: str
    parts: tuple[BundlePart, ...]
    files: dict[str, File]
    certificate: Certificate
    lineage: tuple[Origin, ...] = ()
    settings: dict[str, Any] = {}

    def part(self, name: str) -> BundlePart:
        """The part of that name.

        Raises:
            WeightsError: there is none.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise WeightsError(f"The bundle of {self.plugin} has no part {name!r}.")


def is_bundle(folder: Path) -> bool:
    """Whether a folder has a ``bundle.json``."""
    return (folder / FILE).is_file()


def read(folder: Path) -> Document:
    """The document of a bundle; the files are not looked at.

    Raises:
        WeightsError: there is none, or it is malformed.
    """
    path = folder / FILE
    try:
        document = msgspec.json.decode(path.read_bytes(), type=Document)
    except OSError as error:
        raise WeightsError(
            f"{folder} holds no {FILE}.",
            path=path,
            hint="`imgedit-plugins export PLUGIN --to onnx -o FOLDER` makes a bundle.",
        ) from error
    except msgspec.DecodeError as error:
        raise WeightsError(f"{path} is no bundle's document: {error}.", path=path) from error
    engines = [file for part in document.parts for one in part.engines for file in _of(one)]
    for name in (*document.files, *(part.file for part in document.parts), *engines):
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise WeightsError(f"{path} names a file outside its folder: {name!r}.", path=path)
    return document


def _of(engine: Engine) -> tuple[str, str]:
    return engine.file, engine.engine


def write(folder: Path, document: Document) -> None:
    """Write the document; the folder is a bundle from then on."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    write_bytes_atomic(folder / FILE, text + b"\n")


def files_of(folder: Path, job: Job) -> dict[str, File]:
    """Every file of a folder but the document, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): File(sha256_of(path, job), path.stat().st_size)
        for path in paths
        if path != folder / FILE
    }


def damaged(folder: Path, document: Document, job: Job) -> list[str]:
    """What of a bundle's files is not as it was when it was written, one sentence each."""
    faults = []
    for number, (name, file) in enumerate(document.files.items()):
        job.report("checking files", number, len(document.files))
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing.")
        elif path.stat().st_size != file.size or sha256_of(path, job) != file.sha256:
            faults.append(f"{name} is not the file that was written.")
    return faults


def schema() -> dict[str, Any]:
    """The JSON Schema of the document; published in ``schemas/``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "imgedit-bundle-1.schema.json",
        "title": f"{FILE} ({SCHEMA})",
        **_portable(msgspec.json.schema(Document)),
    }


def _portable(node: Any) -> Any:
    """The same schema on every Python: docstrings dedented, alternatives in one order."""
    if isinstance(node, dict):
        made = {key: _portable(value) for key, value in node.items()}
        if isinstance(text := node.get("description"), str):
            made["description"] = inspect.cleandoc(text)
        if "anyOf" in made:
            made["anyOf"].sort(key=str)
        return made
    return [_portable(item) for item in node] if isinstance(node, list | tuple) else node


if __name__ == "__main__":
    import json

    print(json.dumps(schema(), indent=2))  # noqa: T201
