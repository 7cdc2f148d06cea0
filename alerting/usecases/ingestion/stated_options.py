"""Options that a person stated for a file, used again for the next file of its form where an option
is left out. Names of assets and types of events are stated for each file anew, and so is what
becomes of lines: they say what a file holds, not how it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING

from alerting.definitions.faults import UserError, legible, storable
from alerting.definitions.wording.language import join_first
from alerting.ports import FileForm
from alerting.usecases.ingestion.tables import CheckedFile

if TYPE_CHECKING:
    from alerting.stores.file_forms import FileForms

Stated = Mapping[str, tuple[str, ...]]
"""The texts of each stated option, by its field; of a switch an empty one."""
OPTIONS: Mapping[str, str] = MappingProxyType({
    "separator": "--sep",
    "encoding": "--encoding",
    "decimal": "--decimal",
    "header_line": "--header-line",
    "columns": "--columns",
    "time": "--time",
    "time_format": "--time-format",
    "zone": "--tz",
    "sequence": "--sequence",
    "variable_column": "--variable-column",
    "value_column": "--value-column",
    "is_wide": "--wide",
    "asset_column": "--asset-column",
    "asset_prefix": "--asset-prefix",
    "type_column": "--type-column",
    "type_prefix": "--type-prefix",
    "end_column": "--end-column",
    "rename": "--rename",
    "types": "--column-type",
    "only": "--only",
    "missing": "--missing",
    "quality": "--quality",
    "quality_suffix": "--quality-suffix",
    "quality_codes": "--quality-codes",
})  # fmt: skip
"""The option of each field that is stored, in the order in which a note names them."""
BY_TITLE = frozenset({"rename", "types"})
"""Fields with one text for each column: `title=…`."""
_HEAD = (
    *("separator", "encoding", "header_line", "columns"),
    *("variable_column", "value_column", "is_wide"),
)
_WITHOUT_TITLES = frozenset(
    {"time_format", "zone", "sequence", "decimal", "missing", "asset_prefix", "type_prefix"}
)
_REPLACED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "asset": ("asset_column", "asset_prefix"),
    "event_type": ("type_column", "type_prefix"),
    "sequence": ("time_format",),
    "time_format": ("sequence",),
})  # fmt: skip
_MOST_TEXTS = 2_000
_LONGEST = 50_000  # characters of all texts
_SHOWN = 8
_LONGEST_SHOWN = 60
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Recalled:
    """Options of a file, with those stored for its form. `note`: a sentence on the stored ones;
    empty if there are none."""

    stated: Stated
    note: str = ""


def merge_stated(
    earlier: Stated, stated: Stated, fixed: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return what is stated, and what was stated earlier where that does not replace it. `fixed`:
    names of further fields that are stated: `asset`, `event_type`.

    Another head has other titles: then what names columns is left out.
    """
    replaced = {name for field in (*stated, *fixed) for name in _REPLACED.get(field, ())}
    has_other_head = any(name in stated and stated[name] != earlier.get(name) for name in _HEAD)
    used = {
        name: texts
        for name, texts in earlier.items()
        if name in OPTIONS
        and name not in replaced
        and (name in _WITHOUT_TITLES or not has_other_head)
    }
    merged = {**used, **stated}
    for name in BY_TITLE & used.keys() & stated.keys():
        by_title = {text.rpartition("=")[0]: text for text in (*used[name], *stated[name])}
        merged[name] = tuple(by_title.values())
    return merged


def describe_stated(stated: Stated) -> str:
    """Return options as a person writes them, the first few."""
    written = [
        f"{OPTIONS[name]} {legible(text, _LONGEST_SHOWN)}".strip()
        for name in OPTIONS
        for text in stated.get(name, ())
    ]
    return join_first(written, _SHOWN)


def recall(
    forms: FileForms, form: str, stated: Stated, fixed: Collection[str], zone: tzinfo, remedy: str
) -> Recalled:
    """Return what is stated of a file, with what is stored of its form. `remedy`: how it is read
    otherwise; the note ends with it."""
    earlier = forms.find(form)
    merged = merge_stated(earlier.stated if earlier else {}, stated, fixed)
    reused = {
        name: tuple(text for text in texts if text not in stated.get(name, ()))
        for name, texts in merged.items()
    }
    options = describe_stated(reused)
    if earlier is None or not options:
        return Recalled(merged)
    day = earlier.at.astimezone(zone).date()
    return Recalled(merged, f"read like {earlier.file} of {day}: {options}; {remedy}")


def keep(forms: FileForms, form: str, file: str, stated: Stated, at: datetime) -> None:
    """Store what was stated of an imported file, in place of what was stored of its form; nothing
    if that is too much. Idempotent."""
    texts = [text for values in stated.values() for text in values]
    if texts and len(texts) <= _MOST_TEXTS and sum(map(len, texts)) <= _LONGEST:
        name = storable(file.replace("\\", "/").rpartition("/")[2], _LONGEST_NAME)
        forms.keep(FileForm(form, name, at, stated))
    else:
        forms.forget(form)


def with_note(check: Callable[[], CheckedFile], note: str) -> CheckedFile:
    """Check a file; return it with a note on how it is read. A refusal ends with it, too."""
    try:
        checked = check()
    except UserError as refusal:
        if not note:
            raise
        raise UserError(f"{refusal.message}\n  - {note}") from refusal
    understood = checked.understood
    notes = (*([note] if note else []), *understood.notes)
    return replace(checked, understood=replace(understood, notes=notes))
