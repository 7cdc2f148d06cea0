"""The head of a text table; that of a plain file, which needs no search."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerting.adapters.files.chunks import StatedTimes
from alerting.adapters.files.heads.head_lines import (
    STAMP,
    TEXT,
    TYPED,
    HeadLine,
    cell_kind,
    split_record,
)
from alerting.adapters.files.heads.preamble import read_stated
from alerting.definitions.file_form import FileForm

COMMENTS = ("#", "//")
REPLACED = "--columns replaces {} (a row? add --header-line 0)"


@dataclass(frozen=True)
class FileHead:
    """The head of a file. `lines`: how many are above the first row; `titles` and `units` by
    column; `width`: the fields of most rows. `comments`: the marks that begin a line that is no
    row; `texts`: the lines of the head, which are no rows if they come again, and `title_texts`
    those of the titles. `tables`: the columns of each of several tables side by side, each with its
    own stamps; else empty. `grows`: later rows have more fields, as columns are named."""

    separator: str
    lines: int
    titles: tuple[str, ...]
    units: tuple[str, ...]
    width: int
    title_lines: tuple[int, ...]
    unit_line: int | None
    notes: tuple[str, ...]
    stated: StatedTimes
    comments: tuple[str, ...]
    texts: frozenset[str]
    title_texts: tuple[str, ...]
    tables: tuple[tuple[int, ...], ...]
    grows: bool


def find_plain_head(records: Sequence[HeadLine], separator: str, form: FileForm) -> FileHead | None:
    """Return the head of a plain file: titles on one line, the first or the stated one, and rows
    with one stamp from the next line on; None for any other. Where that line, all columns and those
    of the times are stated, the kinds of cells are looked for in no other line."""
    begin = form.header_line or 1
    is_stated = bool(form.header_line and form.columns and form.time)
    split = [
        split_record(record, separator, 0 if is_stated and record.number != begin else None)
        for record in records
    ]
    above = [line for line in split if line.number < begin]
    titles, *rows = split[len(above) :] or [HeadLine(0, 0, "")]
    while rows and not rows[-1].text.strip():
        rows.pop()
    width = len(titles.fields)
    times = [*map(str.strip, (form.time or "").split("+")), form.time]
    if is_stated:
        cells = rows[0].fields if rows else ()
        stamps = [c for title, c in zip(form.columns, cells, strict=False) if title in times]
        has_stamps = any(cell_kind(stamp) in TYPED for stamp in stamps)
    else:
        stamped = {c for row in rows for c, kind in enumerate(row.kinds) if kind == STAMP}
        has_stamps = len(stamped) == 1 and all(row.count(STAMP) for row in rows)
    is_titled = (
        not titles.count(TYPED)  # the line may be a row
        if form.columns
        else titles.kinds == TEXT * width == TEXT * len({*titles.fields})
    )
    is_marked = any(line.text.startswith((*COMMENTS, '"#')) for line in split)
    is_plain = is_titled and has_stamps and all(len(row.fields) == width for row in rows)
    if not is_plain or is_marked or (form.header_line is None and above):
        return None
    if titles.number != begin or len(form.columns) not in (0, width):
        return None
    return FileHead(
        separator=separator,
        lines=titles.last,
        titles=form.columns or titles.fields,
        units=("",) * width,
        width=width,
        title_lines=() if form.columns else (titles.number,),
        unit_line=None,
        notes=(REPLACED.format(f"line {titles.number}"),) if form.columns else (),
        stated=read_stated(line.fields for line in above) if above else StatedTimes(),
        comments=(),
        texts=frozenset(line.text for line in (*above, titles) if line.text.strip()),
        title_texts=(titles.text,),
        tables=(),
        grows=False,
    )
