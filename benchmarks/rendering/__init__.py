"""What `benchmarks.render` compares: pictures, rows of plans, contenders, goals, tables."""
