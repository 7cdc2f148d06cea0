"""Faults in documents that people write: all of them at once, each with its path and a hint; and
durations as people write them: `30m`, `1h30m`, `5d`."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer, ValidationError, WithJsonSchema

from alerting.definitions.wording.language import (
    Translatable,
    in_english,
    join_first,
    join_with_or,
    joined,
    translatable,
)

MOST_FAULTS = 50
_LONGEST_TEXT = 400
# halves of surrogate pairs; Python reads a byte that is no UTF-8 as one of them
_HALVES = re.compile("[\ud800-\udfff]")
T = TypeVar("T")
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # categories of Unicode
LONGEST = timedelta(days=3660)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LONGEST_DURATION = 40
PATTERN = r"^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"


def shown(value: Any) -> str:
    """Return any value as short, printable text for a message.

    A text stands in quotation marks, with its no-break spaces as plain ones. It also accepts a
    number of 100,000 digits, or half a surrogate pair.
    """
    if isinstance(value, str):
        value = "".join(" " if unicodedata.category(c) == "Zs" else c for c in value[:100])
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python does not write numbers of more than 4300 digits
        text = (
            "a number of too many digits to print"
            if isinstance(value, int)
            else f"a {type(value).__name__} too deep to print"
        )
    return legible(text, 80)


def legible(text: str, longest: int) -> str:
    """Return the text cut to `longest` characters, with unprintable characters escaped."""
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _UNPRINTABLE else c
        for c in cut
    )


def storable(text: str, longest: int = 4000) -> str:
    """Return a text that UTF-8 can write: cut, with bytes escaped that are no character."""
    return _HALVES.sub(_write_byte, text if len(text) <= longest else f"{text[: longest - 1]}…")


def _write_byte(half: re.Match[str]) -> str:
    code = ord(half[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


@dataclass(frozen=True)
class Fault:
    """One fault of a document. Texts from the document are cut short and made printable."""

    path: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        for name in ("path", "message", "hint"):
            text = getattr(self, name)
            if len(text) > _LONGEST_TEXT or not text.isprintable():
                object.__setattr__(self, name, legible(text, _LONGEST_TEXT))

    def __str__(self) -> str:
        return str(self.line())

    def line(self) -> Translatable:
        """Return the fault as one line, with the values of its texts."""
        hint = joined("", " (", self.hint, ")") if self.hint else ""
        return joined("", self.path, ": ", self.message, hint)


@dataclass(frozen=True)
class MissingField(Fault):
    """The fault of a field that is not written."""

    message: str = "is missing"


class UserError(Exception):
    """Refusal of a user's whole input; the message is for the user, without a traceback."""

    @property
    def message(self) -> str:
        """Return the message, which pages translate where it can be."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


def require_order(
    start: datetime, end: datetime, first: str = "--from", second: str = "--to"
) -> None:
    """Raise UserError unless an interval begins before it ends. `first`, `second`: what people call
    its ends."""
    if start >= end:
        text = "{first} {start} must lie before {second} {end}"
        raise UserError(in_english(text, first=first, start=start, second=second, end=end))


class NotFound(UserError):
    """Refusal because the named thing does not exist."""


class Conflicting(UserError):
    """Refusal because of what another person or process did before."""


class TrainingRefused(UserError):
    """Refusal of a training of a definition. `reason`: without the name of the definition."""

    def __init__(self, definition: str, reason: str) -> None:
        self.reason = reason
        super().__init__(joined(": ", definition, reason))


class TooFewResults(TrainingRefused):
    """Refusal of a training that has too few results of a value that is estimated between them.
    `reason`: describes these results."""


class DocumentRefused(UserError):
    """Refusal of a whole document because of its faults. The first `MOST_FAULTS` are named.
    `word`: what the document is."""

    def __init__(self, name: object, faults: Sequence[Fault], word: str = "document") -> None:
        self.name = name if isinstance(name, str) else shown(name)
        self.faults = tuple(faults[:MOST_FAULTS])
        if len(faults) > MOST_FAULTS:
            self.faults += (
                Fault(
                    "document",
                    f"has {len(faults) - MOST_FAULTS} more faults",
                ),
            )
        lines = (joined("", "  - ", fault.line()) for fault in self.faults)
        super().__init__(joined("\n", f"{word} {shown(self.name)} has faults:", *lines))


def read_document(
    validate: Callable[[Mapping[str, Any]], T],
    document: Mapping[str, Any],
    word: str,
    faults_of: Callable[[Sequence[Any]], list[Fault]],
    across: Callable[[T], Iterable[Fault]],
) -> T:
    """Return the content of a document. Raises DocumentRefused with every fault: faults of its
    fields, from pydantic's errors, and faults across its fields, for which faulty fields are left
    out."""
    name = document.get("name", "without a name")
    try:
        parsed = validate(dict(document))
    except ValidationError as error:
        faults = faults_of(error.errors())
        paths = [fault.path for fault in faults]
        try:
            valid_fields = validate(drop_paths(document, paths))
            faults += [fault for fault in across(valid_fields) if fault.path not in paths]
        except ValidationError:
            pass  # the rest alone is no document
        raise DocumentRefused(name, faults, word) from error
    if faults := list(across(parsed)):
        raise DocumentRefused(name, faults, word)
    return parsed


def read_each(
    documents: Iterable[Mapping[str, Any]], parse: Callable[[Mapping[str, Any]], T]
) -> tuple[list[T], dict[str, list[str]]]:
    """Return the results of `parse` for valid documents, and the faults of the other documents by
    name."""
    good = list[T]()
    faults = dict[str, list[str]]()
    for document in documents:
        try:
            good.append(parse(document))
        except DocumentRefused as refusal:
            faults[refusal.name] = [str(fault) for fault in refusal.faults]
        except Exception as error:  # any content of a document
            faults[shown(document.get("name"))] = [
                f"cannot be read: {type(error).__name__}: {shown(str(error))}"
            ]
    return good, faults


def close_names(word: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return names that a mistyped word may mean, nearest first: resembling or containing."""
    folded = {name.casefold(): name for name in sorted(names, reverse=True)}
    typed = word[:200].casefold()
    close = get_close_matches(typed, folded, n=most, cutoff=0.6)
    if not close and len(typed) >= 3:
        close = [name for name in sorted(folded) if typed in name][:most]
    return [folded[name] for name in close]


