"""For people who write plugins: a first distribution (`scaffold`), and a check (`validation`)."""
