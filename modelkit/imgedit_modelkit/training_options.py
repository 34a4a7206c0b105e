"""The settings of the training loop from the options that plugins' manifests have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgedit_modelkit.training import TrainConfig, processes

if TYPE_CHECKING:
    import torch

    from imgedit_plugins.requests import Options


def config_from(
    options: Options, items: int, precision: torch.dtype, seed: int, **more: Any
) -> TrainConfig:
    """The settings of the loop.

    Args:
        options: steps, epochs, batch-size, accumulate, learning-rate, warmup (a share of the
            steps), sharding, ema, validate-every, gradient-checkpointing, workers.
        items: rows to learn from.
        precision: of the frozen parts and of the arithmetic.
        seed: of everything random.
        more: settings that no option has.
    """
    steps = int(options["steps"])
    settings: dict[str, Any] = {
        "steps": steps or None,
        "epochs": None if steps else float(options["epochs"]),
        "batch_size": int(options["batch-size"]),
        "accumulate": int(options["accumulate"]),
        "learning_rate": float(options["learning-rate"]),
        "precision": {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}[
            str(precision).removeprefix("torch.")
        ],
        "sharding": options["sharding"],
        "ema": float(options["ema"]) or None,
        "validate_every": int(options["validate-every"]),
        "checkpoint_every": int(options["validate-every"]),
        "gradient_checkpointing": bool(options["gradient-checkpointing"]),
        "num_workers": int(options["workers"]),
        "seed": seed,
        **more,
    }
    total = TrainConfig(**settings).total_steps(items, processes())
    return TrainConfig(**settings, warmup_steps=round(float(options["warmup"]) * total))
