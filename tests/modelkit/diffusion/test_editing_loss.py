"""The loss beside one written by hand, dropout's shares, and learning."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import torch  # noqa: E402
from diffusers import DDPMScheduler  # noqa: E402

from imgedit_modelkit.diffusion.conditioning import Conditioning  # noqa: E402
from imgedit_modelkit.diffusion.loss import Dropout, EditingLoss  # noqa: E402
from imgedit_modelkit.diffusion.testing import (  # noqa: E402
    stable_diffusion_scheduler,
    tiny_unet,
    tiny_vae,
)
from imgedit_modelkit.diffusion.unet import with_picture_channels  # noqa: E402
from imgedit_plugins.errors import ImgeditError  # noqa: E402

NO_DROPOUT = Dropout(0, 0, 0)
BATCH = 4


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(4)
    inputs, goals = torch.rand(2, BATCH, 3, 16, 24, generator=generator)
    text = torch.randn(BATCH, 5, 32, generator=generator)
    return inputs, goals, Conditioning(text, torch.randn(1, 5, 32, generator=generator))


def by_hand(unet, vae, kind, batch, seed, no_text=(), no_picture=()):
    """The loss from its formulas: alpha and sigma from betas, no scheduler of diffusers."""
    inputs, goals, conditioning = batch
    generator = torch.Generator().manual_seed(seed)
    seen = vae.encode(inputs * 2 - 1).latent_dist.mean.detach().clone()
    posterior = vae.encode(goals * 2 - 1).latent_dist
    spread = torch.exp(0.5 * posterior.logvar)
    drawn = torch.randn(posterior.mean.shape, generator=generator)
    wanted = ((posterior.mean + spread * drawn) * 0.18215).detach()
    noise = torch.randn(wanted.shape, generator=generator)
    times = torch.randint(1000, (BATCH,), generator=generator)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alpha = torch.cumprod(1 - betas, 0)[times].sqrt()[:, None, None, None]
    sigma = (1 - alpha**2).sqrt()
    text = conditioning.embeddings.clone()
    text[list(no_text)] = conditioning.null
    seen[list(no_picture)] = 0
    noisy = torch.cat([alpha * wanted + sigma * noise, seen], 1)
    predicted = unet(noisy, times, encoder_hidden_states=text).sample
    target = {
        "epsilon": noise,
        "sample": wanted,
        "v_prediction": alpha * noise - sigma * wanted,
    }[kind]
    return ((predicted - target) ** 2).mean()


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_as_written_by_hand(batch, kind):
    unet, vae = tiny_unet(), tiny_vae()
    scheduler = stable_diffusion_scheduler("DDIMScheduler", prediction_type=kind)
    loss = EditingLoss(unet, vae, scheduler, NO_DROPOUT)
    found = loss(*batch, generator=torch.Generator().manual_seed(9))
    wanted = by_hand(unet, vae, kind, batch, 9)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert found.item() > 0.1


@pytest.mark.parametrize(
    ("dropout", "no_text", "no_picture"),
    [
        (Dropout(1, 0, 0), range(BATCH), ()),
        (Dropout(0, 1, 0), (), range(BATCH)),
        (Dropout(0, 0, 1), range(BATCH), range(BATCH)),
    ],
)
def test_dropped_as_written_by_hand(batch, dropout, no_text, no_picture):
    unet, vae = tiny_unet(), tiny_vae()
    loss = EditingLoss(unet, vae, stable_diffusion_scheduler(), dropout)
    found = loss(*batch, generator=torch.Generator().manual_seed(9))
    wanted = by_hand(unet, vae, "epsilon", batch, 9, no_text, no_picture)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    without = by_hand(unet, vae, "epsilon", batch, 9)
    assert abs(found.item() - without.item()) > 1e-3


def test_shares_of_dropout():
    count = 200_000
    text, picture = Dropout().draw(count, torch.Generator().manual_seed(0))
    shares = {
        "text": (text & ~picture).float().mean(),
        "picture": (picture & ~text).float().mean(),
        "both": (text & picture).float().mean(),
    }
    for name, share in shares.items():
        assert share.item() == pytest.approx(0.05, abs=0.003), name  # 6 standard errors


@pytest.mark.parametrize("shares", [(-0.1, 0, 0), (0.5, 0.4, 0.2), (float("nan"), 0, 0)])
def test_shares_that_cannot_be(shares):
    with pytest.raises(ImgeditError, match="dropouts"):
        Dropout(*shares)


def test_gradients_reach_unet_text_and_null(batch):
    inputs, goals, conditioning = batch
    text = conditioning.embeddings.requires_grad_()
    null = conditioning.null.requires_grad_()
    vae = tiny_vae().requires_grad_(False)
    unet = tiny_unet()
    loss = EditingLoss(unet, vae, stable_diffusion_scheduler(), Dropout(0.5, 0, 0))
    loss(inputs, goals, Conditioning(text, null), torch.Generator().manual_seed(1)).backward()
    assert text.grad.abs().sum() > 0
    assert null.grad.abs().sum() > 0
    dropped = (text.grad == 0).all(2).all(1)
    assert 0 < dropped.sum() < BATCH
    assert unet.conv_in.weight.grad[:, 4:].abs().sum() > 0


def test_masked_tokens_do_not_count(batch):
    inputs, goals, conditioning = batch
    loss = EditingLoss(tiny_unet(), tiny_vae(), stable_diffusion_scheduler(), NO_DROPOUT)
    garbage = torch.cat([conditioning.embeddings, torch.full((BATCH, 2, 32), 9.0)], 1)
    mask = torch.tensor([[1] * 5 + [0] * 2] * BATCH)
    masked = Conditioning(garbage, conditioning.null, mask)
    a, b = (
        loss(inputs, goals, c, torch.Generator().manual_seed(2)) for c in (conditioning, masked)
    )
    assert a.item() == pytest.approx(b.item(), rel=1e-4)


def test_noise_levels_are_those_of_any_scheduler():
    for name in ("EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler", "PNDMScheduler"):
        loss = EditingLoss(tiny_unet(), tiny_vae(), stable_diffusion_scheduler(name))
        wanted = stable_diffusion_scheduler("DDPMScheduler").alphas_cumprod
        assert isinstance(loss.scheduler, DDPMScheduler)
        assert torch.equal(loss.scheduler.alphas_cumprod, wanted)


def test_what_is_refused(batch):
    inputs, goals, conditioning = batch
    loss = EditingLoss(tiny_unet(), tiny_vae(), stable_diffusion_scheduler())
    with pytest.raises(ImgeditError, match="must be alike"):
        loss(inputs, goals[:, :, :8], conditioning)
    with pytest.raises(ImgeditError, match="multiples of 4"):
        loss(inputs[..., :22], goals[..., :22], conditioning)
    with pytest.raises(ImgeditError, match="takes 4 channels"):
        EditingLoss(tiny_unet(channels=4), tiny_vae(), stable_diffusion_scheduler())
    strange = stable_diffusion_scheduler("EulerDiscreteScheduler", prediction_type="flow")
    with pytest.raises(ImgeditError, match="predicts 'flow'"):
        EditingLoss(tiny_unet(), tiny_vae(), strange)


# --- widening ---------------------------------------------------------------------------------


def test_a_widened_unet_predicts_what_it_did():
    unet = tiny_unet(channels=4)
    noisy, text = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 32)
    before = unet(noisy, 7, encoder_hidden_states=text).sample
    same = with_picture_channels(unet)
    assert same is unet
    assert unet.config.in_channels == 8
    assert unet.conv_in.in_channels == 8
    seen = torch.randn(2, 4, 8, 8)
    after = unet(torch.cat([noisy, seen], 1), 7, encoder_hidden_states=text).sample
    assert torch.allclose(after, before, atol=1e-5)
    assert with_picture_channels(unet).conv_in is unet.conv_in
    assert unet.conv_in.weight.requires_grad


def test_other_channels_are_refused():
    with pytest.raises(ImgeditError, match="takes 9 channels"):
        with_picture_channels(tiny_unet(channels=9))


def test_it_learns_to_see_the_picture():
    """A few steps on one pair: the loss falls, and by way of the new channels."""
    torch.manual_seed(0)
    unet, vae = with_picture_channels(tiny_unet(channels=4)), tiny_vae().requires_grad_(False)
    loss = EditingLoss(unet, vae, stable_diffusion_scheduler(), NO_DROPOUT)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(8, 3, 16, 16, generator=generator)
    conditioning = Conditioning(torch.zeros(1, 2, 32), torch.zeros(1, 2, 32))
    optimizer = torch.optim.AdamW(unet.parameters(), 2e-3)
    losses = []
    for step in range(60):
        value = loss(inputs, inputs, conditioning, torch.Generator().manual_seed(step % 4))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])
    assert unet.conv_in.weight[:, 4:].abs().max() > 0
