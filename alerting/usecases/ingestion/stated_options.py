"""Options that a person stated for a file, used again for the next file of its form where an option
is left out. Names of assets and types of events are stated for each file anew, and so is what
becomes of lines: they say what a file holds, not how it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from alerting.definitions.faults import UserError, legible, storable
from alerting.definitions.file_form import FORM_FIELDS, Stated
from alerting.definitions.wording.language import join_first, joined
from alerting.ports import StoredForm
from alerting.usecases.ingestion.tables import CheckedFile

if TYPE_CHECKING:
    from alerting.stores.file_forms import FileForms

_MOST_TEXTS = 2_000
_LONGEST = 50_000  # characters of all texts
_SHOWN = 8
_LONGEST_SHOWN = 60
_LONGEST_NAME = 200


def merge_stated(earlier: Stated, stated: Stated) -> dict[str, tuple[str, ...]]:
    """Return what is stated, and what was stated earlier where that does not replace it.

    Another head has other titles: then what names columns is left out. Fields that there are not
    are left out, too.
    """
    stated = {name: texts for name, texts in stated.items() if name in FORM_FIELDS}
    declared = {name: field for name, field in FORM_FIELDS.items() if field.is_reused}
    replaced = {name for field in stated for name in FORM_FIELDS[field].replaces}
    has_other_head = any(
        field.is_of_head and name in stated and stated[name] != earlier.get(name)
        for name, field in declared.items()
    )
    used = {
        name: texts
        for name, texts in earlier.items()
        if name in declared
        and name not in replaced
        and not (has_other_head and declared[name].is_of_table)
    }
    merged = {**used, **stated}
    for name in used.keys() & stated.keys():
        if declared[name].kind in ("by_title", "types"):
            by_title = {text.rpartition("=")[0]: text for text in (*used[name], *stated[name])}
            merged[name] = tuple(by_title.values())
    return merged


def recall(
    forms: FileForms, form: str, stated: Stated, zone: tzinfo, remedy: str
) -> tuple[Stated, str]:
    """Return what is stated of a file, with what is stored of its form, and a sentence on that;
    empty if nothing is. `remedy`: how it is read otherwise; the sentence ends with it."""
    earlier = forms.find(form)
    merged = merge_stated(earlier.stated if earlier else {}, stated)
    written = [
        f"{field.option} {legible(text, _LONGEST_SHOWN)}".strip()
        for name, field in FORM_FIELDS.items()
        for text in merged.get(name, ())
        if text not in stated.get(name, ())
    ]
    if earlier is None or not written:
        return merged, ""
    day = earlier.at.astimezone(zone).date()
    return merged, f"read like {earlier.file} of {day}: {join_first(written, _SHOWN)}; {remedy}"


def keep(forms: FileForms, form: str, file: str, stated: Stated, at: datetime) -> None:
    """Store what was stated of an imported file, in place of what was stored of its form; nothing
    if that is too much. Idempotent."""
    reused = {name: texts for name, texts in stated.items() if FORM_FIELDS[name].is_reused}
    texts = [text for values in reused.values() for text in values]
    if texts and len(texts) <= _MOST_TEXTS and sum(map(len, texts)) <= _LONGEST:
        name = storable(file.replace("\\", "/").rpartition("/")[2], _LONGEST_NAME)
        forms.keep(StoredForm(form, name, at, reused))
    else:
        forms.forget(form)


def with_note(check: Callable[[], CheckedFile], note: str) -> CheckedFile:
    """Check a file; return it with a note on how it is read. Raises UserError, which ends with the
    note, too."""
    if not note:
        return check()
    try:
        checked = check()
    except UserError as refusal:
        raise UserError(joined("\n  - ", refusal.message, note)) from refusal
    notes = (note, *checked.understood.notes)
    return replace(checked, understood=replace(checked.understood, notes=notes))
