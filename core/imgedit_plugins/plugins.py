"""The plugin manager: which plugins there are, which one gets a request, and calling it.

Listing needs manifests only; a plugin's code is imported when one of its hooks is called for the
first time. A plugin that cannot be imported, contradicts its manifest, raises something that is
no `ImgeditError`, or returns the wrong type is set aside ('quarantined') with its reason until
the process ends; all others keep working.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from imgedit_plugins import discovery
from imgedit_plugins.code_checks import check_result, import_fault, manifest_mismatch
from imgedit_plugins.errors import (
    AmbiguousPluginError,
    ImgeditError,
    NoPluginError,
    OperationError,
    OptionError,
    PluginError,
    PluginQuarantinedError,
    UnknownPluginError,
)
from imgedit_plugins.hookspecs import PROJECT
from imgedit_plugins.manifest import HOOK_INPUTS, OptionSpec
from imgedit_plugins.plugin_info import PluginInfo, Slot, Status, examine, wanted_names
from imgedit_plugins.wording import accepted, all_of, plus

if TYPE_CHECKING:
    import pluggy

    from imgedit_plugins.jobs import Job
    from imgedit_plugins.operations import Vocabulary

__all__ = ["PluginInfo", "PluginManager", "Status"]

TRACE_VARIABLE = "IMGEDIT_TRACE_HOOKS"


class PluginManager:
    """Lists plugins, routes requests to them and calls them. Made by `discover`."""

    def __init__(self, slots: Sequence[Slot] = (), *, missing: Sequence[str] = ()) -> None:
        self._slots = sorted(slots, key=lambda s: s.info.name)
        self._by_name: dict[str, Slot] = {}
        for slot in self._slots:
            self._by_name.setdefault(slot.info.name, slot)
        self._registry: pluggy.PluginManager | None = None
        self._lock = threading.RLock()
        self._trace: TextIO | None = None
        self.missing = tuple(missing)
        """Names that IMGEDIT_PLUGINS asks for and nobody installed."""

    @classmethod
    def discover(cls, environ: Mapping[str, str] = os.environ) -> PluginManager:
        """All installed plugins, from their manifests alone; nothing of theirs is imported.

        Args:
            environ: IMGEDIT_PLUGINS unset means all, 'none' or empty none, 'a,b' only these;
                IMGEDIT_TRACE_HOOKS=1 prints every hook call to the standard error stream.
        """
        wanted = wanted_names(environ)
        slots: list[Slot] = []
        owners: dict[str, str] = {}
        for found in discovery.installed():
            slots.append(examine(found, wanted, owners.get(found.name)))
            owners.setdefault(found.name, found.distribution)
        manager = cls(slots, missing=sorted((wanted or set()) - set(owners)))
        if environ.get(TRACE_VARIABLE, "") not in ("", "0"):
            import sys

            manager.trace(sys.stderr)
        return manager

    # --- looking ------------------------------------------------------------------------------

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """All plugins, whatever their status, by name."""
        return tuple(slot.info for slot in self._slots)

    def get(self, name: str) -> PluginInfo:
        """The plugin of that name, whatever its status.

        Raises:
            UnknownPluginError: there is none.
        """
        return self._slot(name).info

    def options_for(self, info: PluginInfo, hook: str, recipe: str = "") -> tuple[OptionSpec, ...]:
        """The options of one of a plugin's hooks, or of a recipe of its `make_data`.

        Raises:
            PluginError: it has no such recipe.
        """
        if info.manifest is None:
            return ()
        if hook != "make_data":
            return info.manifest.options_for(hook)
        if found := info.manifest.recipe(recipe):
            return found.options
        raise PluginError(
            f"The plugin {info.name!r} has no data recipe {recipe!r}.",
            plugin=info.name,
            hint=f"It has {all_of({r.name for r in info.manifest.data})}.",
        )

    def trace(self, stream: TextIO | None) -> None:
        """Print every hook call to `stream` from now on; None ends that."""
        self._trace = stream

    # --- routing ------------------------------------------------------------------------------

    def route(
        self, hook: str, inputs: frozenset[str], plugin: str | None = None, *, without: str = ""
    ) -> tuple[PluginInfo, ...]:
        """Whom to ask, in this order: the named plugin, or all that accept the inputs.

        `without` is a plugin that is passed over, since it looks for another one.

        Raises:
            UnknownPluginError: the named plugin is not installed, or is switched off.
            PluginQuarantinedError: the named plugin was set aside.
            NoPluginError: nobody accepts these inputs; says what is accepted by whom.
            AmbiguousPluginError: the two highest ranks are equal.
        """
        if plugin is not None:
            return (self._route_to(plugin, hook, inputs),)
        ranked = [
            (rank, info)
            for info in self.plugins
            if info.status == "available" and info.manifest and hook in info.manifest.hooks
            if (rank := info.manifest.rank(hook, inputs)) is not None and info.name != without
        ]
        if not ranked:
            raise self._nobody(hook, inputs)
        ranked.sort(key=lambda pair: (-pair[0], pair[1].name))
        choices = tuple(info.name for rank, info in ranked if rank == ranked[0][0])
        if len(choices) > 1:
            raise AmbiguousPluginError(
                f"{all_of(choices)} can do this equally well ({hook} of {plus(inputs)}).",
                choices=choices,
                hint="Say which with --plugin NAME.",
            )
        return tuple(info for _, info in ranked)

    def _route_to(self, name: str, hook: str, inputs: frozenset[str]) -> PluginInfo:
        info = self.get(name)
        if info.status == "disabled":
            raise UnknownPluginError(
                f"The plugin {name!r} is switched off.", plugin=name, hint=info.reason
            )
        if info.status == "quarantined" or info.manifest is None:
            raise PluginQuarantinedError(name, info.reason)
        if hook not in info.manifest.hooks:
            raise NoPluginError(
                f"The plugin {name!r} does not do {hook}.",
                plugin=name,
                hint=f"It does {all_of(info.manifest.hooks)}.",
            )
        if HOOK_INPUTS[hook] and info.manifest.rank(hook, inputs) is None:
            raise NoPluginError(
                f"The plugin {name!r} does not take {plus(inputs)} for {hook}.",
                plugin=name,
                hint=f"It takes {accepted(info.manifest, hook)}.",
            )
        return info

    def _nobody(self, hook: str, inputs: frozenset[str]) -> NoPluginError:
        message = f"No plugin takes {plus(inputs)} for {hook}."
        available = [i for i in self.plugins if i.status == "available" and i.manifest]
        takers = [
            f"the plugin {info.name!r} takes {accepted(info.manifest, hook)}"
            for info in available
            if info.manifest and hook in info.manifest.hooks
        ]
        aside = [
            f"the plugin {info.name!r} is {info.status} ({info.reason.rstrip('.')})"
            for info in self.plugins
            if info.status != "available"
        ]
        hint = "; ".join([*takers, *aside])
        return NoPluginError(message, hint=f"{hint[0].upper()}{hint[1:]}." if hint else "")

    # --- calling ------------------------------------------------------------------------------

    def call(
        self, hook: str, request: Any, job: Job, plugin: str | None = None, *, without: str = ""
    ) -> Any:
        """Ask the plugins of the route until one returns something else than None.

        A plugin that breaks is set aside; unless it was named, the next one is asked and the
        job gets a warning. The plugin gets the request with options parsed, checked and
        completed with its defaults; one that lacks an option is passed over, unless it is the
        first of the route. `predict_operations` gets its pictures in sRGB. Of an `apply_edit` that
        was painted, what operations can express is found out; see `exact_first`.

        Args:
            hook: the hook's name.
            request: its request, whose `inputs` decide the route; options may be text.
            job: progress and cancellation.
            plugin: ask this one only.
            without: as for `route`.

        Raises:
            NoPluginError: nobody takes these inputs, or all returned None or broke.
            OptionError: an option is unknown or out of range.
            PluginQuarantinedError: the named plugin broke.
            ImgeditError: whatever the plugin raises for the user, and `JobCancelledError`.
        """
        declined = []
        route = self.route(hook, request.inputs, plugin, without=without)
        if hook == "predict_operations":
            request = request.in_srgb(job.warn)
        for number, info in enumerate(route):
            try:
                prepared = self._with_options(info, hook, request)
            except OptionError as error:
                if number == 0:
                    raise
                declined.append(f"{info.name} has other options ({error.message})")
                continue
            try:
                result = self._call_one(info.name, hook, prepared, job)
            except PluginQuarantinedError as error:
                if plugin is not None:
                    raise
                job.warn(str(error))
                declined.append(f"{info.name} was set aside ({error.reason})")
                continue
            if result is not None:
                return self._exact_first(prepared, result, job) if hook == "apply_edit" else result
            declined.append(f"{info.name} declined")
        raise NoPluginError(
            f"No plugin took {plus(request.inputs)} for {hook}: {'; '.join(declined)}.",
            plugin=plugin or "",
        )

    def _exact_first(self, request: Any, result: Any, job: Job) -> Any:
        """A painted edit, as far as operations can express it as their plan."""
        if not result.exact_first:
            return result
        from imgedit_plugins.exact_first import separated

        return separated(request, result, self, job)

    def vocabulary(self) -> Vocabulary:
        """The process's operations, with those of all available plugins.

        A plugin whose operations clash with others, or are not those of its manifest, is set
        aside and adds none.
        """
        from imgedit_plugins.operations import default_vocabulary

        for info in self.plugins:
            if info.status == "available" and info.manifest and info.manifest.operations:
                # A plugin that breaks has its reason in its info, for `list` and `doctor`.
                with contextlib.suppress(PluginQuarantinedError):
                    self.load(info.name)
        return default_vocabulary()

    def load(self, name: str) -> Any:
        """Import a plugin, check it against its manifest, and return its module.

        Operations that it has are in the process's vocabulary from then on.

        Raises:
            UnknownPluginError: there is no such plugin.
            PluginQuarantinedError: it cannot be imported or contradicts its manifest.
        """
        slot = self._slot(name)
        with slot.lock:
            if slot.info.status != "available":
                raise PluginQuarantinedError(name, slot.info.reason)
            if slot.code is None:
                slot.code = self._import(slot)
            return slot.code

    def _with_options(self, info: PluginInfo, hook: str, request: Any) -> Any:
        from imgedit_plugins.options import resolve_options

        specs = self.options_for(info, hook, getattr(request, "recipe", ""))
        # `model_copy` checks nothing, and needs not: the options were checked just now.
        return request.model_copy(update={"options": resolve_options(specs, request.options)})

    def _call_one(self, name: str, hook: str, request: Any, job: Job) -> Any:
        slot = self._slot(name)
        code = self.load(name)
        started = time.perf_counter()
        try:
            result = self._guarded(slot, code, hook, request=request, job=job)
            check_result(slot, hook, result)
        except BaseException as error:
            self._report(name, hook, request, started, error)
            raise
        self._report(name, hook, request, started, result)
        return result

    def _guarded(self, slot: Slot, code: Any, hook: str, **arguments: Any) -> Any:
        """Call one plugin's hook; whatever it raises against the rules sets it aside."""
        registry = self._plugin_registry()
        others = [p for p in registry.get_plugins() if p is not code]
        caller = registry.subset_hook_caller(hook, remove_plugins=others)
        try:
            results = caller(**arguments)
        except (ImgeditError, KeyboardInterrupt):
            raise
        except MemoryError as error:
            # Says more about the picture's size than about the plugin.
            raise PluginError(
                f"There was not enough memory for {hook} of {slot.info.name!r}.",
                plugin=slot.info.name,
                hint="Try a smaller picture.",
            ) from error
        except BaseException as error:
            from imgedit_plugins import faults

            raise slot.set_aside(faults.one_line(error, slot.folder)) from error
        return results[0] if results else None

    def _report(self, name: str, hook: str, request: Any, started: float, outcome: object) -> None:
        if self._trace is not None:
            from imgedit_plugins.tracing import trace_line

            seconds = time.perf_counter() - started
            print(trace_line(name, hook, request, outcome, seconds), file=self._trace, flush=True)

    # --- loading ------------------------------------------------------------------------------

    def _slot(self, name: str) -> Slot:
        if name in self._by_name:
            return self._by_name[name]
        from imgedit_plugins.options import did_you_mean

        raise UnknownPluginError(
            f"There is no plugin {name!r}.",
            plugin=name,
            hint=did_you_mean(name, self._by_name) or "`imgedit-plugins list` shows all.",
        )

    def _plugin_registry(self) -> pluggy.PluginManager:
        import pluggy

        from imgedit_plugins import hookspecs

        with self._lock:
            if self._registry is None:
                self._registry = pluggy.PluginManager(PROJECT)
                self._registry.add_hookspecs(hookspecs)
            return self._registry

    def _import(self, slot: Slot) -> Any:
        try:
            code = slot.found.entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise slot.set_aside(import_fault(slot, error)) from error
        with self._lock:
            self._register(slot, code)
            if slot.info.manifest and slot.info.manifest.operations:
                self._register_operations(slot, code, slot.info.manifest.operations)
        return code

    def _register(self, slot: Slot, code: Any) -> None:
        import pluggy

        registry = self._plugin_registry()
        try:
            registry.register(code, name=slot.info.name)
            registry.check_pending()
            problem = manifest_mismatch(slot.info, registry.get_hookcallers(code) or [])
        except (pluggy.PluginValidationError, ValueError) as error:
            problem = " ".join(str(error).split())
        if problem:
            if registry.is_registered(code):
                registry.unregister(code)
            raise slot.set_aside(problem)

    def _register_operations(self, slot: Slot, code: Any, listed: Sequence[str]) -> None:
        """Add a plugin's operations to the process's vocabulary; all of them, or none."""
        from imgedit_plugins.operations import Vocabulary, default_vocabulary

        vocabulary = default_vocabulary()
        own = Vocabulary()
        try:
            self._guarded(slot, code, "register_operations", vocabulary=own)
            if {operation.name for operation in own} != set(listed):
                raise slot.set_aside(
                    f"it registers the operations {all_of({o.name for o in own})}, "
                    f"its manifest names {all_of(listed)}"
                )
            Vocabulary((*vocabulary, *own))  # all of them, or none
        except OperationError as error:
            raise slot.set_aside(str(error)) from error
        for operation in own:
            vocabulary.add(operation)
