"""Fields of file forms that a person can state: how each is called at the edges, and how its values
are read from texts and written as texts."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import format_duration, parse_duration, shown

What = Literal["readings", "events"]
BY_COLUMN = ("by_title", "types")
"""Kinds of fields that are stated for each column."""


class FieldKind(NamedTuple):
    """How values of a field are written: from texts, and as texts. `read` raises ValueError."""

    read: Callable[[Sequence[str]], Any]
    write: Callable[[Any], tuple[str, ...]]


def as_texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a value; none of an empty one."""
    if value is True:
        return ("",)
    if value is None or value is False or value in ("", ()):
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (str(value),)


def _read_line(texts: Sequence[str]) -> int:
    if not re.fullmatch("[0-9]{1,6}", texts[0]):
        raise ValueError(f"{shown(texts[0])} is no number of a line")
    return int(texts[0])


def _read_by_title(texts: Sequence[str]) -> dict[str, str]:
    parts = [text.rpartition("=") for text in texts]
    for text, (title, _, value) in zip(texts, parts, strict=True):
        if not (title and value):
            raise ValueError(f"{text!r} is not of the form old=new")
    return {title: value for title, _, value in parts}


def _read_types(texts: Sequence[str]) -> dict[str, str]:
    for title, _, kind in (text.rpartition("=") for text in texts):
        if not title or kind not in get_args(VariableType):
            text = f"{title}={kind}" if title else kind
            raise ValueError(
                f"{text!r} is not of the form title=type; types are "
                + ", ".join(get_args(VariableType))
            )
    return _read_by_title(texts)


def _read_step(texts: Sequence[str]) -> timedelta:
    if millis := re.fullmatch(r"\s*([0-9]{1,9})\s?ms\s*", texts[0]):
        return timedelta(milliseconds=int(millis[1]))
    return parse_duration(texts[0])


def _write_step(step: timedelta | None) -> tuple[str, ...]:
    if step is None:
        return ()
    text = format_duration(step)
    return (text if parse_duration(text) == step else f"{step // timedelta(milliseconds=1)}ms",)


_TEXT = FieldKind(lambda texts: texts[0], as_texts)
_BY_TITLE = FieldKind(_read_by_title, lambda v: tuple(f"{key}={text}" for key, text in v.items()))
KINDS: Mapping[str, FieldKind] = MappingProxyType({
    "text": _TEXT,
    "exact": _TEXT,  # its blanks count
    "name": _TEXT,
    "choice": _TEXT,
    "line": FieldKind(_read_line, as_texts),
    "switch": FieldKind(lambda _: True, as_texts),
    "names": FieldKind(
        lambda texts: tuple(filter(None, map(str.strip, ",".join(texts).split(",")))),
        lambda names: as_texts(",".join(names)),
    ),
    "texts": FieldKind(tuple, as_texts),
    "by_title": _BY_TITLE,
    "types": _BY_TITLE._replace(read=_read_types),
    "step": FieldKind(_read_step, _write_step),
})  # fmt: skip


@dataclass(frozen=True)
class FormField:
    """A field that can be stated: its option of the command, the help of it, its label in the
    browser, its kind. `values`: those of a choice; `hint`: an example. `source`: the field of a
    source of files that does the same, with a colon where a value follows; empty if none does.
    `what`: the rows whose command has it. `default`: that of the form.

    `is_reused`: the next file of the form is read with it, too. `is_of_table`: it depends on where
    the table begins and what its columns are called; `is_of_head`: it says so. `replaces`: fields
    that have no meaning beside it. `is_first`: it is offered at once."""

    option: str
    help: str
    label: str
    kind: str = "text"
    default: Any = None
    metavar: str = "COL"
    values: tuple[str, ...] = ()
    hint: str = ""
    source: str = ""
    what: tuple[What, ...] = ("readings", "events")
    is_reused: bool = True
    is_of_table: bool = True
    is_of_head: bool = False
    replaces: tuple[str, ...] = ()
    is_first: bool = False
