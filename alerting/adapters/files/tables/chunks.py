"""Rows of a table in chunks."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.tables.text import Position
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import (
    ENGLISH,
    Styled,
    join_first,
    join_with_or,
)
from alerting.readings.inference import BadLine

Cells = Any  # pyarrow.StringArray; pyarrow ships no types


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table: text cells by title, all of one length, and the line of each row."""

    lines: npt.NDArray[np.int64]
    columns: Mapping[str, Cells]
    broken: tuple[BadLine, ...]
    original: Callable[[int], str]


class ChunkedTable(Protocol):
    """A file of rows and titled columns. `notes`: sentences on lines above the rows;
    `as_written`: titles without the units of a line below them, by title."""

    path: Path
    titles: tuple[str, ...]
    unit: str
    notes: tuple[str, ...]
    as_written: Mapping[str, str]
    position: Position

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]: ...

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""


MOST_COLUMNS = 10_000
_LISTED = 20


class RepeatedTitle(UserError):
    """Refusal of a header that names a column twice; the message quotes it."""


def column(table: ChunkedTable, wanted: str, option: str) -> str:
    """Return the title of the wanted column. Raises UserError with the nearest titles."""
    if wanted in table.titles:
        return wanted
    near = similar_titles(wanted, table.titles)
    raise no_column(table, wanted, option, near)


def no_column(table: ChunkedTable, wanted: str, option: str, near: Sequence[str]) -> UserError:
    """Return the refusal of a title that the table does not have. `near`: what may be meant."""
    values = {
        "path": str(table.path),
        "column": shown(wanted),
        "option": option,
        "names": title_list(table.titles),
    }
    if not near:
        return UserError(
            ENGLISH.say(
                "{path}: there is no column {column}; name it with {option}. Columns: {names}",
                **values,
            )
        )
    return UserError(
        ENGLISH.say(
            "{path}: there is no column {column}; did you mean {near}? name it with {option}. "
            "Columns: {names}",
            near=join_with_or(*near),
            **values,
        )
    )


def similar_titles(wanted: str, titles: Sequence[str]) -> list[str]:
    """Return the titles most similar to this one: its letters, a part of it, or a typing error."""
    folded = {title: _letters(title) for title in titles}
    plain = _letters(wanted)
    same = [title for title, letters in folded.items() if plain and letters == plain]
    if same:
        return same[:3]
    close = set(
        get_close_matches(
            plain, [letters for letters in folded.values() if letters], n=3, cutoff=0.75
        )
    )
    within = {
        f for f in folded.values() if min(len(f), len(plain)) > 2 and (plain in f or f in plain)
    }
    return [title for title, letters in folded.items() if letters in close | within][:3]


def _letters(title: str) -> str:
    return re.sub(r"[^\w]|_", "", title.casefold())


def title_list(titles: Sequence[str]) -> str:
    """Return the first titles as text, and the number of the others."""
    return join_first([t if len(t) <= 60 else t[:59] + "…" for t in titles], _LISTED)


def read_titles(path: Path, raw: Sequence[str]) -> tuple[str, ...]:
    """Return the titles of a header. Raises UserError for none, too many, or a repeated one."""
    if not raw:
        raise UserError(f"{path!s}: the table has no columns")
    if len(raw) > MOST_COLUMNS:
        raise UserError(
            ENGLISH.say(
                "{path}: line 1 names {count} columns, but at most {most} are read; export fewer "
                "variables into one file, e.g. those of one asset",
                path=str(path),
                count=Styled(len(raw), "count"),
                most=Styled(MOST_COLUMNS, "count"),
            )
        )
    titles = tuple(t.strip() or f"column_{i}" for i, t in enumerate(raw, 1))
    twice = sorted(t for t, count in Counter(titles).items() if count > 1)
    if twice:
        named = title_list([repr(t) for t in twice])
        raise RepeatedTitle(
            f"{path!s}: the header names {named} more than once; give each column its own title"
        )
    return titles
