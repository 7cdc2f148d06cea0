"""Titles of columns: validation, lookup and the nearest matches of a wrong title."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from alerting.adapters.files.tables.chunks import ChunkedTable
from alerting.definitions.faults import UserError

MOST_COLUMNS = 10_000
_LISTED = 20


def column(table: ChunkedTable, wanted: str, option: str) -> str:
    """Return the title of the wanted column. Raises UserError with the nearest titles."""
    if wanted in table.titles:
        return wanted
    near = similar_titles(wanted, table.titles)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UserError(
        f"{table.path}: there is no column {wanted!r}; {hint}name it with {option}. Columns: "
        f"{title_list(table.titles)}"
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
    shown = ", ".join(t if len(t) <= 60 else t[:59] + "…" for t in titles[:_LISTED])
    return shown + (f" and {len(titles) - _LISTED:,} more" if len(titles) > _LISTED else "")


def read_titles(path: Path, raw: Sequence[str]) -> tuple[str, ...]:
    """Return the titles of a header. Raises UserError for none, too many, or a repeated one."""
    if not raw:
        raise UserError(f"{path}: the table has no columns")
    if len(raw) > MOST_COLUMNS:
        raise UserError(
            f"{path}: line 1 names {len(raw):,} columns, but at most {MOST_COLUMNS:,} are read; "
            "export fewer variables into one file, e.g. those of one asset"
        )
    titles = tuple(t.strip() or f"column_{i}" for i, t in enumerate(raw, 1))
    twice = sorted(t for t, count in Counter(titles).items() if count > 1)
    if twice:
        named = title_list([repr(t) for t in twice])
        raise UserError(
            f"{path}: the header names {named} more than once; give each column its own title"
        )
    return titles
