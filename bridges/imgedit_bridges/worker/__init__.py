"""The worker: one local process per user that does the editors' jobs."""
