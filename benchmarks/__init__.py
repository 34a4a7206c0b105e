"""Measurements of the project against pictures and edits that it did not make itself."""
