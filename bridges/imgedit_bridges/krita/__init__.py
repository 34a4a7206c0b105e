"""Krita: what runs inside it, how it holds an edit, and how the extension gets there.

All but `install` runs in Krita's own Python: standard library, Krita and its Qt only, Python 3.10
and newer. `install` belongs to the command line.
"""
