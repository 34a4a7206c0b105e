"""The crops on which plans are compared, and the losses of the edited file that they model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from made_pictures import Value, edit, moves_of, picture
from PIL import Image

from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import RGB8, JpegCompression, Picture
from imgedit_reverse_design.align import TURNS, Turn
from imgedit_reverse_design.moves import Renderer
from imgedit_reverse_design.places import DEEP_MARGIN, MARGIN, choose_places
from imgedit_reverse_design.scene import Pair, Scene, compress, cut_scene

PLAN: tuple[tuple[str, Value], ...] = (("bright", 30.0), ("gaussian", 9), ("summer", None))


def scene_of(pair: Pair, margin: int = MARGIN) -> Scene:
    return cut_scene(pair, choose_places(pair.source, pair.edited, pair.opaque), margin)


def error(shown: RGB8, scene: Scene) -> float:
    return float(np.square(shown.astype(float) - scene.target).mean())


@pytest.mark.parametrize(
    "shape", [(16, 16), (100, 2000), (2000, 100), (240, 320), (1, 1), (64, 500), (600, 601)]
)
@pytest.mark.parametrize("margin", [MARGIN, DEEP_MARGIN])
def test_the_identity_shows_the_target_bit_for_bit(shape: tuple[int, int], margin: int) -> None:
    pixels = picture(*shape)
    scene = scene_of(Pair(pixels, pixels), margin)
    assert np.array_equal(scene.inner(scene.pixels), scene.target)
    assert np.array_equal(scene.inner(scene.pixels, lossy=True), scene.target)
    assert len(scene.crops) <= 3
    assert scene.target.shape[1] == 3
    assert len(scene.target) == sum(
        (c.inner[0].stop - c.inner[0].start) * (c.inner[1].stop - c.inner[1].start)
        for c in scene.crops
    )
    first = scene.first_place()
    assert np.array_equal(first.inner(first.pixels), scene.target[: len(first.target)])


@pytest.mark.parametrize("moves", [PLAN, (("blur", 9),), (("gaussian", 21), ("sharp", None))])
def test_margins_are_wide_enough_for_blurs(
    photo: RGB8, renderer: Renderer, moves: tuple[tuple[str, Value], ...]
) -> None:
    scene = scene_of(Pair(photo, edit(photo, *moves)))
    rendered = renderer.render_all(scene.pixels, moves_of(*moves))
    assert np.array_equal(scene.inner(rendered), scene.target)


def test_the_deep_margin_is_nearly_wide_enough_for_detail_filters(renderer: Renderer) -> None:
    source = picture(400, 520, seed=6)
    pair = Pair(source, edit(source, ("hdr", None)))
    for crop in scene_of(pair).crops:
        scene = Scene((crop,), None)
        rendered = renderer.render_all(scene.pixels, moves_of(("hdr", None)))
        assert error(scene.inner(rendered), scene) < 25
    for place in choose_places(source, pair.edited, None):
        scene = cut_scene(pair, (place,), DEEP_MARGIN)
        rendered = renderer.render_all(scene.pixels, moves_of(("hdr", None)))
        assert error(scene.inner(rendered), scene) < 0.2


@pytest.mark.parametrize("turn", TURNS)
def test_a_scene_may_be_turned_after_rendering(photo: RGB8, renderer: Renderer, turn: Turn) -> None:
    edited = turn.apply(edit(photo, ("hdr", None)))
    pair = Pair(turn.apply(photo), edited)
    for place in choose_places(pair.source, edited, None):
        scene = cut_scene(pair, (place,), DEEP_MARGIN).turned_after(turn)
        rendered = renderer.render_all(scene.pixels, moves_of(("hdr", None)))
        assert error(scene.inner(rendered), scene) < 0.2


@pytest.mark.parametrize("size", [(120, 160), (107, 143), (213, 284), (333, 444)])
def test_a_scaled_picture_is_met_nearly(
    photo: RGB8, renderer: Renderer, size: tuple[int, int]
) -> None:
    whole = edit(photo, *PLAN)
    edited = np.asarray(cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    if size[0] > photo.shape[0]:  # OpenCV's averaging does not enlarge
        edited = np.asarray(Image.fromarray(whole).resize(size[::-1], Image.Resampling.BILINEAR))
    scene = scene_of(Pair(photo, edited, filter="area" if size[0] < 240 else "triangle"))
    rendered = renderer.render_all(scene.pixels, moves_of(*PLAN))
    assert error(scene.inner(rendered), scene) < 0.4
    assert error(scene.inner(scene.pixels), scene) > 100


# --- JPEG -----------------------------------------------------------------------------------------


def saved_by_opencv(pixels: RGB8, path: Path, quality: int, subsampling: int) -> Picture:
    factor = {
        0: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        1: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
        2: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    }[subsampling]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    assert cv2.imwrite(str(path), pixels[..., ::-1], options)
    return open_picture(path)


def saved_by_pillow(pixels: RGB8, path: Path, quality: int, subsampling: int) -> Picture:
    Image.fromarray(pixels).save(path, "JPEG", quality=quality, subsampling=subsampling)
    return open_picture(path)


def jpeg_of(opened: Picture) -> JpegCompression:
    assert opened.origin is not None
    assert opened.origin.jpeg is not None
    return opened.origin.jpeg


@pytest.mark.parametrize("save", [saved_by_opencv, saved_by_pillow])
@pytest.mark.parametrize("quality", [60, 90, 98])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_compression_is_modelled(
    photo: RGB8, renderer: Renderer, tmp_path: Path, save: object, quality: int, subsampling: int
) -> None:
    write = saved_by_opencv if save is saved_by_opencv else saved_by_pillow
    opened = write(edit(photo, *PLAN), tmp_path / "edited.jpg", quality, subsampling)
    jpeg = jpeg_of(opened)
    assert jpeg.subsampling == subsampling
    scene = scene_of(Pair(photo, opened.rgb8(), jpeg=jpeg))
    rendered = renderer.render_all(scene.pixels, moves_of(*PLAN))
    modelled = error(scene.inner(rendered, lossy=True), scene)
    plain = error(scene.inner(rendered), scene)
    assert modelled < 0.05
    assert modelled < plain / 10
    # A plan that is nearly right is told from the right one.
    wrong = renderer.render_all(scene.pixels, moves_of(("bright", 31.0), *PLAN[1:]))
    assert error(scene.inner(wrong, lossy=True), scene) > 5 * modelled + 0.1


@pytest.mark.parametrize("shape", [(241, 323), (50, 37), (9, 200)])
def test_compression_is_modelled_at_borders_inside_a_coding_unit(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    pixels = picture(*shape)
    opened = saved_by_pillow(pixels, tmp_path / "edited.jpg", 80, 2)
    scene = scene_of(Pair(pixels, opened.rgb8(), jpeg=jpeg_of(opened)))
    assert error(scene.inner(scene.pixels, lossy=True), scene) < 0.05


@pytest.mark.parametrize("quality", [60, 90])
def test_grey_jpeg_files_are_modelled_too(
    photo: RGB8, renderer: Renderer, tmp_path: Path, quality: int
) -> None:
    grey = edit(photo, ("grayscale", None))
    path = tmp_path / "grey.jpg"
    Image.fromarray(grey[..., 0]).save(path, "JPEG", quality=quality)
    opened = open_picture(path)
    assert opened.is_grey
    scene = scene_of(Pair(photo, opened.rgb8(), jpeg=jpeg_of(opened)))
    rendered = renderer.render_all(scene.pixels, moves_of(("grayscale", None)))
    assert error(scene.inner(rendered, lossy=True), scene) < 0.05


def test_a_colour_jpeg_with_one_table_keeps_its_colours(photo: RGB8, tmp_path: Path) -> None:
    path = tmp_path / "one.jpg"
    Image.fromarray(photo).save(path, "JPEG", qtables=[[4] * 64], subsampling=0)
    opened = open_picture(path)
    assert len(jpeg_of(opened).tables) == 1
    scene = scene_of(Pair(photo, opened.rgb8(), jpeg=jpeg_of(opened)))
    assert error(scene.inner(scene.pixels, lossy=True), scene) < 0.05


def test_compressing_with_a_file_s_own_tables_gives_that_file(photo: RGB8, tmp_path: Path) -> None:
    opened = saved_by_pillow(photo, tmp_path / "photo.jpg", 75, 2)
    gap = compress(photo, jpeg_of(opened)).astype(int) - opened.rgb8()
    assert np.abs(gap).max() <= 1
    assert np.square(gap).mean() < 0.02


def test_unknown_subsampling_is_no_trouble(photo: RGB8) -> None:
    tables = (tuple([3] * 64), tuple([5] * 64))
    shown = compress(photo, JpegCompression(tables, -1))
    assert shown.shape == photo.shape
    assert np.square(shown.astype(int) - photo).mean() < 60
