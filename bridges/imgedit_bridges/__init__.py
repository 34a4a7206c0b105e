"""What stands between the editors and the core: the worker, and how editors talk to it.

What lies here beside `commands` and `worker` (start with `client`) runs inside the editors'
own interpreters: standard library only, Python 3.10 and newer. `worker` is the local process.
"""
