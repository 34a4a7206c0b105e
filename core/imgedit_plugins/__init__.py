"""The core of imgedit-plugins: pictures, operations, edit plans, jobs and hooks.

A plugin author needs one name from here::

    from imgedit_plugins import hookimpl

Everything else lives in the module of its subject (`imgedit_plugins.plan`,
`imgedit_plugins.pictures`, ...), so that importing this package stays cheap.
"""

from imgedit_plugins._version import __version__
from imgedit_plugins.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]
