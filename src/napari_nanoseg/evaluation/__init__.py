"""Comparing a prediction with the truth."""
