"""Values of the benchmarks' command lines."""

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse's `type`."""
    value = int(text)
    if value < 1:
        raise ArgumentTypeError("must be at least 1")
    return value
