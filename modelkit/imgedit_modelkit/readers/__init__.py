"""Readers of public data sets; none of them imports torch."""
