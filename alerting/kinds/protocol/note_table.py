"""A table that explains an estimated model to people."""

from collections.abc import Sequence
from typing import NamedTuple


class NoteTable(NamedTuple):
    """A table for people: `columns` are their titles, every row has a text for each."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
