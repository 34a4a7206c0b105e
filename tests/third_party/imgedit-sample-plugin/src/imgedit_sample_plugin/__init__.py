"""Posterises pictures, and tells when somebody else did."""
