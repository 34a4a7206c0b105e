"""What the `evaluate` hooks of plugins share: rows, a journal, intervals. No torch here."""
