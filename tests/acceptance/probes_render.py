"""Measurements for 02_render.py that need imgedit_plugins; each prints JSON.

python tests/acceptance/probes_render.py NAME ARGUMENTS...
"""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from benchmarks.reference_edits import Edit, apply_edits
from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import ImgeditError, JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Metadata, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, parse_plan, step
from imgedit_plugins.render import render_plan

MEGAPIXELS_24 = (4000, 6000)
FORMATS = {
    "png": "uint16",
    "tif": "uint16",
    "jxl": "uint16",
    "jpg": "uint8",
    "webp": "uint8",
    "avif": "uint8",
    "heic": "uint8",
}
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF>'
    b'</x:xmpmeta><?xpacket end="w"?>'
)


def _plan(*steps: PlannedOperation) -> EditPlan:
    return EditPlan(operations=steps)


def _large(dtype: str = "uint8") -> Picture:
    tile = np.random.default_rng(0).random((100, MEGAPIXELS_24[1], 3), np.float32)
    codes = tile if dtype == "float32" else (tile * np.iinfo(dtype).max).astype(dtype)
    return Picture(np.ascontiguousarray(np.tile(codes, (MEGAPIXELS_24[0] // 100, 1, 1))))


def _apart(a: Any, b: Any) -> float:
    return float(np.abs(a.astype(np.float64) - b).max())


# --- rendering --------------------------------------------------------------------------------


def depths() -> dict[str, dict[str, Any]]:
    """Type and number of levels after a plan, of a ramp that has all 65536 of them."""
    edit = _plan(step("exposure", stops=0.3), step("sepia"), step("saturate", factor=1.2))
    found = {}
    for dtype in ("uint8", "uint16", "float32"):
        white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
        ramp = (np.linspace(0.1, 0.6, 1 << 16) * white).astype(dtype).reshape(64, 1024, 1)
        for mode, channels in (("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
            picture = Picture(np.ascontiguousarray(ramp.repeat(channels, axis=2)))
            result = render_plan(picture, edit)
            before, after = picture.alpha, result.alpha
            kept = before is None or after is None or np.array_equal(after, before)
            levels = len(np.unique(result.pixels[:, :, 0]))
            same = bool(result.pixels.dtype == dtype and result.has_alpha == picture.has_alpha)
            found[f"{dtype} {mode}"] = {"kept": same and kept, "levels": levels}
    return found


def rounding() -> dict[str, float]:
    """Largest difference in codes: of each mode to what it is to be."""
    names = {"bright": 30.0, "sepia": 1.0, "contrast": 1.3, "saturate": 1.5, "gaussian": 5.0}
    edit = _plan(
        step("bright", offset=30),
        step("sepia"),
        step("contrast", gain=1.3),
        step("saturate", factor=1.5),
        step("gaussian", kernel=5),
    )
    picture = photograph(400, 300)
    edits = [Edit(name, value) for name, value in names.items()]
    theirs = apply_edits(np.ascontiguousarray(picture.pixels[..., ::-1]), edits)[..., ::-1]
    each = render_plan(picture, edit, rounding="each-step").pixels
    floats = Picture((picture.pixels / np.float32(255)).astype(np.float32))
    exact = render_plan(floats, edit).pixels * 255.0
    end = render_plan(picture, edit, rounding="end").pixels
    deep = Picture(picture.pixels.astype(np.uint16) * 257)
    deep_end = render_plan(deep, edit).pixels / 257.0
    return {
        "each step to the second implementation": _apart(each, theirs),
        "end to unrounded": _apart(end, exact),
        "16 bits to unrounded": _apart(deep_end, exact),
        "each step to unrounded": _apart(each, exact),
    }


def cancelled() -> dict[str, float]:
    """Milliseconds until a cancelled rendering of 24 megapixels stops, reports before it."""
    picture = _large()
    edit = _plan(step("bright", offset=5), step("saturate", factor=1.4), step("sharp"),
                 step("sepia"), step("saturate", factor=1.2))  # fmt: skip
    begun, stopped, told = threading.Event(), [], []

    def watch(progress: Any) -> None:
        told.append(progress.done)
        if progress.done >= 20:
            begun.set()

    job = Job(on_progress=watch)

    def work() -> None:
        try:
            render_plan(picture, edit, job=job)
        except JobCancelledError:
            stopped.append(time.perf_counter())

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    asked = time.perf_counter()
    job.cancel()
    thread.join()
    late = (stopped[0] - asked) * 1000 if stopped else float("inf")
    return {"milliseconds": late, "reports": len(told), "rising": float(told == sorted(set(told)))}


def cores() -> dict[str, float]:
    """Threads that share a rendering of 24 megapixels: all computing time / that of one."""
    picture = _large()
    edit = _plan(step("saturate", factor=1.4), step("sepia"), step("exposure", stops=0.2))
    render_plan(picture, edit)
    clocks = (time.perf_counter, time.process_time, time.thread_time)
    started = [clock() for clock in clocks]
    render_plan(picture, edit)
    wall, every, mine = (clock() - start for clock, start in zip(clocks, started, strict=True))
    return {"busy": every / mine, "there": os.cpu_count() or 1, "milliseconds": wall * 1000}


def hdr() -> dict[str, float]:
    """The HDR look on 24 megapixels of 16 bits: seconds, MiB beside picture and result, levels."""
    picture, edit = _large("uint16"), _plan(step("hdr"))
    render_plan(photograph(64, 48, dtype="uint16"), edit)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    result = render_plan(picture, edit)
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    small = photograph(300, 200, dtype="uint16")
    ours = render_plan(small, edit).pixels
    eight = Picture(((small.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8))
    apart = np.abs(render_plan(eight, edit).pixels.astype(float) - ours / 257.0)
    return {
        "seconds": seconds,
        "mib": grown - result.pixels.nbytes / (1 << 20),
        "levels": len(np.unique(ours)),
        "mean_apart": float(apart.mean()),
    }


# --- files for the command line ---------------------------------------------------------------


def make_large(folder: str) -> int:
    """Eight JPEG files of 6 megapixels."""
    Path(folder).mkdir(parents=True)
    picture = photograph(3000, 2000)
    for number in range(8):
        save_picture(picture, Path(folder) / f"{number}.jpg")
    return 8


def make_pictures(folder: str) -> dict[str, str]:
    """A 16-bit picture with alpha, a mask, a picture in Display P3 and the same in sRGB."""
    out = Path(folder)
    deep = photograph(300, 200, mode="RGBA", dtype="uint16")
    save_picture(deep, out / "deep.png")
    mask = np.zeros((200, 300), np.uint8)
    mask[:, 100:200], mask[:, 200:] = 128, 255
    Image.fromarray(mask).save(out / "mask.png")
    mild = Picture((photograph(300, 200, dtype="uint16").pixels // 2 + 16384).astype(np.uint16))
    save_picture(mild, out / "srgb.tif")
    import pyvips

    image = pyvips.Image.new_from_file(str(out / "srgb.tif"))
    wide = image.icc_transform("p3", input_profile="srgb", depth=16)
    wide.write_to_file(str(out / "p3.tif"))
    return {}


def pixels_apart(a: str, b: str) -> dict[str, float]:
    """Largest differences between two files, and to nothing, in codes of their type."""
    one, other = (open_picture(Path(path)).pixels for path in (a, b))
    return {
        "same_type": float(one.dtype == other.dtype and one.shape == other.shape),
        "largest": _apart(one, other),
    }


def masked(before: str, full: str, part: str) -> dict[str, Any]:
    """The thirds of mask.png in a picture, its edit and its masked edit."""
    start, edit, result = (open_picture(Path(path)).pixels for path in (before, full, part))
    expected = start[:, 100:200] + (edit[:, 100:200].astype(float) - start[:, 100:200]) * 128 / 255
    return {
        "type": str(result.dtype),
        "outside": bool(np.array_equal(start[:, :100], result[:, :100])),
        "inside": bool(np.array_equal(edit[:, 200:], result[:, 200:])),
        "between": _apart(result[:, 100:200], expected),
    }


def doubled(before: str, full: str, double: str) -> float:
    """How far a file is from twice the change of another, in codes."""
    start, edit, result = (
        open_picture(Path(p)).pixels.astype(float) for p in (before, full, double)
    )
    return _apart(result, np.clip(2 * edit - start, 0, 65535))


def profiled(p3: str, srgb: str) -> dict[str, Any]:
    """An edited P3 file converted to sRGB by libvips, beside the edited sRGB file; 8-bit codes."""
    import pyvips

    wide = pyvips.Image.new_from_file(p3)
    kept = wide.get("icc-profile-data") if wide.get_typeof("icc-profile-data") else b""
    name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(kept)))
    back = wide.icc_transform("srgb", embedded=True, depth=16).numpy()
    apart = np.abs(back.astype(float) - open_picture(Path(srgb)).pixels) / 257
    return {"profile": name.strip(), "largest": float(apart.max()), "mean": float(apart.mean())}


def cube_apart(cube: str, plan: str, picture: str) -> float:
    """A .cube looked up by our own few lines, beside the plan itself: mean codes of 8 bits."""
    lines = Path(cube).read_text("utf-8").splitlines()
    size = next(int(line.split()[1]) for line in lines if line.startswith("LUT_3D_SIZE"))
    rows = [line.split() for line in lines if line and (line[0].isdigit() or line[0] == "-")]
    # Red runs fastest: blue, green, red.
    table = np.array(rows, float).reshape(size, size, size, 3)
    start = open_picture(Path(picture)).rgb8()
    places = start / 255.0 * (size - 1)
    low = np.clip(places.astype(int), 0, size - 2)
    share = places - low
    found = np.zeros_like(places)
    for corner in np.ndindex(2, 2, 2):
        r, g, b = (low[..., k] + corner[k] for k in range(3))
        weights = [share[..., k] if corner[k] else 1 - share[..., k] for k in range(3)]
        found += (weights[0] * weights[1] * weights[2])[..., None] * table[b, g, r]
    truth = render_plan(Picture(start), parse_plan(Path(plan).read_text("utf-8"))).pixels
    return float(np.abs(found * 255 - truth).mean())


# --- picture files ----------------------------------------------------------------------------


def make_files(folder: str) -> dict[str, str]:
    """All that a photograph carries, in each format; for each why not, or nothing."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "Kamera", "2024:05:06 07:08:09"
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 300.0, 2
    metadata = Metadata(exif=exif.tobytes(), xmp=XMP, resolution=(300.0, 300.0))
    answers = {}
    for name, dtype in FORMATS.items():
        picture = photograph(120, 80, dtype="uint16" if dtype == "uint16" else "uint8")
        whole = Picture(picture.pixels, icc_profile=profile, metadata=metadata)
        try:
            save_picture(whole, Path(folder) / f"picture.{name}")
            answers[name] = ""
        except ImgeditError as error:
            answers[name] = str(error)
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb = Image.fromarray(photograph(120, 80).pixels)
    rgb.save(Path(folder) / "turned.jpg", exif=turned)
    rgb.convert("CMYK").save(Path(folder) / "cmyk.jpg")
    (Path(folder) / "camera.raf").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(500))
    (Path(folder) / "camera.cr2").write_bytes(b"II*\0\x10\0\0\0CR\x02\0" + bytes(500))
    _with_credentials(Path(folder))
    return answers


def _with_credentials(folder: Path) -> None:
    """A JPEG with the start of a C2PA manifest in APP11, as the specification has it."""

    def box(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data) + 8, kind) + data

    kind = b"c2pa" + bytes.fromhex("00110010800000aa00389b71")
    jumbf = box(b"jumb", box(b"jumd", kind + b"\x03c2pa\0") + box(b"cbor", b"\xa0"))
    payload = b"JP" + struct.pack(">HI", 1, 1) + jumbf
    data = (folder / "turned.jpg").read_bytes()
    segment = b"\xff\xeb" + struct.pack(">H", len(payload) + 2) + payload
    (folder / "credentials.jpg").write_bytes(data[:2] + segment + data[2:])


def kept(before: str, after: str) -> dict[str, Any]:
    """What an edited file has of what the first one had."""
    one, other = open_picture(Path(before)), open_picture(Path(after))
    exif = Image.Exif()
    exif.load(other.metadata.exif or b"")
    return {
        "depth": one.pixels.dtype == other.pixels.dtype,
        "ICC": one.icc_profile == other.icc_profile is not None,
        "EXIF": exif.get(0x010F) == "Kamera",
        "XMP": b'xmp:Rating="4"' in (other.metadata.xmp or b""),
        "resolution": [round(d) for d in other.metadata.resolution or ()] == [300, 300],
        "edited": not np.array_equal(one.pixels, other.pixels),
    }


def sizes(path: str) -> list[int]:
    """Width, height and orientation of a file, without our code."""
    with Image.open(path) as image:
        return [*image.size, image.getexif().get(0x0112, 1)]


# --- folders ----------------------------------------------------------------------------------


def make_folder(folder: str, count: str) -> list[str]:
    """Photographs in subfolders, one that the edit clips, a damaged one and a text."""
    out = Path(folder)
    (out / "day 2").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010F] = "Kamera"
    names = []
    for number in range(int(count)):
        path = out / ("day 2" if number % 3 == 0 else "") / f"photo {number}.jpg"
        pixels = photograph(1200, 800, seed=number).pixels
        Image.fromarray(pixels).save(path, exif=exif)
        names.append(str(path.relative_to(out)))
    bright = np.clip(photograph(900, 600, seed=99).pixels // 3 + 170, 0, 254).astype(np.uint8)
    Image.fromarray(bright).save(out / "bright.jpg", exif=exif)
    (out / "damaged.jpg").write_bytes((out / "bright.jpg").read_bytes()[:2000])
    (out / "notes.txt").write_text("no picture")
    return [*names, "bright.jpg"]


def same_files(one: str, other: str) -> dict[str, Any]:
    """Whether two folders hold the same pictures, and whether EXIF is there."""
    first, second = (
        {p.relative_to(f): p for p in sorted(Path(f).rglob("*.jpg"))} for f in (one, other)
    )
    makes = [Image.open(path).getexif().get(0x010F) for path in second.values()]
    same = first.keys() == second.keys() and all(
        first[name].read_bytes() == second[name].read_bytes() for name in first
    )
    return {"count": len(second), "same": same, "exif": all(make == "Kamera" for make in makes)}


def drawn_alike(folder: str, others: str) -> dict[str, float]:
    """How far pictures of the same names in two folders are apart, in codes on average."""
    found = {}
    for path in sorted(Path(folder).glob("*.webp")):
        a, b = (cv2.imread(str(p)) for p in (path, Path(others) / path.name))
        if a is None or b is None or a.shape != b.shape:
            found[path.stem] = 255.0
        else:
            found[path.stem] = float(cv2.absdiff(a, b).mean())
    return found


def sources() -> str:
    """The hash that results of benchmarks.render carry."""
    from benchmarks.rendering.sources import sources_sha256

    return sources_sha256()


PROBES = (
    *(depths, rounding, cancelled, cores, hdr, masked, doubled, profiled, cube_apart, sources),
    *(make_pictures, make_large, make_files, make_folder, pixels_apart, kept, sizes),
    *(same_files, drawn_alike),
)

if __name__ == "__main__":
    probe = {function.__name__: function for function in PROBES}[sys.argv[1]]
    print(json.dumps(probe(*sys.argv[2:])))
