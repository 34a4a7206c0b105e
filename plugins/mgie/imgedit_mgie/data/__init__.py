"""Making the data that MGIE learns from: `prepare` makes it, `prepared` reads it."""
