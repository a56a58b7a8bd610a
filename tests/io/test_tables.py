"""Tables come back as they were."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.tables import read_table, write_table

TABLE = pd.DataFrame(
    {"label": [1, 2], "area_nm2": [1 / 3, 1e-12], "name": ["größe, 1", 'a "b"'], "touches_border": [True, False]}
)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".CSV"])
def test_tables_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "Ergebnis ä" / f"a{suffix}"
    write_table(TABLE, path)
    assert_frame_equal(read_table(path), TABLE)
    assert list(path.parent.iterdir()) == [path]


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    write_table(TABLE[:0], tmp_path / "a.csv")
    assert list(read_table(tmp_path / "a.csv")) == list(TABLE)


def test_bad_tables_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="choose one of these suffixes"):
        write_table(TABLE, tmp_path / "a.txt")
    with pytest.raises(NanosegError, match="There is no file"):
        read_table(tmp_path / "a.csv")
    for name, content in (
        ("a.csv", b"\xff\xff\x00"),
        ("a.xlsx", b"no workbook"),
        ("b.csv", b"a\n1,2,3\n1\n1,2,3,4,5\n"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NanosegError, match="not a table"):
            read_table(tmp_path / name)
