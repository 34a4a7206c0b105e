"""Similarity as trained encoders see it: CLIP-I (also CVS), CLIP-T, CLIP-S, CLIP-D, DINO, LPIPS.

Weights are files that the user has. Each metric says which ones it used (`identity`), since figures
of different encoders cannot be compared. Nothing is loaded before the first picture.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from imgedit_modelkit import fingerprints
from imgedit_modelkit.model_folders import no_progress_bars
from imgedit_plugins.errors import ImgeditError

ALEXNET_SHA256 = "7be5be79"
"""How the SHA-256 of torchvision's alexnet-owt-7be5be79.pth begins."""

PICKLE = "pytorch_model.bin"
"""What OpenAI's and Facebook's repositories hold instead of safetensors; read as tensors alone."""

_HEADS = ("functional", "image", "lpips_models", "alex.pth")


@dataclass(frozen=True)
class Encoder:
    """A trained encoder on disk, as transformers saves one.

    Attributes:
        folder: config.json, preprocessor_config.json, *.safetensors or `PICKLE`; for texts the
            tokenizer too.
        sha256: of the weights' files (`fingerprints.of_files`), or how it begins; '' for any.
    """

    folder: Path
    sha256: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the weights' files.

        Raises:
            ImgeditError: there are no weights, or others than `sha256` says.
        """
        files = self._safetensors or [self.folder / PICKLE]
        if not files[0].is_file():
            raise ImgeditError(f"There are no safetensors files and no {PICKLE} in {self.folder}.")
        found = fingerprints.of_files(files, self.folder)
        if not found.startswith(self.sha256):
            raise ImgeditError(f"{self.folder} has the SHA-256 {found}, not {self.sha256}....")
        return found

    @property
    def _safetensors(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    @property
    def identity(self) -> str:
        """The folder's name and how the hash of its weights begins; for tables.

        Raises:
            ImgeditError: as `digest`.
        """
        return f"{self.folder.name} {self.digest[:12]}"

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """What config.json says; empty where there is none that can be read."""
        try:
            found = json.loads((self.folder / "config.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @functools.cached_property
    def model(self) -> Any:
        """The model, in eval mode.

        Raises:
            ImgeditError: as `digest`, or it cannot be loaded, or lacks tensors.
        """
        from transformers import AutoModel

        assert self.digest  # the check comes before the weights are used
        # The pooler of a ViT is not published with DINO, and no metric looks at it.
        bare = {"add_pooling_layer": False} if self.config.get("model_type") == "vit" else {}
        try:
            with no_progress_bars():
                model, found = AutoModel.from_pretrained(
                    self.folder,
                    local_files_only=True,
                    use_safetensors=bool(self._safetensors),
                    weights_only=True,
                    output_loading_info=True,
                    **bare,
                )
        except (OSError, ValueError, KeyError, RuntimeError, UnpicklingError) as error:
            told = " ".join(str(error).split())[:300]
            raise ImgeditError(f"{self.folder} cannot be loaded: {told}") from error
        if missing := sorted(found["missing_keys"]):
            raise ImgeditError(f"{self.folder} lacks {len(missing)} tensors, such as {missing[0]}.")
        return model.eval()

    @functools.cached_property
    def processor(self) -> Any:
        """Scales, crops and normalises pictures as in the encoder's training."""
        from transformers import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            self.folder, local_files_only=True, backend="pil"
        )

    @functools.cached_property
    def tokenizer(self) -> Any:
        """For texts."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)

    def pixels(self, pictures: Tensor) -> Tensor:
        """What the encoder takes, for pictures (n, 3, height, width) from 0 to 1.

        They go through 8 bits, as files do.
        """
        steps = (pictures.detach().cpu() * 255).round().to(torch.uint8)
        arrays = [picture.permute(1, 2, 0).numpy() for picture in steps]
        found = self.processor(images=arrays, return_tensors="pt")["pixel_values"]
        assert isinstance(found, Tensor)
        return found.to(self.model.device)


def clip_i(encoder: Encoder, pictures: Tensor, targets: Tensor) -> Tensor:
    """Cosine of CLIP's embeddings of two pictures, (n,), 1 the best."""
    return _cosine(_clip_pictures(encoder, pictures), _clip_pictures(encoder, targets))


def clip_t(encoder: Encoder, pictures: Tensor, texts: Sequence[str]) -> Tensor:
    """Cosine of CLIP's embeddings of a picture and a text, (n,), 1 the best.

    Texts are cut at the encoder's length.
    """
    words = encoder.tokenizer(
        list(texts), padding=True, truncation=True, return_tensors="pt",
        max_length=encoder.model.config.text_config.max_position_embeddings,
    )  # fmt: skip
    with torch.no_grad():
        found = encoder.model.get_text_features(**words.to(encoder.model.device))
    return _cosine(_clip_pictures(encoder, pictures), _tensor(found))