def name_hint(word: str, names: Iterable[str], title: str) -> str:
    """Return a hint with the known names that a word may mean, or else with all known names.

    At most twenty names, under this title.
    """
    ordered = sorted(names)
    close = close_names(word, ordered)
    if close:
        return f"did you mean {join_with_or(*close)}?"
    if not ordered:
        return ""
    return f"{title}: {join_first(ordered, 20)}"


def unknown_definition(name: str, names: Iterable[str]) -> str:
    """Return the message of an unknown name of a definition, with the nearest ones."""
    ordered = list(names)
    hint = name_hint(name, ordered, "") if ordered else "none yet; apply one first"
    if hint.startswith(": "):
        hint = f"known: {hint.removeprefix(': ')}"
    return f"there is no definition {shown(name)} ({hint})"


def unknown_name(kind: str, name: str, names: Iterable[str], remedy: str) -> str:
    """Return the message of an unknown name, with the nearest known names. `remedy`: what it says
    if none is near."""
    return (
        f"there is no {kind} {shown(name)} "
        f"({name_hint(name, names, 'known') or f'none yet; {remedy}'})"
    )


def drop_paths(document: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return a copy of a document without its fields at these paths.

    A list with a field at one of the paths is removed whole.
    """
    copied = deepcopy(dict(document))
    for path in paths:
        _drop(copied, path.split("."))
    return copied


def _drop(document: Any, keys: list[str]) -> None:
    if not isinstance(document, dict) or keys[0] not in document:
        return
    if len(keys) == 1 or not isinstance(document[keys[0]], dict):
        del document[keys[0]]
    else:
        _drop(document[keys[0]], keys[1:])


def first_line(fault: Exception) -> str:
    """Return the first line of an exception's message."""
    return (str(fault).splitlines() or [""])[0][:500] or type(fault).__name__


def name_fault(fault: Exception) -> str:
    """Return the type of an exception, and the first line of its message."""
    return f"{type(fault).__name__}: {first_line(fault)}"


@lru_cache(maxsize=1_000)  # a definition is parsed in 12 to 39 % less CPU
def parse_duration(text: str) -> timedelta:
    """Return the timedelta of a text such as `1h30m`.

    Raises ValueError with an example for any other text, and for more than ten years.
    """
    compact = text.strip().replace(" ", "")
    if not compact or len(compact) > _LONGEST_DURATION or not re.fullmatch(PATTERN, compact):
        raise ValueError(_no_duration(text))
    seconds = sum(int(n) * _UNITS[u] for n, u in re.findall(r"([0-9]+)([wdhms])", compact))
    if seconds > LONGEST.total_seconds():
        raise ValueError(_too_long(shown(text)))
    return timedelta(seconds=seconds)


_UNIT_NAMES = {
    "w": "w wk wks week weeks woche wochen semaine semaines",
    "d": "d day days tag tage tagen j jour jours",
    "h": "h hr hrs hour hours std stunde stunden heure heures",
    "m": "m min mins minute minutes minuten mn",
    "s": "s sec secs second seconds sek sekunde sekunden seconde secondes",
}
_UNIT_BY_NAME = {name: unit for unit, names in _UNIT_NAMES.items() for name in names.split()}
_PART = r"([0-9]+(?:[.,][0-9]+)?)\s*([a-z]+)\.?\s*"


def suggest_duration(text: str) -> str:
    """Return what a text of people means as a duration: `5m` for `5 min`, `1h30m` for `1,5 h`.
    Empty if it is no numbers with units, or no whole seconds."""
    written = text.strip().lower()
    if len(written) > _LONGEST_DURATION or not re.fullmatch(f"({_PART})+", written):
        return ""
    seconds = 0.0
    for count, name in re.findall(_PART, written):
        if name not in _UNIT_BY_NAME:
            return ""
        seconds += float(count.replace(",", ".")) * _UNITS[_UNIT_BY_NAME[name]]
    whole = round(seconds)
    if abs(seconds - whole) > 1e-6 or whole > LONGEST.total_seconds():
        return ""
    return format_duration(timedelta(seconds=whole))


def suggest_number(text: str) -> str:
    """Return what a text of people means as a number: `4.5` for `4,5`, `1234.5` for `1.234,5`.
    Empty if it is no number."""
    compact = re.sub(r"[\s']", "", text)
    if compact.count(",") == 1 and compact.rfind(",") > compact.rfind("."):
        compact = compact.replace(".", "").replace(",", ".")
    return compact if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", compact) else ""


def _no_duration(value: object) -> str:
    if isinstance(value, str) and (written := suggest_duration(value)):
        return translatable(
            "{value} is not a duration; write {written}", value=shown(value), written=written
        )
    return translatable(
        "{value} is not a duration; write for example 30m, 1h30m or 5d", value=shown(value)
    )


def _too_long(value: str) -> str:
    return translatable(
        "{value} is too long; the longest duration is {longest}, ten years",
        value=value,
        longest=format_duration(LONGEST),
    )


@lru_cache(maxsize=1000)
def format_duration(value: timedelta) -> str:
    """Return a timedelta as text such as `1h30m`; whole seconds only, `0s` for none."""
    remaining = int(value.total_seconds())
    parts = []
    for unit, seconds in _UNITS.items():
        if unit == "w" and remaining % seconds:  # 10d reads better than 1w3d
            continue
        count, remaining = divmod(remaining, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _read(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        if abs(value) > LONGEST:
            raise ValueError(_too_long(str(value)))
        return value
    raise ValueError(_no_duration(value))


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": PATTERN,
            "minLength": 2,
            "maxLength": _LONGEST_DURATION,
            "examples": ["30m", "1h30m", "5d"],
        }
    ),
]
