"""The layout of a file of a source, as an import reads it."""

from dataclasses import replace
from pathlib import Path

from alerting.adapters.files.chunks import ChunkedTable
from alerting.adapters.files.rows import (
    DEFAULT_ASSET_COLUMN,
    Layout,
    QualityLayout,
    TableRows,
    open_table,
)
from alerting.definitions.faults import UserError, storable
from alerting.definitions.source_fields import SourceVariable
from alerting.definitions.sources import FilesSource


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
    )
    table = open_table(path, source.separator, source.encoding)
    mapped = _mapped_columns(source, table)
    is_wide = bool(mapped)
    if source.variables and not mapped and source.delivers == "readings":
        table = TableRows(path, layout, units={}).table
        mapped = _mapped_columns(source, table)
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
    )


def _mapped_columns(source: FilesSource, table: ChunkedTable) -> dict[str, SourceVariable]:
    """Return what the source says of columns of a file, by their title in it."""
    names = {title: title for title in table.titles} | {v: k for k, v in table.as_written.items()}
    return {names[t]: column for t, column in source.variables.items() if t in names}