def clip_s(
    encoder: Encoder,
    pictures: Tensor,
    texts: Sequence[str],
    *,
    weight: float = 2.5,
    prefix: str = "A photo depicts ",
) -> Tensor:
    """CLIPScore of a picture and a text without references (Hessel et al. 2021), (n,).

    Args:
        encoder: CLIP; published figures are of ViT-B/32.
        pictures: (n, 3, height, width) from 0 to 1.
        texts: one for each, cut at the encoder's length.
        weight: of the cosine where it is above 0; others take 1, or 100.
        prefix: in front of each text, as published.
    """
    return weight * clip_t(encoder, pictures, [prefix + text for text in texts]).clamp(min=0)


def clip_d(encoder: Encoder, sources: Tensor, edited: Tensor, goals: Tensor) -> Tensor:
    """Cosine of the ways in CLIP's space, source to edited and source to goal, (n,), 1 the best.

    The directional similarity of Gal et al. 2022, with the goal itself in place of captions, which
    few data sets have. 0 where the edit changes nothing.
    """
    start = _unit(_clip_pictures(encoder, sources))
    return _cosine(*(_unit(_clip_pictures(encoder, some)) - start for some in (edited, goals)))


def _unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1."""
    return nn.functional.normalize(vectors.float(), dim=-1)


def dino(encoder: Encoder, pictures: Tensor, targets: Tensor) -> Tensor:
    """Cosine of DINO's first token of two pictures, (n,), 1 the best; v1 and v2 alike."""
    with torch.no_grad():
        found = [
            encoder.model(encoder.pixels(some)).last_hidden_state[:, 0]
            for some in (pictures, targets)
        ]
    return _cosine(*found)


class Lpips:
    """LPIPS 0.1 with AlexNet (Zhang et al. 2018), 0 the best.

    The weights of the linear heads come with torchmetrics, whose own LPIPS needs torchvision.

    Args:
        alexnet: torchvision's file alexnet-owt-7be5be79.pth.
        sha256: how its SHA-256 must begin; '' for any.
    """

    _CUTS = (2, 5, 8, 10, 12)  # after each ReLU

    def __init__(self, alexnet: Path, sha256: str = ALEXNET_SHA256) -> None:
        self._path, self._sha256 = alexnet, sha256

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the file.

        Raises:
            ImgeditError: the file is missing or another one.
        """
        try:
            found = fingerprints.of_file(self._path)
        except OSError as error:
            raise ImgeditError(
                f"{self._path} cannot be read: {error.strerror}.",
                hint="LPIPS needs torchvision's file alexnet-owt-7be5be79.pth.",
            ) from error
        if not found.startswith(self._sha256):
            raise ImgeditError(f"{self._path} has the SHA-256 {found}, not {self._sha256}....")
        return found

    @property
    def identity(self) -> str:
        """The file's name and how its hash begins; for tables. Raises as `digest`."""
        return f"{self._path.name} {self.digest[:12]}"

    def __call__(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """The distance of each pair, (n,); pictures (n, 3, height, width) from 0 to 1."""
        with torch.no_grad():
            pairs = zip(self._features(pictures), self._features(targets), strict=True)
            parts = [
                nn.functional.conv2d((a - b).square(), head).mean(dim=(1, 2, 3))
                for (a, b), head in zip(pairs, self._heads, strict=True)
            ]
        return torch.stack(parts).sum(dim=0)

    def _features(self, pictures: Tensor) -> list[Tensor]:
        """Activations after each ReLU, of length 1 across the channels."""
        shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
        scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
        x, found = (2 * pictures - 1 - shift) / scale, []
        for number, layer in enumerate(self._layers):
            x = layer(x)
            if number + 1 in self._CUTS:
                found.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return found

    @functools.cached_property
    def _layers(self) -> nn.Sequential:
        """The convolutions of AlexNet (Krizhevsky 2014), as torchvision numbers them."""
        layers = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(),
            nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
            nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        assert self.digest
        state = torch.load(self._path, map_location="cpu", weights_only=True)
        parts = {k.removeprefix("features."): v for k, v in state.items() if "features." in k}
        layers.load_state_dict(parts)
        return layers.eval()

    @functools.cached_property
    def _heads(self) -> list[Tensor]:
        import torchmetrics

        path = Path(torchmetrics.__file__).parent.joinpath(*_HEADS)
        state = torch.load(path, map_location="cpu", weights_only=True)
        return [state[f"lin{number}.model.1.weight"] for number in range(len(self._CUTS))]


def _clip_pictures(encoder: Encoder, pictures: Tensor) -> Tensor:
    with torch.no_grad():
        return _tensor(encoder.model.get_image_features(pixel_values=encoder.pixels(pictures)))


def _tensor(found: Any) -> Tensor:
    """The embedding itself: transformers 5 returns it within an output, 4 bare."""
    tensor = getattr(found, "pooler_output", found)
    assert isinstance(tensor, Tensor)
    return tensor


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return nn.functional.cosine_similarity(a.float(), b.float(), dim=-1)
