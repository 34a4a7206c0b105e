"""The schedulers of diffusers, by name."""

from __future__ import annotations

import inspect
from typing import Any

from imgedit_plugins.errors import ImgeditError, OptionError

SHORT_NAMES = {
    "euler-ancestral": "EulerAncestralDiscreteScheduler",
    "euler": "EulerDiscreteScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "heun": "HeunDiscreteScheduler",
    "lms": "LMSDiscreteScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}


def scheduler_class(name: str) -> Any:
    """A scheduler's class, by its name in diffusers or one of `SHORT_NAMES`.

    Raises:
        OptionError: the installed diffusers has no such scheduler, or it cannot be used here.
    """
    import diffusers
    from diffusers import SchedulerMixin

    found = getattr(diffusers, SHORT_NAMES.get(name, name), None)
    if not inspect.isclass(found) or not issubclass(found, SchedulerMixin):
        raise OptionError(
            f"diffusers {diffusers.__version__} has no scheduler {name!r} that can be used here.",
            hint=f"Use {', '.join(SHORT_NAMES)}, or the name of one of its classes.",
        )
    return found


def named(name: str, like: Any) -> Any:
    """Another scheduler for the same model.

    Args:
        name: as for `scheduler_class`.
        like: the model's own scheduler, which knows its noise levels and what it predicts.
    """
    return scheduler_class(name).from_config(like.config)


def fresh(scheduler: Any) -> Any:
    """A scheduler with the same settings that has made no step: they keep state while they run."""
    return type(scheduler).from_config(scheduler.config)


def prepared(scheduler: Any, steps: int, device: Any) -> Any:
    """The time steps of a run of a fresh scheduler, (number,).

    Raises:
        ImgeditError: the scheduler cannot make so many steps.
    """
    if steps < 1:
        raise ImgeditError(f"An edit needs at least 1 step, not {steps}.")
    try:
        scheduler.set_timesteps(steps, device=device)
    except (ValueError, IndexError) as error:
        raise ImgeditError(
            f"{type(scheduler).__name__} cannot make {steps} steps: {error}"
        ) from error
    return scheduler.timesteps


def takes(scheduler: Any, argument: str) -> bool:
    """Whether the scheduler's step has such an argument."""
    return argument in inspect.signature(scheduler.step).parameters
