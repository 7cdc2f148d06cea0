"""The layout of a file of a source, as an import reads it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from alerting.adapters.files.chunks import ChunkedTable
from alerting.adapters.files.rows import (
    DEFAULT_ASSET_COLUMN,
    Layout,
    QualityLayout,
    TableRows,
    open_table,
)
from alerting.definitions.faults import UserError, storable
from alerting.definitions.sources import FilesSource

V = TypeVar("V")


def file_layout(source: FilesSource, path: Path, plant_zone: str | None) -> Layout:
    """Return the layout of the import of a file, without columns that the file lacks."""
    stated = source.model_fields_set
    column = (
        None if source.asset or source.asset_column == DEFAULT_ASSET_COLUMN else source.asset_column
    )
    layout = Layout(
        time=source.time if "time" in stated else None,
        time_format=source.time_format,
        asset=source.asset,
        asset_column=column,
        asset_prefix="" if source.asset else source.asset_prefix,
        zone=source.timezone,
        plant_zone=plant_zone,
        separator=source.separator,
        decimal=source.decimal,
        encoding=source.encoding,
        missing=source.missing,
        quality=QualityLayout(source.quality, source.quality_suffix, source.quality_codes),
        duplicates=source.duplicates,
        variable_column=source.variable,
        value_column=source.value,
        header_line=source.header_line,
        columns=source.columns,
        is_wide=source.wide,
    )
    table = open_table(path, source.separator, source.encoding, source.header_line, source.columns)
    mapped = {} if source.value else _by_title(source.variables, table)
    is_wide = source.wide or bool(mapped)
    if (source.variables or source.types) and not mapped and source.delivers == "readings":
        table = TableRows(path, layout, units={}).table
        mapped = _by_title(source.variables, table)
    if source.others == "ignore" and not mapped:
        raise UserError(
            f"{storable(str(path))}: has none of the columns of the source; its columns: "
            f"{', '.join(table.titles[:20])}"
        )
    return replace(
        layout,
        rename={title: column.name for title, column in mapped.items() if column.name},
        only=tuple(mapped) if source.others == "ignore" else (),
        is_wide=is_wide,
        types=_by_title(source.types, table),
    )


def _by_title(columns: Mapping[str, V], table: ChunkedTable) -> dict[str, V]:
    """Return what the source says of columns that a file has, by their title in it."""
    names = {title: title for title in table.titles} | {v: k for k, v in table.as_written.items()}
    return {names[t]: column for t, column in columns.items() if t in names}
