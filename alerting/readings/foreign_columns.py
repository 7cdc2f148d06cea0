"""Columns of foreign tables: split a title into quantity and unit, derive the name of the variable,
find how its numbers are written, and infer its type from the text cells of the whole column."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import NamedTuple
from unicodedata import combining, normalize

from alerting.definitions.asset_documents import VariableType, variable_name
from alerting.readings.history import MOST_MEASURED

TITLE_LENGTH = 200
_SQUARE = re.compile(r"^(?P<title>(?:.*[^\s_,])?)[\s_,]*\[(?P<unit>[^\[\]]{1,20})\]$")
_ROUND = re.compile(r"^(?P<title>(?:.*[^\s_,])?)[\s_,]*\((?P<unit>[^()]{1,20})\)$")
_PREFIX = r"[kMGTmµμunhdc]?"
_BASE = (
    r"(?:°[CFK]?|º[CF]|deg_?[CF]|%|‰|bar|Pa|psi|mmHg|Wh|VAh|VA|var|eV|Hz|Nm|Ohm|Ω|rpm|ppm|ppb|pH|dB|lx|lm|mol|min|sec|kmh|"
    r"[VA](?:DC|AC|dc|ac)|s?cfm|[sN]?lpm|gpm|psi[ag]|inHg|mmH2O|inH2O|Torr|atm|hp|BTU|kgf|lbf|[FN]TU|"
    r"U/min|rH|RH|rh|[mgslLtAVWNJKhdSFCT])"
)
_POWER = r"(?:[²³23]|\^-?\d|-[123])?"
_FACTOR = rf"(?:{_PREFIX}{_BASE}{_POWER}|1|%\s?(?:rH|RH|rh|r\.F\.))"
_FACTORS_OF_UNIT = rf"{_FACTOR}(?:\s?[/·*.]\s?{_FACTOR}){{0,3}}"
_UNIT = re.compile(rf"^{_FACTORS_OF_UNIT}$")
# in brackets before further words; a single letter may be a place
_MIDDLE = re.compile(
    rf"^(?=[^\[\]]*[^\W_])([^\[\]]*[^\[\]\s])\s*\[((?![ACFJLNST1]\]){_FACTORS_OF_UNIT})\]\s+([^\[\]()\s][^\[\]()]*)$"
)
_PARTS = re.compile(rf"(?P<base>{_BASE})(?P<power>{_POWER})(?P<rest>(?:\s?[/·*.].*)?)")
_PREFIXES = {"": 0, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "d": -1, "c": -2} | {
    "m": -3, "µ": -6, "μ": -6, "u": -6, "n": -9
}  # fmt: skip
# units that no word ends with: `x_min` is a least value, `x_var` a variance
_PLAIN_UNIT = (
    r"deg_?[CF]|[°º] ?[CF]|%|% ?rH|[mhk]?bar|[hkM]?Pa|psi|mmHg|rpm|U/min|ppm|ppb|[kM]?Hz|[kMG]W|"
    r"[kMG]?Wh|kVAr?|mA|[mk]V|kNm|[Nk]g|[cmµk]m|[kM]J|kmh|Nm|(?:[cmk]?m|[mh]?[lL]|m[³3]|kg|t)/(?:s|min|h)"
)
# how a title states its unit without brackets, beside the round ones of a logger
_OPEN_TITLES = tuple(
    re.compile(rf"^(?P<title>[\W_]*+[^\W_](?:.*\S)?){form}(?:\s*\([^():=]*+[:=][^()]*+\))?$")
    for form in (
        r"\s*,\s*(?P<unit>[^,\[\]()\d\s][^,\[\]()]{0,19})",
        r"\s+in\s+(?P<unit>\S{1,12})",
        rf"(?<!/)[\s/]+(?P<unit>{_PLAIN_UNIT})",
        r"(?<=[a-z])\s*/\s*(?P<unit>[AVWKN])",
    )
)
_UNIT_BEHIND = re.compile(rf"^[\W_]*+[^\W_].*_(?P<unit>{_PLAIN_UNIT})$")
_UNIT_FORMS = {"degC": "°C", "deg_C": "°C", "degF": "°F", "deg_F": "°F", "℃": "°C", "℉": "°F"}
_SIGNS = {"#": "number", "№": "number", "%": "percent"}
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
    unit is known, and so without any: `Temp, °C (LGR S/N: 1)`, `Pressure/bar`, `Druck in bar`.
    `Temp_degC` keeps its text.
    """
    text, unit = _split(title)
    return ColumnTitle(_shorten(text), unit)


