"""The table of a sweep as it grows."""

from __future__ import annotations

from collections.abc import Mapping

from napari_nanoseg._gui.sweeping import table_of
from napari_nanoseg._gui.table import TableView
from napari_nanoseg.config.sweep import SweepJob

MOST_ROWS = 6
"""That are seen at once."""


class TrainingsTable(TableView):
    """Hidden until a training of a sweep is done; as high as its rows, up to `MOST_ROWS`."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("table of trainings")
        self.setVisible(False)

    def show_sweep(self, job: SweepJob | None, labels: Mapping[str, str]) -> None:
        """Show what a sweep has done so far; None: nothing.

        Parameters
        ----------
        job : SweepJob or None
        labels : mapping of str to str
            What people call the fields that it varies.
        """
        table = None if job is None else table_of(job, labels)
        self.setVisible(table is not None)
        if table is None:
            return
        self.set_table(table)
        self.fit_height(MOST_ROWS)
