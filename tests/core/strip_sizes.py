"""Rendering in strips of another size, and in one."""

import contextlib

import pytest

from imgedit_plugins.render import render_plan, strips


@contextlib.contextmanager
def cut(pixels, share=0, cores=2):
    """Strips of so many pixels (a row at least) and so many times their halo, for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "_STRIP_PIXELS", pixels)
        patch.setattr(strips, "_ONCE", 1)
        patch.setattr(strips, "_ONCE_AROUND", 1)
        patch.setattr(strips, "_HALO_SHARE", share)
        patch.setattr(strips.os, "cpu_count", lambda: cores)
        yield


def in_one(picture, edit, **how):
    with cut(1 << 40, cores=1):
        return render_plan(picture, edit, **how)
