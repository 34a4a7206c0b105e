"""Whose evaluations kept folders hold."""

from __future__ import annotations

from imgedit_modelkit.evaluation.layout import Layout

LAYOUT = Layout("mgie")
