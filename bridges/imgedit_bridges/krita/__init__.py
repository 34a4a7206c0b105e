"""The Krita extension: what runs inside Krita, and how it gets there.

Only `qt` imports a toolkit and only `canvas`, `placing`, `engine` and `extension` talk to Krita.
Krita's own objects are touched on its main thread alone.
"""
