"""Which language model is asked, as the options say, and whether it may see the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgedit_modelkit.language.addresses import is_on_this_computer
from imgedit_modelkit.language.chats import LanguageModel
from imgedit_modelkit.language.endpoint import Endpoint, EndpointError
from imgedit_plugins.errors import OptionError
from imgedit_reason_edit.reasoning.asking import ANSWERS_NOT, Asker, ReasoningError
from imgedit_reason_edit.requirements import require_torch

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import Options

_REQUESTS = 3  # while a server is busy
_PATIENCE = 60.0  # seconds that a server may ask for


def asker_of(options: Options, seed: int, job: Job) -> Asker:
    """The language model of the options; a server on another computer is warned of.

    Raises:
        OptionError: none is named, or two are, or a server elsewhere may not see the picture.
        PluginError: a local model needs packages that are not installed.
        ReasoningError: the server does not say which model it has.
    """
    address, folder = str(options["endpoint"]).strip(), str(options["model-folder"]).strip()
    if bool(address) == bool(folder):
        raise OptionError(
            "Give one language model that sees pictures: the option 'endpoint' or the option "
            f"'model-folder'; {'both are' if address else 'none is'} given.",
            hint="Such as -O endpoint=http://127.0.0.1:11434/v1 for a server on this computer.",
        )
    model = _server(address, options, job) if address else _local(folder, options)
    return Asker(model, int(options["attempts"]), int(options["max-tokens"]), seed, job)


def _server(address: str, options: Options, job: Job) -> LanguageModel:
    if not address.startswith(("http://", "https://")):
        raise OptionError(
            f"The option 'endpoint' is an address that begins with http, not {address!r}.",
            hint="Such as http://127.0.0.1:11434/v1.",
        )
    if not is_on_this_computer(address):
        if not options["send-pictures"]:
            raise OptionError(
                f"{address} is not on this computer and would be sent the picture.",
                hint="Set the option send-pictures=yes if it may see it.",
            )
        job.warn(f"The picture and the instruction are sent to {address}.")
    timeout = float(options["timeout"])
    named = str(options["endpoint-model"]).strip() or _only_model(address)
    return Endpoint(address, named, attempts=_REQUESTS, timeout=timeout, patience=_PATIENCE)


def _only_model(address: str) -> str:
    try:
        found = Endpoint(address, "").models()
    except EndpointError as error:
        raise ReasoningError(error.message, hint=ANSWERS_NOT) from error
    if len(found) != 1:
        told = ", ".join(found[:10]) or "none"
        raise OptionError(f"The option 'endpoint-model' is needed: {address} has {told}.")
    return found[0]


def _local(folder: str, options: Options) -> LanguageModel:
    require_torch()
    from imgedit_modelkit.language.seeing import SeeingModel
    from imgedit_modelkit.picture_answers import LocalModel

    source = LocalModel(Path(folder), str(options["device"]), str(options["precision"]))
    return SeeingModel(source, held=bool(options["constrained"]))
