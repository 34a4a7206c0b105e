"""Who is measured: one module each, which a process of its own loads.

Each has ``prepare(task)``, which loads a model and returns a function that works once: it gets the
number of the round, and returns figures by name, seconds among them.
"""
