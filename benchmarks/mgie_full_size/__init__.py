"""MGIE in the published sizes on this machine's processor: see `__main__`."""
