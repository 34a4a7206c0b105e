"""What `benchmarks.bridge` runs in the editors, and what it makes of the figures."""
