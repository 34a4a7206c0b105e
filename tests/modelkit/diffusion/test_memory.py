"""How much an edit needs, and what is saved of it where too little is free."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

import torch  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from imgedit_modelkit.diffusion import memory  # noqa: E402
from imgedit_modelkit.diffusion.conditioning import Conditioning  # noqa: E402
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling  # noqa: E402
from imgedit_modelkit.diffusion.guidance import Guidance  # noqa: E402
from imgedit_modelkit.diffusion.memory import _KERNELS, ROOM, Needs, chosen, needs  # noqa: E402
from imgedit_modelkit.diffusion.saving import Saving  # noqa: E402
from imgedit_modelkit.diffusion.testing import tiny_editor  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402

LEVELS = {"sample_size": 64, "in_channels": 8, "cross_attention_dim": 64}


class Live(TorchDispatchMode):
    """Counts the bytes of all tensors that are there at a time, weights aside."""

    def __init__(self, *modules: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known = {
            p.untyped_storage()._cdata for module in modules for p in module.parameters()
        }

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place not in self._known:
            self._known.add(place)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.now -= size


class Fused:
    """Attention whose products never lie in memory, as PyTorch's kernels compute it."""

    def __call__(self, attention: Any, states: Any, encoder_hidden_states: Any = None, **_: Any):
        before = states
        if flat := states.ndim == 4:
            batch, width, height, length = states.shape
            states = states.view(batch, width, -1).transpose(1, 2)
        if attention.group_norm is not None:
            states = attention.group_norm(states.transpose(1, 2)).transpose(1, 2)
        other = states if encoder_hidden_states is None else encoder_hidden_states
        query, *_others = attention.to_q(states), attention.to_k(other), attention.to_v(other)
        out = attention.to_out[0](torch.empty_like(query))
        if flat:
            out = out.transpose(1, 2).reshape(batch, width, height, length)
        return out + before if attention.residual_connection else out


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize(
    ("widths", "channels"),
    [
        ((64, 128, 256, 256), (32, 64, 128, 128)),
        ((320, 640, 1280, 1280), (128, 256, 512, 512)),  # Stable Diffusion 1
    ],
)
def test_the_estimate_is_what_models_of_this_kind_keep(widths, channels, side):
    from diffusers import AutoencoderKL, UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(**LEVELS, block_out_channels=widths)
        vae = AutoencoderKL(
            block_out_channels=channels, sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=2,
            up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=16,
        )  # fmt: skip
        for part in (unet, vae):
            part.set_attn_processor(Fused())
        latents = side // 8
        with torch.no_grad(), Live(unet) as painting:
            unet(
                torch.empty(1, 8, latents, latents),
                torch.zeros(()),
                encoder_hidden_states=torch.empty(1, 77, 64),
            )
        with torch.no_grad(), Live(vae) as decoding:
            vae.decoder(torch.empty(1, 4, latents, latents))
    told = needs(unet.config, vae.config, size=(side, side), number=4)
    assert told.one_pass / _KERNELS == pytest.approx(painting.most, rel=0.1)
    assert told.coding / _KERNELS == pytest.approx(decoding.most, rel=0.1)


NEEDED = Needs(unet=100, vae=10, one_pass=20, branches=3, pictures=1, coding=50, tile=15)


@pytest.mark.parametrize(
    ("room", "elsewhere", "expected"),
    [
        (170, True, Saving()),
        (169, True, Saving(branches_apart=True)),
        (159, True, Saving(branches_apart=True, offload=True)),
        (159, False, Saving(branches_apart=True, tiled_vae=True)),
        (120, True, Saving(branches_apart=True, offload=True)),
    ],
)
def test_the_first_way_that_fits_is_taken(room, elsewhere, expected):
    assert chosen(NEEDED, room, Saving(), elsewhere=elsewhere) == (expected, True)


def test_tiles_come_last_for_they_change_the_picture():
    large = Needs(unet=10, vae=10, one_pass=5, branches=3, pictures=1, coding=500, tile=20)
    assert chosen(large, 40, Saving(), elsewhere=True)[0].tiled_vae
    assert not chosen(large, 515, Saving(), elsewhere=True)[0].tiled_vae


def test_where_nothing_fits_the_least_is_tried():
    saving, fits = chosen(NEEDED, 50, Saving(), elsewhere=True)
    assert not fits
    assert NEEDED.peak(saving) == 120
    assert chosen(NEEDED, 500, Saving(offload=True), elsewhere=True)[0].offload


# --- at work ----------------------------------------------------------------------------------

SIDE = 128


@pytest.fixture
def editor() -> PictureEditor:
    return tiny_editor()


@pytest.fixture
def edit(editor, monkeypatch):
    """Edits with so many bytes free (None: as many as there are); what came out, and the job."""
    draw = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, SIDE, SIDE, generator=draw)
    text, null = torch.randn(2, 1, 5, 32, generator=draw)

    def run(free: float | None = None):
        if free is not None:
            monkeypatch.setattr(memory, "free", lambda _: int(free))
        stages: list[str] = []
        job = Job(on_progress=lambda p: stages.append(p.stage))
        sampling = Sampling(2, Guidance(7.5, 1.5))
        with Live(editor.unet, editor.vae) as live:
            made = editor.edit(picture, Conditioning(text, null), sampling, seeds=[1], job=job)
        return made, job, stages, live.most

    return run


def needed(editor: PictureEditor) -> Needs:
    return needs(editor.unet.config, editor.vae.config, size=(SIDE, SIDE), number=4)


def test_with_enough_memory_nothing_is_saved(edit):
    _, job, stages, _ = edit()
    assert set(stages) == {"painting"}
    assert not job.warnings


def test_passes_one_by_one_where_they_are_what_is_large(editor, edit):
    whole, _, _, most = edit()
    told = needed(editor)
    assert told.beside(Saving(branches_apart=True)) < told.beside(Saving())
    made, job, stages, less = edit(1.01 * told.beside(Saving(branches_apart=True)) / ROOM)
    assert torch.allclose(made, whole, atol=3e-3)
    assert "one pass of the guidance at a time" in stages[0]
    assert not job.warnings
    assert less < 0.8 * most


def test_tiles_where_the_vae_is_what_is_large_and_said_aloud(editor, edit):
    whole, _, _, _ = edit()
    told = needed(editor)
    both = Saving(branches_apart=True, tiled_vae=True)
    assert told.beside(both) < told.beside(Saving(branches_apart=True))
    made, job, _, _ = edit(1.01 * told.beside(both) / ROOM)
    assert not editor.vae.use_tiling  # only while it works
    (warning,) = job.warnings
    assert "the VAE in tiles" in warning
    assert 0 < (made - whole).abs().mean() < 0.2


def test_too_little_for_anything_is_warned_of(edit):
    _, job, _, _ = edit(1000)
    (warning,) = job.warnings
    assert "may still not be enough" in warning


def test_what_was_asked_for_is_left_alone(edit, editor):
    editor.saving = Saving()
    _, job, stages, _ = edit(1000)
    assert set(stages) == {"painting"}
    assert not job.warnings
