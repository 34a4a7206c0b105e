"""One line about a hook call, for the debug switch IMGEDIT_TRACE_HOOKS."""

from __future__ import annotations

from typing import Any

from imgedit_plugins.pictures import Picture

_LONGEST = 60


def trace_line(plugin: str, hook: str, request: Any, outcome: object, seconds: float) -> str:
    """'some_plugin.predict_operations(source=<...>, seed=0) -> <...> [12.3 ms]'."""
    arrow = "!!" if isinstance(outcome, BaseException) else "->"
    told = _error(outcome) if isinstance(outcome, BaseException) else _result(outcome)
    return f"{plugin}.{hook}({_request(request)}) {arrow} {told} [{seconds * 1000:.1f} ms]"


def _request(request: Any) -> str:
    fields = ((name, getattr(request, name)) for name in type(request).model_fields)
    return ", ".join(f"{name}={_short(value)}" for name, value in fields if value is not None)


def _result(result: object) -> str:
    if result is None:
        return "None (not mine)"
    fields = [(n, getattr(result, n)) for n in getattr(type(result), "model_fields", ())]
    shown = ", ".join(f"{name}={_short(value)}" for name, value in fields if value)
    return f"{type(result).__name__}({shown})"


def _error(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _short(value: object) -> str:
    """A value in few characters; arrays and collections by their size."""
    if isinstance(value, Picture):
        return repr(value)
    if hasattr(value, "shape"):
        return f"<array {'x'.join(str(n) for n in value.shape)}>"
    if hasattr(value, "operations"):
        return "[" + ", ".join(operation.name for operation in value.operations) + "]"
    if isinstance(value, tuple | list):
        return f"<{len(value)}>"
    text = repr(value) if isinstance(value, str | dict) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
