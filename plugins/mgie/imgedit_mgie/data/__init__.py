"""Making the data that MGIE learns from."""
