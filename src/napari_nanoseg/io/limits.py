"""What the files of a model may have, the same for importing and for loading."""

MOST_WEIGHTS = 1 << 30
"""Bytes of all weights, unpacked: a zip of a few kilobytes can hold a full disk."""
MOST_OTHER = 16 << 20
"""Bytes of any other file of a model."""
