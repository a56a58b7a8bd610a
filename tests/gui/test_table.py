"""The table of particles: order, what is shown and copied, rows and labels."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("qtpy")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_nanoseg import measure
from napari_nanoseg._gui.frame_model import shown
from napari_nanoseg._gui.table import TableView
from napari_nanoseg.measurement.columns import heading

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": np.array([4, 7, 9, 12], np.int32),
            "score": np.array([0.1, 0.25, 1, 0.7], np.float32),
            "area": [30, 200, 100, 100],
            "perimeter": [np.pi, np.nan, 2000.25, 0.1],
            "touches_border": [False, True, False, False],
        }
    )


@pytest.fixture
def view(qtbot, frame) -> TableView:
    view = TableView()
    qtbot.addWidget(view)
    view.resize(500, 200)
    view.set_table(frame)
    view.show()
    return view


def column(view: TableView, name: str) -> int:
    titles = [view.model().headerData(section, Qt.Orientation.Horizontal) for section in range(5)]
    return [title.replace("\n", " ") for title in titles].index(heading(name))


def labels(view: TableView) -> list[int]:
    place = column(view, "label")
    return [int(view.model().index(row, place).data()) for row in range(view.model().rowCount())]


def click(qtbot, view: TableView, row: int) -> None:
    middle = view.visualRect(view.model().index(row, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=middle)


def test_columns_sort_as_numbers_with_missing_values_last(view) -> None:
    for name, order, expected in (
        ("area", UP, [4, 9, 12, 7]),
        ("area", DOWN, [7, 9, 12, 4]),
        ("perimeter", UP, [12, 4, 9, 7]),
        ("perimeter", DOWN, [9, 4, 12, 7]),
        ("touches_border", DOWN, [7, 4, 9, 12]),
    ):
        view.sortByColumn(column(view, name), order)
        assert labels(view) == expected, name
    view.sortByColumn(-1, UP)
    assert labels(view) == [4, 7, 9, 12]


def test_the_selected_particle_stays_selected_when_the_order_changes(view) -> None:
    assert view.select(7)
    view.sortByColumn(column(view, "area"), DOWN)
    assert view.row["label"] == 7
    assert [index.row() for index in view.selectionModel().selectedRows()] == [0]


def test_four_digits_are_shown(view) -> None:
    assert [shown(value) for value in (7, np.int32(12345), 0.0, np.float32(0.1), 12.0, 999.96, 123456.7, 2.5e-7)] == [
        "7", "12345", "0.000", "0.1000", "12.00", "1000", "123457", "2.500e-07",
    ]  # fmt: skip
    assert [shown(value) for value in (np.nan, None, np.True_, "a")] == ["", "", "yes", "a"]
    assert view.model().index(0, column(view, "perimeter")).data() == "3.142"


def test_copied_values_are_exact(qtbot, view, frame) -> None:
    view.sortByColumn(column(view, "area"), DOWN)
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = pd.read_csv(io.StringIO(QApplication.clipboard().text()), sep="\t")
    assert list(copied.columns) == list(frame.columns)
    assert copied["label"].tolist() == [7, 9, 12, 4]
    assert copied["perimeter"].tolist()[3] == np.pi
    click(qtbot, view, 1)
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text().splitlines() == ["\t".join(frame.columns), "9\t1.0\t100\t2000.25\tFalse"]


def test_a_chosen_row_tells_its_label(qtbot, view) -> None:
    told: list[int] = []
    view.selected.connect(told.append)
    click(qtbot, view, 2)
    click(qtbot, view, 2)
    qtbot.keyClick(view, Qt.Key.Key_Up)
    assert told == [9, 9, 7]


def test_selecting_a_label_does_not_tell_it_again(view) -> None:
    told: list[int] = []
    view.selected.connect(told.append)
    assert view.select(12)
    assert view.row["label"] == 12
    assert not view.select(5)
    assert view.row is None
    view.sortByColumn(0, DOWN)
    view.set_table(view.table.iloc[:2])
    assert told == []


def test_the_same_label_in_two_slices(qtbot) -> None:
    view = TableView()
    qtbot.addWidget(view)
    view.set_table(pd.DataFrame({"slice": [0, 1, 1], "label": [3, 3, 4], "area": [9, 8, 7]}))
    assert view.select(3, 1)
    assert view.row["area"] == 8
    assert not view.select(4, 0)


def test_headings_say_what_a_column_is_and_its_unit(view) -> None:
    tip = view.model().headerData(column(view, "perimeter"), Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert "perimeter" in tip
    assert "in px." in tip


def test_nothing_to_show(qtbot, view) -> None:
    view.set_table(None)
    view.copy()
    assert view.model().rowCount() == 0
    assert not view.select(4)
    view.set_table(measure(np.zeros((3, 3), int)))
    assert view.model().rowCount() == 0
    assert view.model().columnCount() > 10
