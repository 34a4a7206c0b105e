"""The loss that an editing UNet learns by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.latents import goal_latents, input_latents
from imgedit_modelkit.diffusion.unet import check_unet
from imgedit_plugins.errors import ImgeditError


@dataclass(frozen=True)
class Dropout:
    """Shares of samples that learn without text, without the input picture, without either.

    Guidance needs a model that knows these cases (Brooks et al. 2023: 5 % each).

    Raises:
        ImgeditError: they are no shares, or more than all.
    """

    text: float = 0.05
    picture: float = 0.05
    both: float = 0.05

    def __post_init__(self) -> None:
        shares = (self.text, self.picture, self.both)
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1:
            raise ImgeditError(
                f"The dropouts {shares} cannot be: each is in 0..1, and their sum is at most 1."
            )

    def draw(self, batch: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Which samples go without text, and which without picture: (batch,) of bool, on the CPU.

        One number is drawn for each sample.
        """
        device = "cpu" if generator is None else generator.device
        place = torch.rand(batch, generator=generator, device=device).cpu()
        both = place < self.both
        text = (place >= self.both) & (place < self.both + self.text)
        most = self.both + self.text + self.picture
        picture = (place >= self.both + self.text) & (place < most)
        return text | both, picture | both


class EditingLoss:
    """Mean squared error of what the UNet predicts of the noise, at random times.

    The scheduler says what is predicted: the noise (`epsilon`), the velocity (`v_prediction`) or
    the latents (`sample`).

    Args:
        unet: an editing UNet2DConditionModel; in a training, the one that learns.
        vae: an AutoencoderKL, frozen.
        scheduler: the model's; its noise levels and kind of prediction are taken.
        dropout: of text and input picture.

    Raises:
        ImgeditError: the UNet is no editing one, or the scheduler's prediction is another.
    """

    def __init__(self, unet: Any, vae: Any, scheduler: Any, dropout: Dropout | None = None) -> None:
        from diffusers import DDPMScheduler

        check_unet(unet, int(vae.config.latent_channels))
        self.unet, self.vae = unet, vae
        # Not every scheduler that draws well can add noise; this one has the same levels.
        levels: Any = DDPMScheduler
        self.scheduler = levels.from_config(scheduler.config)
        self.dropout = dropout or Dropout()
        self._kind = str(self.scheduler.config.prediction_type)
        if self._kind not in ("epsilon", "v_prediction", "sample"):
            raise ImgeditError(f"No loss is known for a scheduler that predicts {self._kind!r}.")

    def __call__(
        self,
        inputs: Tensor,
        goals: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The loss of a batch, a scalar; gradients go to the UNet and to the conditioning.

        Args:
            inputs: (batch, 3, height, width) in 0..1, before the edit.
            goals: the same after it.
            conditioning: of each sample; its `null` stands where text is dropped.
            generator: of all that is random; the global ones by default.

        Raises:
            ImgeditError: shapes that do not go together.
        """
        if inputs.shape != goals.shape:
            raise ImgeditError(
                f"Inputs are {tuple(inputs.shape)} and goals {tuple(goals.shape)}; they must be "
                "alike."
            )
        with torch.no_grad():
            seen = input_latents(self.vae, inputs)
            wanted = goal_latents(self.vae, goals, generator)
        return self.of_latents(seen, wanted, conditioning, generator)

    def of_latents(
        self,
        seen: Tensor,
        wanted: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The loss of a batch whose latents are known.

        Args:
            seen: (batch, channels, height, width) of the inputs, as `latents.input_latents`.
            wanted: of the goals, as `latents.goal_latents`.
            conditioning: as for a call.
            generator: as for a call.
        """
        batch, device = len(wanted), wanted.device
        source = "cpu" if generator is None else generator.device
        noise = torch.randn(wanted.shape, generator=generator, device=source).to(wanted)
        last = int(self.scheduler.config.num_train_timesteps)
        times = torch.randint(last, (batch,), generator=generator, device=source).to(device)
        no_text, no_picture = self.dropout.draw(batch, generator)
        text, mask = _dropped(conditioning.expanded(batch).padded(), no_text)
        seen = seen * (~no_picture).to(seen)[:, None, None, None]
        noisy = self.scheduler.add_noise(wanted, noise, times)
        weight = next(self.unet.parameters())
        predicted = self.unet(
            torch.cat([noisy, seen], dim=1).to(weight.dtype),
            times,
            encoder_hidden_states=text.to(device, weight.dtype),
            encoder_attention_mask=mask,
            return_dict=False,
        )[0]
        target = self._target(wanted, noise, times)
        return torch.nn.functional.mse_loss(predicted.float(), target.float())

    def _target(self, wanted: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        if self._kind == "epsilon":
            return noise
        if self._kind == "sample":
            return wanted
        return torch.as_tensor(self.scheduler.get_velocity(wanted, noise, times))


def _dropped(conditioning: Conditioning, without: Tensor) -> tuple[Tensor, Tensor | None]:
    """The sequences, `null` in some rows, and their mask."""
    without = without.to(conditioning.embeddings.device)
    chosen = torch.where(without[:, None, None], conditioning.null, conditioning.embeddings)
    if conditioning.mask is None or conditioning.null_mask is None:
        return chosen, None
    return chosen, torch.where(without[:, None], conditioning.null_mask, conditioning.mask)
