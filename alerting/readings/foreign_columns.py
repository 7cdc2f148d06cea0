"""Columns of foreign tables: split a title into quantity and unit, derive the name of the variable,
and infer its type from the text cells of the whole column."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from unicodedata import combining, normalize

from alerting.definitions.asset_documents import Asset, VariableType, variable_name

TITLE_LENGTH = 200
_SQUARE = re.compile(r"^(?P<title>.*?)[\s_,]*\[(?P<unit>[^\[\]]{1,20})\]$")
_ROUND = re.compile(r"^(?P<title>.*?)[\s_,]*\((?P<unit>[^()]{1,20})\)$")
_PREFIX = r"[kMGTmµμunhdc]?"
_BASE = (
    r"(?:°[CFK]?|º[CF]|%|‰|bar|Pa|psi|mmHg|Wh|VAh|VA|var|eV|Hz|Nm|Ohm|Ω|rpm|ppm|ppb|pH|dB|lx|lm|mol|min|sec|kmh|"
    r"U/min|rH|RH|[mgslLtAVWNJKhdSFCT])"
)
_POWER = r"(?:[²³23]|\^-?\d|-[123])?"
_FACTOR = rf"(?:{_PREFIX}{_BASE}{_POWER}|1|%\s?(?:rH|RH|r\.F\.))"
_UNIT = re.compile(rf"^{_FACTOR}(?:\s?[/·*.]\s?{_FACTOR}){{0,3}}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


_SPELLED = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "oe",
    "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ẞ": "Ss", "Æ": "Ae", "Œ": "Oe", "Ø": "Oe",
})  # fmt: skip
Units = Mapping[str, Collection[str | None]]
"""Units of the variables that assets declare, by name; None of those without one."""


class ColumnTitle(NamedTuple):
    """Parts of a title: `text` without its unit; `unit`, None where the title names none."""

    text: str
    unit: str | None


def split_title(title: str) -> ColumnTitle:
    """Split a title: `Temperature [°C]` and `Temperature (°C)` give `Temperature` and `°C`.

    Square brackets enclose a unit if they contain a letter or a sign of one; round ones only if the
    unit is known.
    """
    text, unit = _split(title)
    return ColumnTitle(_shorten(text), unit)


def _split(title: str) -> ColumnTitle:
    clean = _clean(title)
    square = _SQUARE.match(clean)
    rounded = _ROUND.match(clean)
    if square and square["title"] and not re.fullmatch(r"[\s\d.,:-]*", square["unit"]):
        return ColumnTitle(square["title"], square["unit"].strip())
    if rounded and rounded["title"] and _UNIT.match(rounded["unit"].strip()):
        return ColumnTitle(rounded["title"], rounded["unit"].strip())
    return ColumnTitle(clean, None)


def whole_title(title: str) -> str:
    """Return the title without control characters, cut where it is too long to be shown."""
    return _shorten(_clean(title))


def derive_name(title: str) -> str:
    """Return a new variable's name: `Temperatur Zone 1 [°C]` gives `Temperatur_Zone_1`."""
    return variable_name(without_accents(_split(title).text))


def without_accents(text: str) -> str:
    """Return a text without accents: `Größe` gives `Groesse`, `Débit` gives `Debit`."""
    spelled = normalize("NFKD", normalize("NFC", text).translate(_SPELLED))
    return "".join(character for character in spelled if not combining(character))


def units_by_name(assets: Iterable[Asset]) -> dict[str, set[str | None]]:
    """Return the units of all variables of assets by name."""
    units: dict[str, set[str | None]] = {}
    for asset in assets:
        for name, variable in asset.variables.items():
            units.setdefault(name, set()).add(variable.unit)
    return units


def column_names(
    titles: Iterable[str], units: Units, taken: Collection[str] = ()
) -> dict[str, str]:
    """Return each title's variable, as `column_name`. `taken`: names of other columns."""
    derived = {title: derive_name(title) for title in titles}
    counts = Counter([*derived.values(), *taken])
    return {
        title: column_name(title, units, is_shared=counts[name] > 1)
        for title, name in derived.items()
    }


def column_name(title: str, units: Units, *, is_shared: bool) -> str:
    """Return the name of the variable of a title.

    The unit stays in the name where the shorter name is shared with another title, is that of a
    variable in another unit, or where there is a variable of the longer name.
    """
    name = derive_name(title)
    longer = variable_name(title)
    unit = _split(title).unit
    if longer in units:
        return longer
    if name in units:
        is_same = unit in units[name] or (not is_shared and (unit is None or None in units[name]))
        return name if is_same else longer
    return longer if is_shared else name


def _clean(title: str) -> str:
    return _CONTROL.sub(" ", title).strip()


def _shorten(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be imported, its faulty column (None: all of it), and why."""

    line: int
    column: str | None
    reason: str
    original: str

    @property
    def text(self) -> str:
        """Return its line, column and reason."""
        if not self.column:
            return f"{self.line}: {self.reason}"
        return f"{self.line}, column {self.column}: {self.reason}"

    def __str__(self) -> str:
        return str(self.text)


@dataclass
class ColumnProfile:
    """Counts of the cells of one column. Every filled cell is counted once; `first_…` store the
    first few examples.

    `marked`: cells with a sign for a missing value, which are not filled; `marks` counts the
    commonest signs. `faults`: texts that mean that there was no value (`Bad`), unless the column
    contains text; `common_texts` counts the commonest texts. `grouped`: chunks with numbers that
    are readable only with a mark between thousands. `every_ms`: usual distance of values, where
    they are much rarer than the lines. `bad_quality`: samples that their source calls bad; their
    cells are counted nowhere else.
    """

    title: str
    name: str
    numbers: int = 0
    infinite: int = 0
    booleans: int = 0
    texts: int = 0
    not_boolean: int = 0
    decimal_commas: int = 0
    grouped: int = 0
    marked: int = 0
    faults: int = 0
    every_ms: int | None = None
    marks: dict[str, int] = field(default_factory=dict)
    common_texts: dict[str, int] = field(default_factory=dict)
    bad_quality: int = 0
    uncertain: int = 0
    first_not_number: list[BadLine] = field(default_factory=list)
    first_not_boolean: list[BadLine] = field(default_factory=list)

    @property
    def filled(self) -> int:
        """Return the number of cells with any content."""
        return self.numbers + self.infinite + self.booleans + self.texts

    def inferred(self) -> VariableType | None:
        """Return number if more than half of the filled cells are numbers, boolean if all are true
        or false, else category.

        None for a column without any value. The rest of a mostly numeric column are bad cells,
        never categories. Words such as `Bad` do not count against a number.
        """
        if not self.filled:
            return None
        numeric = self.numbers + self.infinite
        if numeric and 2 * numeric > self.filled - self.faults:
            return "number"
        return "boolean" if self.booleans == self.filled else "category"

    def attribute_type(self) -> VariableType | None:
        """Return the attribute's type: number or boolean if all cells are, else text."""
        inferred = self.inferred()
        return "category" if inferred and self.bad(inferred)[0] else inferred

    def bad(self, type: VariableType) -> tuple[int, list[BadLine]]:
        """Return how many cells are no value of this type, and the first few lines of them."""
        match type:
            case "number":
                return self.filled - self.numbers, self.first_not_number
            case "boolean":
                return self.not_boolean, self.first_not_boolean
        return 0, []

    def written_with_decimal_comma(self) -> bool:
        """Return whether it becomes a category though most texts are numbers as `12,5`."""
        return self.inferred() == "category" and 2 * self.decimal_commas > self.texts