def _split(title: str) -> ColumnTitle:
    if len(title) > TITLE_LENGTH:
        return ColumnTitle(_clean(title), None)
    clean = _MIDDLE.sub(r"\1 \3 [\2]", _clean(title))
    square = _SQUARE.match(clean)
    rounded = _ROUND.match(clean)
    if square and square["title"] and not re.fullmatch(r"[\s\d.,:-]*", square["unit"]):
        return ColumnTitle(square["title"], square["unit"].strip())
    if rounded and rounded["title"] and _UNIT.match(rounded["unit"].strip()):
        return ColumnTitle(rounded["title"], normalize_unit(rounded["unit"]))
    return _split_open(clean)


def _split_open(clean: str) -> ColumnTitle:
    for form in _OPEN_TITLES:
        split = form.match(clean)
        if split and _UNIT.match(normalize_unit(split["unit"])) and not _UNIT.match(split["title"]):
            return ColumnTitle(split["title"].rstrip(" ,;/_"), normalize_unit(split["unit"]))
    behind = _UNIT_BEHIND.match(clean)
    return ColumnTitle(clean, normalize_unit(behind["unit"]) if behind else None)


def normalize_unit(unit: str) -> str:
    """Return a unit as it is usually written: `degC` and `° C` are `°C`."""
    unit = unit.strip().replace("º", "°").replace("° ", "°")
    return _UNIT_FORMS.get(unit, unit)


def whole_title(title: str) -> str:
    """Return the title without control characters, cut where it is too long to be shown."""
    return _shorten(_clean(title))


def derive_name(title: str) -> str:
    """Return a new variable's name: `Temperatur Zone 1 [°C]` gives `Temperatur_Zone_1`."""
    text = _split(title).text
    return variable_name(_SIGNS.get(text, without_accents(text)))


def without_accents(text: str) -> str:
    """Return a text without accents: `Größe` gives `Groesse`, `Débit` gives `Debit`."""
    spelled = normalize("NFKD", normalize("NFC", text).translate(_SPELLED))
    return "".join(character for character in spelled if not combining(character))


def _clean(title: str) -> str:
    return _CONTROL.sub(" ", title).strip()


