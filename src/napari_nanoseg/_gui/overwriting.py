"""The box of docks that write to a folder: whether existing results are replaced."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox

from napari_nanoseg.config.segment import SegmentJob


def job_box(name: str) -> QCheckBox:
    """Make the box for a switch of a job, such as ``overwrite``, with the title and the words of its field."""
    field = SegmentJob.model_fields[name]
    box = QCheckBox(field.title)
    box.setToolTip(field.description)
    return box
