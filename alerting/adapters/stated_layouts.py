"""Layouts of files as the texts that people state; and the form of a file, by which these are
stored."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from alerting.adapters.files.chunks import magic
from alerting.adapters.files.readings_and_events import EventColumns
from alerting.adapters.files.rows import Layout, QualityLayout, open_table
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError, format_duration, parse_duration, shown
from alerting.readings.history import Codes, duration_millis
from alerting.usecases.ingestion.stated_options import Stated
from alerting.usecases.ingestion.tables import What

_PLAIN = (
    *("time", "time_format", "zone", "asset_column", "asset_prefix", "separator", "decimal"),
    *("encoding", "variable_column", "value_column"),
)
_FIRST_BYTES = 4096


def state_layout(layout: Layout) -> dict[str, tuple[str, ...]]:
    """Return the texts that a layout states, by its fields."""
    quality = layout.quality
    single = {
        **{name: getattr(layout, name) for name in _PLAIN},
        "quality": quality.column,
        "quality_suffix": quality.suffix,
        "quality_codes": quality.codes,
        "sequence": layout.sequence and _write_step(layout.sequence),
        "columns": ",".join(layout.columns),
        "only": ",".join(layout.only),
    }
    texts: dict[str, tuple[str, ...]] = {name: (text,) for name, text in single.items() if text}
    if layout.header_line is not None:
        texts["header_line"] = (str(layout.header_line),)
    if layout.is_wide:
        texts["is_wide"] = ("",)
    several = {
        "rename": tuple(f"{title}={name}" for title, name in layout.rename.items()),
        "types": tuple(f"{title}={kind}" for title, kind in layout.types.items()),
        "missing": layout.missing,
    }
    return texts | {name: values for name, values in several.items() if values}


def read_layout(stated: Stated, base: Layout) -> Layout:
    """Return the layout that texts state; the rest of it is that of `base`. Raises
    UserError for a text that is no number of a line, or no duration."""
    single = {name: texts[0] for name, texts in stated.items() if texts}
    line = single.get("header_line")
    step = single.get("sequence")
    plain: dict[str, Any] = {name: single[name] for name in _PLAIN if name in single}
    return replace(
        base,
        **plain,
        quality=QualityLayout(
            single.get("quality"),
            single.get("quality_suffix"),
            cast("Codes | None", single.get("quality_codes")),
        ),
        sequence=_read_step(step) if step else None,
        columns=split_list(single.get("columns", "")),
        only=split_list(single.get("only", "")),
        header_line=None if line is None else _read_line(line),
        is_wide="is_wide" in stated,
        rename=read_by_title(stated.get("rename", ())),
        types=cast("Mapping[str, VariableType]", read_by_title(stated.get("types", ()))),
        missing=stated.get("missing", ()),
    )


def refuse_sequence(layout: Layout, rows: What, *, skip_bad: bool) -> None:
    """Raise UserError if the rows cannot be a sequence as it is stated. `skip_bad`: bad lines are
    left out."""
    if layout.sequence is None:
        return
    if not layout.sequence:
        raise UserError("--sequence must be longer than 0s")
    if layout.time_format is not None:
        raise UserError("--sequence: rows without time stamps have no --time-format; leave it out")
    if layout.time is None and rows == "events":
        raise UserError("--sequence of events needs --time: the column with the number of the unit")
    if layout.time is None and skip_bad:
        raise UserError(
            "--sequence: a line left out would move all later ones; correct the file instead of "
            "--skip-bad"
        )


def read_event_columns(stated: Stated, event_type: str | None) -> EventColumns:
    """Return the columns of events that texts state. `event_type`: of all events."""
    single = {name: texts[0] for name, texts in stated.items() if texts}
    prefix = single.get("type_prefix", "")
    return EventColumns(event_type, single.get("type_column"), prefix, single.get("end_column"))


def split_list(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_by_title(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the part behind the last equals sign of each text, by that before it."""
    parts = [text.rpartition("=") for text in texts]
    return {title: value for title, _, value in parts}


def _write_step(step: timedelta) -> str:
    text = format_duration(step)
    return text if parse_duration(text) == step else f"{duration_millis(step)}ms"


def _read_step(text: str) -> timedelta:
    if millis := re.fullmatch("([0-9]{1,9}) ?ms", text):
        return timedelta(milliseconds=int(millis[1]))
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"--sequence: {error}") from error


def _read_line(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text):
        raise UserError(f"--header-line: {shown(text)} is no number of a line")
    return int(text)


def hash_form(path: Path, rows: What) -> str:
    """Return the hash of a file's form: its separator and its titles as written; of a file without
    readable ones its first line, where a digit is as good as another. `rows`: what its rows are.

    Raises UserError if there is no file, or it is empty.
    """
    magic(path)
    try:
        table = open_table(path, None, None)
    except UserError:
        return _hash(rows, _mask_first_line(path))
    titles = [table.as_written.get(title, title) for title in table.titles]
    is_untitled = table.first_line is not None and not table.title_lines
    first = [_mask_first_line(path)] if is_untitled else []
    return _hash(rows, str(getattr(table, "separator", "")), *titles, *first)


def _mask_first_line(path: Path) -> str:
    with path.open("rb") as file:
        line = file.readline(_FIRST_BYTES)
    return re.sub(r"[-+]?[0-9][0-9.]*", "0", line.decode("latin-1"))


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()