def _shorten(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"


class UnitParts(NamedTuple):
    """A unit without the prefix of its first part, and the power of ten that this prefix means."""

    base: str
    exponent: int


def is_known_unit(unit: str) -> bool:
    """Return whether a text is a unit that plants write, or a quotient or product of such."""
    return _UNIT.match(unit) is not None


def unit_parts(unit: str) -> UnitParts | None:
    """Return the parts of a known unit: `kW` is `W` and 3; None for any other text."""
    if not is_known_unit(unit):
        return None
    for prefix, exponent in _PREFIXES.items():
        parts = _PARTS.fullmatch(unit.removeprefix(prefix)) if unit.startswith(prefix) else None
        if parts:
            power = parts["power"].strip("^").replace("²", "2").replace("³", "3")
            return UnitParts(f"{parts['base']}{power}{parts['rest']}", exponent * int(power or 1))
    return UnitParts(unit, 0)


_DASHES = "\u2212\u2013"
_QUOTE = "\u2019"
_SPACES = " \u00a0\u2009\u202f"
WRITTEN_NUMBER = (
    rf"^(?P<open>\()?(?P<sign>[-+{_DASHES}])?[{_SPACES}]*"
    rf"(?P<core>[0-9](?:[0-9.,'{_QUOTE}{_SPACES}]*[0-9])?[.,]?|[.,][0-9]+)"
    rf"(?P<power>[eE][-+]?[0-9]+)?(?P<behind>-)?"
    rf"[{_SPACES}]*(?P<suffix>[^-0-9.,:;/()+<>\s{_SPACES}][^()0-14-9]{{0,19}}|)(?P<close>\))?$"
)
"""A number with what displays and people write around it: brackets or a minus behind it for a
negative one, a unit, a factor. It means the same to Python and to RE2."""
_WRITTEN = re.compile(WRITTEN_NUMBER)
_CORE = re.compile(
    rf"[0-9]{{1,3}}([.,'{_QUOTE}{_SPACES}][0-9]{{3}})*([.,][0-9]+)?|[0-9]*([.,][0-9]*)?"
)
_FACTORS = {"k": 3, "K": 3, "Tsd": 3, "M": 6, "Mil": 6, "Mio": 6, "G": 9, "Bil": 9, "Mrd": 9} | {
    "T": 12, "Tri": 12
}  # fmt: skip
_MOSTLY = 0.8
_VARIED = 10


@dataclass(frozen=True)
class NumberWriting:
    """How the cells of a column write numbers: with a `unit`, or with factors of a thousand such as
    `1.06 K`, or only their sign unusually. `base`, `exponent`: parts of the unit."""

    unit: str | None = None
    base: str = ""
    exponent: int = 0
    has_factors: bool = False

    def power(self, suffix: str) -> int | None:
        """Return the power of ten that a text behind a number means; None if it is another unit."""
        if not suffix:
            return 0
        if self.has_factors and suffix.rstrip(".") in _FACTORS:
            return _FACTORS[suffix.rstrip(".")]
        unit = normalize_unit(suffix)
        base, exponent = unit_parts(unit) or (unit, 0)
        return exponent - self.exponent if self.unit and base == self.base else None


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be imported, its faulty column (None: all of it), and why; whether only
    the quality of a value cannot be read."""

    line: int
    column: str | None
    reason: str
    original: str
    of_quality: bool = False

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
    stated: VariableType | None = None
    identifier: str | None = None
    writing: NumberWriting | None = None
    suffixes: Counter[str] = field(default_factory=Counter)
    in_brackets: int = 0
    sentinels: Counter[tuple[float, str]] = field(default_factory=Counter)
    no_values: Counter[str] = field(default_factory=Counter)
    least: float = inf
    most: float = -inf

    @property
    def filled(self) -> int:
        """Return the number of cells with any content."""
        return self.numbers + self.infinite + self.booleans + self.texts

    def inferred(self) -> VariableType | None:
        """Return number if more than half of the filled cells are numbers, boolean if all are true
        or false, else category.

        None for a column without any value. The rest of a mostly numeric column are bad cells,
        never categories. Words such as `Bad` do not count against a number or a boolean. Numbers
        that are names of things are categories. The stated type replaces all this.
        """
        if not self.filled or self.stated:
            return self.stated if self.filled else None
        numeric = self.numbers + self.infinite
        if (numeric and 2 * numeric > self.filled - self.faults) or self.other_units():
            return "category" if self.identifier else "number"
        is_boolean = self.booleans and self.booleans == self.filled - self.faults
        return "boolean" if is_boolean else "category"

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

    def split_title(self) -> ColumnTitle:
        """Return the parts of its title, with the unit in its cells where the title names none."""
        text, unit = split_title(self.title)
        return ColumnTitle(text, unit or self.unit_of_cells)

    @property
    def unit_of_cells(self) -> str | None:
        """Return the unit in which its cells are read, None where they state none."""
        return self.writing.unit if self.writing else None

    def is_factor_after_all(self) -> bool:
        """Return whether the `K` behind its numbers is no unit, since other cells are plain."""
        unit = self.writing.unit if self.writing else None
        is_plain = any(suffix != unit and suffix in ("", *_FACTORS) for suffix in self.suffixes)
        return unit in _FACTORS and is_plain and split_title(self.title).unit != unit

    def other_units(self) -> dict[str, int]:
        """Return the known units in its cells that are no form of its unit, with their counts."""
        return {
            suffix: count
            for suffix, count in self.suffixes.items()
            if self.writing
            and self.writing.power(suffix) is None
            and unit_parts(normalize_unit(suffix))
        }

    def suspicious_numbers(self) -> Iterator[tuple[str, int]]:
        """Yield numbers that often mean no value and lie far from all others, or beyond what can be
        measured, as they are written, with their counts."""
        for (value, text), count in self.sentinels.items():
            gap = max(self.least - value, value - self.most)
            is_far = isfinite(self.least) and gap > max(self.most - self.least, abs(value) / 10)
            if is_far or abs(value) > MOST_MEASURED:
                yield text, count

    def written_with_decimal_comma(self) -> bool:
        """Return whether it becomes a category though most texts are numbers as `12,5`."""
        is_text = self.inferred() == "category" or self.stated == "number"
        return is_text and 2 * self.decimal_commas > self.texts


def find_writing(column: ColumnProfile, units: Collection[str | None] = ()) -> NumberWriting | None:
    """Return how a column writes its numbers, by its numbers and commonest texts; None if these are
    no numbers with a unit, a factor or an unusual sign. `units`: of the variables of its name."""
    written = [
        cell
        for text, count in column.common_texts.items()
        if (cell := _match_written(text, count)) is not None
    ]
    matched = sum(cell.cells for cell in written)
    looked_at = max(matched, sum(column.common_texts.values()) - column.faults)
    if not matched or matched < _MOSTLY * looked_at:
        return None
    suffixes = {cell.suffix for cell in written if cell.suffix}
    if not suffixes:
        return NumberWriting() if any(cell.has_sign for cell in written) else None
    title_unit = split_title(column.title).unit
    has_plain = bool(column.numbers) or any(not cell.suffix for cell in written)
    if _are_factors(suffixes, title_unit, has_plain=has_plain):
        return NumberWriting(has_factors=True)
    counts: Counter[str] = Counter()
    families: Counter[str] = Counter()
    for cell in written:
        if cell.suffix:
            counts[cell.suffix] += cell.cells
            families[_base(cell.suffix)] += cell.cells
    base = families.most_common(1)[0][0]
    of_base = [cell for cell in written if cell.suffix and _base(cell.suffix) == base]
    in_known_units = sum(n for unit, n in families.items() if unit == base or unit_parts(unit))
    near = [unit for unit in (title_unit, *units) if unit and _base(unit) == base]
    share = in_known_units / looked_at * (column.texts - column.faults)
    is_rare = 2 * share <= column.filled - column.faults and title_unit not in near
    is_mixed = in_known_units < _MOSTLY * families.total()
    if is_rare or is_mixed or not (column.stated == "number" or _is_unit(of_base)):
        return None
    suffix = max((cell.suffix for cell in of_base), key=counts.__getitem__)
    unit = near[0] if near else normalize_unit(suffix)
    return NumberWriting(unit, *(unit_parts(unit) or (unit, 0)))


class _Written(NamedTuple):
    core: str
    suffix: str
    is_spaced: bool
    has_sign: bool
    cells: int


def _match_written(text: str, count: int) -> _Written | None:
    match = _WRITTEN.match(text)
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    is_spaced = text[match.start("suffix") - 1] in _SPACES
    is_apart = match["sign"] is not None and match.end("sign") < match.start("core")
    is_dash = (match["sign"] or "-") in _DASHES
    has_sign = bool(match["open"] or match["behind"]) or is_apart or is_dash
    return _Written(match["core"], match["suffix"].strip(), is_spaced, has_sign, count)


def is_written_number(text: str) -> bool:
    """Return whether a text is a number with anything that people and displays write around it."""
    written = _match_written(text, 1)
    return written is not None and _CORE.fullmatch(written.core) is not None


def _base(suffix: str) -> str:
    unit = normalize_unit(suffix)
    return (unit_parts(unit) or UnitParts(unit, 0)).base


def _are_factors(suffixes: Collection[str], title_unit: str | None, *, has_plain: bool) -> bool:
    """Return whether texts behind numbers are factors: `K` alone is kelvin, `T` tesla."""
    if any(suffix.rstrip(".") not in _FACTORS for suffix in suffixes) or title_unit in suffixes:
        return False
    is_unit = all(unit_parts(suffix) for suffix in suffixes) and len(suffixes) == 1
    return not is_unit or has_plain or title_unit is not None


def _is_unit(written: Collection[_Written]) -> bool:
    """Return whether the text behind these numbers is a unit: `12A` may be a place, `1 Schicht` a
    category."""
    if any(re.search("[.,]", cell.core) for cell in written):
        return True
    is_spaced = all(cell.is_spaced for cell in written)
    if all(unit_parts(normalize_unit(cell.suffix)) for cell in written):
        return is_spaced or not all(re.fullmatch("[A-UX-Z]", cell.suffix) for cell in written)
    return is_spaced and len(written) >= _VARIED
