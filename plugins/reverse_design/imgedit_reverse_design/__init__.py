"""reverse_design: recover the edit operations and their parameters from a picture pair."""
