"""Tables, in and out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_nanoseg.arguments import as_path
from napari_nanoseg.errors import NanosegError, need
from napari_nanoseg.io.atomic import write_bytes, write_text, writing
from napari_nanoseg.io.images import check_file

if TYPE_CHECKING:
    from pandas import DataFrame

TABLE_SUFFIXES = (".csv", ".xlsx")


def write_table(table: DataFrame, path: str | Path) -> None:
    """Write a table atomically, without its index.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per object.
    path : str or Path
        Ends in ``.csv`` (comma, UTF-8, full precision) or ``.xlsx``.

    Raises
    ------
    NanosegError
        When the suffix is another one or the file cannot be written.

    Examples
    --------
    >>> import pandas as pd
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> ns.write_table(ns.measure(truth, pixel_size_nm=2.5), "particles.csv")
    >>> len(pd.read_csv("particles.csv"))
    80
    """
    from pandas import DataFrame

    need(table, DataFrame, "write_table: 'table'", "a table of pandas")
    path = _table_path(as_path(path, "write_table: 'path'"))
    content = io.BytesIO()  # on a full disk, a workbook that is left half done complains once more when it is deleted
    with writing(path):  # openpyxl has temporary files
        if path.suffix.lower() == ".csv":
            table.to_csv(content, index=False, encoding="utf-8")
        else:
            table.to_excel(content, index=False, engine="openpyxl")
    write_bytes(path, content.getvalue())


def write_columns(path: str | Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of equal length as a CSV file, atomically and without pandas, which would take a second to load.

    Raises
    ------
    NanosegError
        When the file cannot be written.
    """
    rows = io.StringIO(newline="")
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(columns)
    table.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    write_text(Path(path), rows.getvalue())


def read_table(path: str | Path) -> DataFrame:
    """Read a table that :func:`write_table` or a spreadsheet program wrote.

    Raises
    ------
    NanosegError
        When the file is missing, empty or not a table.
    """
    import pandas as pd

    path = _table_path(path)
    check_file(path)
    try:
        if path.suffix.lower() == ".csv":
            return pd.read_csv(path, encoding="utf-8-sig")
        return pd.read_excel(path, engine="openpyxl")
    except Exception as error:  # pandas and openpyxl fail on damaged files with many kinds of errors
        raise NanosegError(f"{path} is damaged or not a table; save it again as CSV (UTF-8) or XLSX.") from error


def _table_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise NanosegError(f"{path} is neither a .csv nor an .xlsx file; choose one of these suffixes.")
    return path
