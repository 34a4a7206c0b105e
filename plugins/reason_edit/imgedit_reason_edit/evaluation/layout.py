"""Whose evaluations kept folders hold, and which groups of instructions there are."""

from __future__ import annotations

from imgedit_modelkit.evaluation.layout import Layout

LAYOUT = Layout("reason_edit")

DIRECT, REASONING = "direct", "reasoning"
"""Instructions that say the edit, and those that leave to the reader what is meant."""
