"""Opening of the table in a file of any format."""

from pathlib import Path

from alerting.adapters.files.tables.chunks import ChunkedTable
from alerting.adapters.files.tables.csv_table import CsvTable
from alerting.adapters.files.tables.parquet_table import ParquetTable
from alerting.adapters.files.tables.text import PARQUET, magic


def open_table(
    path: Path, separator: str | None = None, encoding: str | None = "utf-8"
) -> ChunkedTable:
    """Return a table over this file and read only its header. Raises UserError if it has none.

    Without an encoding, the table detects it from the bytes.
    """
    return (
        ParquetTable(path)
        if magic(path).startswith(PARQUET)
        else CsvTable(path, separator, encoding)
    )
