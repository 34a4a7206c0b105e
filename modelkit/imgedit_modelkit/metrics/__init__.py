"""Figures for pictures and texts, from well-kept libraries."""
