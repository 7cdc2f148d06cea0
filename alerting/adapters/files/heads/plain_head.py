"""The head of a text table; that of a plain file, which needs no search."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerting.adapters.files.chunks import StatedTimes
from alerting.adapters.files.heads.head_lines import STAMP, TEXT, HeadLine, split_record
from alerting.adapters.files.heads.preamble import read_stated
from alerting.definitions.file_form import FileForm

COMMENTS = ("#", "//")


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
    with one stamp from the next line on; None for any other."""
    begin = form.header_line or 1
    above = [split_record(record, separator) for record in records if record.number < begin]
    lines = [split_record(record, separator) for record in records if record.number >= begin]
    while lines and not lines[-1].text.strip():
        lines.pop()
    titles, *rows = lines or [HeadLine(0, 0, "")]
    width = len(titles.fields)
    is_titled = form.columns or titles.kinds == TEXT * width == TEXT * len({*titles.fields})
    stamped = {c for row in rows for c, kind in enumerate(row.kinds) if kind == STAMP}
    is_plain = len(stamped) == 1 and all(
        len(row.fields) == width and row.count(STAMP) for row in rows
    )
    is_marked = any(line.text.startswith((*COMMENTS, '"#')) for line in (*above, *lines))
    if not (is_titled and is_plain) or is_marked or (form.header_line is None and above):
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
        notes=(),
        stated=read_stated(line.fields for line in above) if above else StatedTimes(),
        comments=(),
        texts=frozenset(line.text for line in (*above, titles) if line.text.strip()),
        title_texts=(titles.text,),
        tables=(),
        grows=False,
    )
