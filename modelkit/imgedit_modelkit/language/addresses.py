"""Where a server is, and reaching it there and nowhere else.

What is sent may be somebody's picture and a key: no redirection takes them to another place, and
what is meant for a server on this computer goes through no proxy.
"""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit


def is_on_this_computer(address: str) -> bool:
    """Whether an address is one of this computer by what it says; no name is looked up.

    Names other than 'localhost' can be anywhere.
    """
    try:
        host = (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def opener_for(address: str) -> urllib.request.OpenerDirector:
    """Opens requests to a server; only one on another computer is reached by the user's proxies."""
    proxies = [urllib.request.ProxyHandler({})] if is_on_this_computer(address) else []
    return urllib.request.build_opener(_NoRedirections, *proxies)


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the answer is an error like any other."""
