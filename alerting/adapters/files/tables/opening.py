"""The table in a file, whatever its format."""

from pathlib import Path

from alerting.adapters.files.tables.chunks import Table
from alerting.adapters.files.tables.csv_table import CsvTable
from alerting.adapters.files.tables.parquet_table import ParquetTable
from alerting.adapters.files.tables.text import PARQUET, magic


def open_table(path: Path, separator: str | None = None, encoding: str | None = "utf-8") -> Table:
    """A table over this file; only its header has been read. Raises UserError when it has none.

    Without an encoding it is found from the bytes.
    """
    return ParquetTable(path) if magic(path).startswith(PARQUET) else CsvTable(path, separator, encoding)
