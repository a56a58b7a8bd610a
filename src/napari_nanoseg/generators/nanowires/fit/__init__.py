"""Fitting the generator's appearance to real images."""
