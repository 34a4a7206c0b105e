"""GIMP 3: what runs inside it, how it holds an edit, and how the plug-in gets there.

Everything but `install` runs in GIMP's own Python: standard library and GIMP's own modules only,
Python 3.10 and newer. `install` belongs to the command line.
"""
