"""A vision-language model behind a server that speaks OpenAI's protocol, such as vLLM's."""

from __future__ import annotations

import base64
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8

KEY_VARIABLE = "IMGEDIT_ENDPOINT_KEY"
"""Environment variable with the server's key, where it wants one."""

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class EndpointError(ImgeditError):
    """The server cannot be reached, refuses the request or answers something else."""


@dataclass(frozen=True)
class Endpoint:
    """A model on a server.

    Attributes:
        address: up to and with the version, such as 'http://127.0.0.1:8000/v1'.
        model: its name there.
        attempts: how often a request is made while the server is busy.
        pause: seconds before the second attempt; twice as long before each further one.
        timeout: seconds that one answer may take.
    """

    address: str
    model: str
    attempts: int = 6
    pause: float = 1.0
    timeout: float = 600.0

    @property
    def identity(self) -> str:
        """The model's name and the server's address; its weights cannot be checked from here."""
        return f"{self.model} at {self.address}"

    def answers(
        self,
        pictures: Sequence[RGB8],
        questions: Sequence[str],
        *,
        max_new_tokens: int,
        on_token: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Greedy answers, asked for at the same time.

        Args:
            pictures: (height, width, 3), of any sizes.
            questions: one for each picture.
            max_new_tokens: where an answer is broken off.
            on_token: called some times a second; what it raises ends the work.

        Raises:
            EndpointError: the server does not answer as it should.
        """
        pool = ThreadPoolExecutor(max_workers=len(questions))
        try:
            asked = [
                pool.submit(self._answer, picture, question, max_new_tokens)
                for picture, question in zip(pictures, questions, strict=True)
            ]
            while wait(asked, timeout=0.3).not_done:
                on_token()
            return [future.result() for future in asked]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, picture: RGB8, question: str, max_new_tokens: int) -> str:
        content = [
            {"type": "text", "text": question},
            {"type": "image_url", "image_url": {"url": _data_url(picture)}},
        ]
        found = self._post(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": content}],
                "temperature": 0,
                "max_tokens": max_new_tokens,
            }
        )
        try:
            return str(found["choices"][0]["message"]["content"] or "").strip()
        except (KeyError, IndexError, TypeError) as error:
            told = json.dumps(found)[:200]
            raise EndpointError(f"{self.address} answered no text: {told}.") from error

    def _post(self, body: dict[str, Any]) -> Any:
        if not self.address.startswith(("http://", "https://")):
            raise EndpointError(f"{self.address!r} is no address that begins with http.")
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(  # noqa: S310 (the scheme is checked)
            f"{self.address.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
        )
        told = ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                told = f"{error.code} {error.reason}"
                reason = error.read(500).decode("utf-8", "replace").strip()
                if error.code not in _PASSING:
                    raise EndpointError(f"{self.address} refuses: {told}. {reason}") from error
            except (OSError, ValueError) as error:
                told = str(error).rstrip(".")
        raise EndpointError(
            f"{self.address} does not answer after {self.attempts} attempts: {told}.",
            hint="The same command goes on from here when it does.",
        )


def _data_url(picture: RGB8) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
