"""What `benchmarks.export` measures, and how."""
