"""The version, once; pyproject.toml is checked against it by a test."""

__version__ = "0.1.0"
