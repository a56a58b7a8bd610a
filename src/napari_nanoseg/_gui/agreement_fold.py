"""Distributions of sizes, shapes and directions in the Compare dock, true beside predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout

from napari_nanoseg._gui.figure_view import FigureView
from napari_nanoseg._gui.fold import Fold
from napari_nanoseg._gui.table import TableView
from napari_nanoseg.evaluation.agreement import QUANTITIES, Agreements
from napari_nanoseg.evaluation.figures import AGREEMENT, Figure

if TYPE_CHECKING:
    from pandas import DataFrame

    from napari_nanoseg._gui.comparing import Compared

WORDS = AGREEMENT | {"quantity": Figure("Quantity", "what is compared, with the unit of its figures")}
FIRST = ("quantity", "median_truth", "median_prediction", "ks", "wasserstein", "bias", "spread")
"""Columns that a narrow dock should show before it has to be scrolled."""


class AgreementFold(Fold):
    """A table of figures and their curves; closed at first, since it is long."""

    def __init__(self) -> None:
        self.table, self.figure = TableView(), FigureView()
        self.table.setAccessibleName("agreement of sizes and shapes")
        super().__init__("Agreement of sizes and shapes", self._lay_out)

    def show_agreement(self, compared: Compared | None) -> None:
        """Show those of a comparison; nothing where there is none, or they were not compared."""
        agreement = None if compared is None else compared.agreement
        self.table.set_table(None if agreement is None else table_of(agreement), WORDS)
        self.table.fit_height(len(QUANTITIES))
        self.figure.show_figure(None if compared is None else compared.figure)

    def _lay_out(self, inside: QVBoxLayout) -> None:
        for widget in (self.table, self.figure):
            inside.addWidget(widget)
        self.table.fit_height(len(QUANTITIES))


def table_of(agreements: Agreements) -> DataFrame:
    """A row for each quantity, named for people."""
    from pandas import DataFrame

    rows = [{"quantity": one.title, **one.figures()} for one in agreements.values()]
    table = DataFrame(rows).drop(columns="unit")
    return table[[*FIRST, *(name for name in table if name not in FIRST)]]
