"""The form of a file of a source, as an import reads it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, cast

from alerting.adapters.files.chunks import ChunkedTable
from alerting.adapters.files.find_form import find_form, open_table
from alerting.definitions.faults import UserError, storable
from alerting.definitions.file_form import FORM_FIELDS, FileForm
from alerting.definitions.sources import FilesSource

V = TypeVar("V")
_BY_TITLE = ("rename", "only", "types")
"""Fields that name columns, which a file may lack."""
_READ: Mapping[str, Callable[[Any], Any]] = {
    name: attrgetter(field.source.rstrip(":"))
    for name, field in FORM_FIELDS.items()
    if field.source and name not in _BY_TITLE
}
"""Readers of the fields of a form, for documents of sources."""


def stated_form(source: FilesSource) -> FileForm:
    """Return the form that a source states for all its files."""
    default = cast(Any, FilesSource).model_construct()
    values = {
        name: value
        for name, read in _READ.items()
        if (value := read(source)) != read(default)
        or (name == "time" and name in source.model_fields_set)
    }
    replaced = {name for field in values for name in FORM_FIELDS[field].replaces}
    return FileForm(**{name: value for name, value in values.items() if name not in replaced})


def file_form(source: FilesSource, path: Path, plant_zone: str | None) -> FileForm:
    """Return the form of the import of a file, without columns that the file lacks. Raises
    UserError if the file has none of the columns of a source that ignores others."""
    form = replace(stated_form(source), plant_zone=plant_zone)
    table = open_table(path, form)
    mapped = {} if source.value else _by_title(source.variables, table)
    is_wide = form.is_wide or bool(mapped)
    types: Mapping[str, Any] = getattr(source, "types", {})
    if (source.variables or types) and not mapped and source.delivers == "readings":
        table = find_form(path, form, units={}).table
        mapped = _by_title(source.variables, table)
    if source.others == "ignore" and not mapped:
        raise UserError(
            f"{storable(str(path))}: has none of the columns of the source; its columns: "
            f"{', '.join(table.titles[:20])}"
        )
    return replace(
        form,
        rename={title: column.name for title, column in mapped.items() if column.name},
        only=tuple(mapped) if source.others == "ignore" else (),
        is_wide=is_wide,
        types=_by_title(types, table),
    )


def _by_title(columns: Mapping[str, V], table: ChunkedTable) -> dict[str, V]:
    """Return what the source says of columns that a file has, by their title in it."""
    names = {title: title for title in table.titles} | {v: k for k, v in table.as_written.items()}
    return {names[t]: column for t, column in columns.items() if t in names}
