"""Texts of the platform in the reader's language: English in the code, the others in one gettext
file each.

A text that is stored keeps its template and its values (`Translatable`), so that every reader gets
it in another language. Files are read as they are (`de.po`); symbols of numbers, names of days and
plural forms are those of Unicode's CLDR (Babel).
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from math import floor, log10
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from babel import Locale, negotiate_locale

_FOLDER = files("alerting.definitions.wording")
NATIVE_NAMES: Mapping[str, str] = MappingProxyType(
    tomllib.loads(_FOLDER.joinpath("languages.toml").read_text(encoding="utf-8"))
)
LANGUAGES = tuple(NATIVE_NAMES)
if TYPE_CHECKING:
    LanguageCode = str
else:  # documents and settings take no other one
    LanguageCode = Literal[LANGUAGES]
NO_BREAK = "\u00a0"
NARROW_NO_BREAK = "\u202f"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_HALF_A_YEAR = timedelta(days=183)  # from which on a date needs its year
_STYLE = re.compile(r"share|threshold|points|duration|count|(\.\d{1,2})?[gf]( .*)?")
_WHOLE_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d|Z)")
_DAY_UNIT = re.compile(r"(?<=\d )d\b")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_THREE_DIGITS = 999.5  # a number from here on is written in whole units
_ONE_DECIMAL_BELOW = 0.0995
_LARGE = (1e3, 1e15)  # in which a number is written out, without a power of ten
_LEAST_SMALL = 1e-9
_FEWEST = 3  # significant digits of a value
_MOST = 15
_NEAR_END = 0.005  # of 0 or 1: a threshold needs more digits there


class Styled(NamedTuple):
    """A value with its format: `share`, `points`, `duration` (seconds), `count` (a whole number,
    grouped by thousands), or a Python format of numbers.

    A unit may follow the format: `.3g °C`.
    """

    raw: float | str
    style: str


class Interval(NamedTuple):
    """Two instants as one value: `2026-01-05 06:00 UTC to 2026-01-05 07:00 UTC`."""

    start: datetime
    end: datetime


class ReaderClock(NamedTuple):
    """How a reader is told an instant.

    With `now` as operators say it: `today 14:05`, `Mon 12 Jan 14:05`; `dated` without words such as
    `today`, for what may be read on another day. Without `now` as a date with its zone,
    `2026-01-05 07:00 CET`; `dated` without the zone, for documents that name theirs.
    """

    zone: tzinfo
    now: datetime | None = None
    dated: bool = False


_UTC_CLOCK = ReaderClock(UTC)


class Translatable(str):
    """An English text with its template and values. A slice or a sum of it is plain text again.

    `is_of_template`: whether the English text equals what its template gives today.
    """

    template: str
    values: "Mapping[str, Value]"
    is_of_template: bool

    def __new__(
        cls,
        english: str,
        template: str = "",
        values: "Mapping[str, Value] | None" = None,
        is_of_template: bool = False,
    ) -> "Translatable":
        made = super().__new__(cls, english)
        made.template = template
        made.values = values or {}
        made.is_of_template = is_of_template
        return made


Value = str | int | float | datetime | Interval | Styled | Translatable
"""A value of a template. An instant has a time zone."""


@dataclass(frozen=True)
class Language:
    """One language: translations by English template, symbols of numbers, and the reader's clock.
    Immutable."""

    code: LanguageCode
    locale: Locale = field(repr=False, compare=False)
    texts: Mapping[str, str | tuple[str, ...]] = field(repr=False, compare=False)
    clock: ReaderClock = _UTC_CLOCK

    def with_clock(
        self, zone: tzinfo, now: datetime | None = None, dated: bool = False
    ) -> "Language":
        """Return this language with a reader's clock."""
        return replace(self, clock=ReaderClock(zone, now, dated))

    def say(self, template: str, /, **values: Value) -> str:
        """Return the translation of a template with these values; English for a template without a
        translation.

        Of two forms, the value `number` selects the one that fits.
        """
        text = self.texts.get(template, template)
        if isinstance(text, str):
            return self._filled(text, values)
        number = values.get("number")
        raw = number.raw if isinstance(number, Styled) else number
        return self._filled(self._form(text, raw if isinstance(raw, int | float) else 1), values)

    def say_count(self, singular: str, plural: str, number: float, /, **values: Value) -> str:
        """Return the translated form that fits a number: the value `number`, unless given."""
        forms = self.texts.get(singular, (singular, plural))
        form = self._form(forms if isinstance(forms, tuple) else (singular, plural), number)
        return self._filled(form, {"number": self.digits(spoken_number(number)), **values})

    def _form(self, forms: tuple[str, ...], number: float) -> str:
        return forms[0 if self.locale.plural_form(abs(number)) == "one" else 1]

    def translate(self, text: str) -> str:
        """Return a text of the platform in this language; people's texts and texts without a
        translation stay as they are."""
        if isinstance(text, Translatable) and text.template:
            return self.say(text.template, **text.values)
        translation = self.texts.get(text, text)
        return translation if isinstance(translation, str) else text

    def show(self, value: Value | float) -> str:
        """Return one value of a template."""
        match value:
            case Styled():
                return self._styled(value.raw, value.style)
            case datetime():
                return self.instant(value)
            case Interval():
                return self.interval(*value)
            case Translatable() if (
                self.texts or not value.is_of_template or self.clock is not _UTC_CLOCK
            ):
                return self.translate(value)
        return str(value)

    def digits(self, text: str) -> str:
        """Return a number with a decimal point as this language writes it: `4.5` as `4,5`."""
        if self.code == "en":
            return text
        return _DECIMAL_POINT.sub(cast(str, self.locale.number_symbols["latn"]["decimal"]), text)

    def share(self, value: float) -> str:
        """Return a share as whole percent, with one decimal below 10 %: `89 %`, `2.5 %`."""
        return self._percent(value, 1 if 0 < abs(value) < _ONE_DECIMAL_BELOW else 0)

    def threshold(self, value: float) -> str:
        """Return a threshold of a risk as percent, with the digits that distinguish it from 0 and
        1: `89 %`, `99.99999965 %`."""
        distance = min(value, 1 - value)
        is_near_end = 0 < distance < _NEAR_END
        return (
            self._percent(value, -floor(log10(distance)) - 1) if is_near_end else self.share(value)
        )

    def _percent(self, value: float, decimals: int) -> str:
        sign = " %" if self.code == "en" else self.locale.percent_formats[None].suffix[0]
        return self.digits(f"{value * 100:.{decimals}f}") + sign

    def points(self, difference: float) -> str:
        """Return a difference of two shares in percentage points: `31 points`, `2.5 points`."""
        decimals = 1 if abs(difference) < _ONE_DECIMAL_BELOW else 0
        number = float(f"{difference * 100:.{decimals}f}")
        return self.say_count("{number} point", "{number} points", number)

    def duration(self, value: timedelta) -> str:
        """Return a duration in full: `30 min`, `1 h 30 min`, `5 d`; whole seconds only."""
        remaining = int(value.total_seconds())
        parts = []
        for unit, seconds in _UNITS:
            count, remaining = divmod(remaining, seconds)
            if count:
                parts.append(f"{count} {unit}")
        text = " ".join(parts) or "0 s"
        return text if self.code == "en" else _DAY_UNIT.sub(self.say("d"), text)

    def format_rough_duration(self, value: timedelta) -> str:
        """Return a measured duration in its two largest units: `2 d 3 h`, `-1 min 30 s`."""
        whole = round(abs(value.total_seconds()))
        first = next(
            (i for i, (_, seconds) in enumerate(_UNITS) if whole >= seconds), len(_UNITS) - 1
        )
        finest = _UNITS[min(first + 1, len(_UNITS) - 1)][1]
        length = self.duration(timedelta(seconds=whole // finest * finest))
        return f"-{length}" if value < timedelta(0) else length

    def instant(self, value: datetime) -> str:
        """Return an instant by the reader's clock."""
        zone, now, dated = self.clock
        local = _in_zone(value, zone)
        if now is None:
            second = f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"
            return second if dated else f"{second} {_zone_name(local)}"
        time = f"{local:%H:%M}"
        match (local.date() - now.astimezone(zone).date()).days:
            case -1 if not dated:
                return self.say("yesterday {time}", time=time)
            case 0 if not dated:
                return self.say("today {time}", time=time)
            case 1 if not dated:
                return self.say("tomorrow {time}", time=time)
        if abs(local - now) <= _HALF_A_YEAR:
            return f"{self.day(local)} {time}"
        return f"{self.month_day(local)} {local.year} {time}"

    def interval(self, start: datetime, end: datetime) -> str:
        """Return an interval by the reader's clock: `today 14:05 to 14:35 (30 min)`."""
        zone, now, _ = self.clock
        if now is None:
            return self.say("{start} to {end}", start=start, end=end)
        local_end = _in_zone(end, zone)
        same_day = _in_zone(start, zone).date() == local_end.date()
        return self.say(
            "{start} to {end} ({duration})",
            start=start,
            end=f"{local_end:%H:%M}" if same_day else end,
            duration=self.minutes(end - start),
        )

    def minutes(self, span: timedelta) -> str:
        """Return a duration to the minute: `3 h 20 min`; in seconds below one minute."""
        minute = timedelta(minutes=1)
        return self.format_rough_duration(span // minute * minute if span >= minute else span)

    def day(self, value: datetime) -> str:
        """Return a date without its year: `Mon 12 Jan`."""
        return self.say(
            "{weekday} {day} {month}",
            weekday=self.locale.days["format"]["abbreviated"][value.weekday()],
            day=value.day,
            month=self.locale.months["format"]["abbreviated"][value.month],
        )

    def month_day(self, value: datetime) -> str:
        """Return day and month: `12 Jan`."""
        return self.say(
            "{day} {month}",
            day=value.day,
            month=self.locale.months["format"]["abbreviated"][value.month],
        )

    def _styled(self, raw: float | str, style: str) -> str:
        if isinstance(raw, str):
            return raw
        match style:
            case "share":
                return self.share(raw)
            case "threshold":
                return self.threshold(raw)
            case "points":
                return self.points(raw)
            case "duration":
                return self.duration(timedelta(seconds=raw))
        number, _, unit = style.partition(" ")
        if number == "count":
            shown = f"{raw:,.0f}".replace(",", "," if self.code == "en" else NARROW_NO_BREAK)
        else:
            shown = self.digits(spoken_number(raw, number))
        return f"{shown}{' ' if self.code == 'en' else NO_BREAK}{unit}" if unit else shown

    def _filled(self, template: str, values: Mapping[str, Value]) -> str:
        """Insert values, without formats, because templates of stored texts come from the
        database."""
        filled, parts = _split(template)
        for name, text in parts:
            filled += (self.show(values[name]) if name in values else f"{{{name}}}") + text
        return filled


def _in_zone(value: datetime, zone: tzinfo) -> datetime:
    """Return an instant in a zone; as it is if the calendar ends before it there, as at the end of
    the year 9999."""
    try:
        return value.astimezone(zone)
    except OverflowError:
        return value


def _zone_name(local: datetime) -> str:
    letters = local.strftime("%Z")
    return letters if letters[:1].isalpha() else f"UTC{letters}"


@lru_cache(1024)  # a prediction with its reasons takes 7 % less CPU
def _split(template: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the text before the first value of a template, and the name of each value with the
    text behind it."""
    first, *parts = _PLACEHOLDER.split(template)
    return first, tuple(zip(parts[::2], parts[1::2], strict=True))


ENGLISH = Language("en", Locale("en"), MappingProxyType({}))
# Of texts for engineers.
spoken_share = ENGLISH.share
spoken_threshold = ENGLISH.threshold
spoken_duration = ENGLISH.duration
spoken_about = ENGLISH.format_rough_duration


@cache
def language(code: LanguageCode) -> Language:
    """Return a language with the translations of its file."""
    if code == "en":
        return ENGLISH
    from babel.messages.pofile import read_po  # noqa: PLC0415 - processes in English read no file

    with _FOLDER.joinpath(f"{code}.po").open("rb") as stream:
        catalog = read_po(stream, locale=code)
    texts: dict[str, str | tuple[str, ...]] = {}
    for entry in catalog:
        if entry.id and entry.string and not entry.fuzzy:
            string = entry.string if isinstance(entry.string, str) else tuple(entry.string)
            texts |= dict.fromkeys([entry.id] if isinstance(entry.id, str) else entry.id, string)
    return Language(code, Locale(code), MappingProxyType(texts))


def preferred_language(accept: str, usual: LanguageCode) -> LanguageCode:
    """Return the first language in an Accept-Language header that the platform has; else the usual
    one."""
    weighted = []
    for position, part in enumerate(accept.split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), position, tag.strip().replace("-", "_")))
        except ValueError:
            continue
    code = negotiate_locale([tag for quality, _, tag in sorted(weighted) if quality], LANGUAGES)
    return code or usual


def translatable(template: str, /, **values: Value) -> Translatable:
    """Return a text for every language. Values are names as they are, numbers, and `Styled` for
    formatted ones."""
    return Translatable(ENGLISH.say(template, **values), template, values, is_of_template=True)


def in_english(template: str, /, **values: Value) -> Translatable:
    """Return a text for engineers in English; its instants are shown by the reader's clock.

    It differs from `translatable` in that its template is not collected for translation. Values
    that have translations, and a template that is translated elsewhere, are translated.
    """
    return translatable(template, **values)


def with_command(text: str, command: str) -> Translatable:
    """Return a text that carries a command, which its words do not name: the command line prints it
    in a line of its own, and no page shows it."""
    return Translatable(text, "{text}", {"text": text, "command": command}, is_of_template=True)


def commands_of(text: object) -> list[str]:
    """Return the commands that a text and the texts in it carry."""
    if not isinstance(text, Translatable):
        return []
    within = [command for value in text.values.values() for command in commands_of(value)]
    return [*within, *(str(value) for name, value in text.values.items() if name == "command")]


def translatable_count(singular: str, plural: str, number: int, /, **values: Value) -> Translatable:
    """Return the form of a text that fits a number; other languages' forms fit it, too."""
    return translatable(
        singular if number == 1 else plural, number=Styled(number, "count"), **values
    )


def count_in_english(singular: str, plural: str, number: int, /, **values: Value) -> str:
    """Return the form of a text for engineers that fits a number."""
    return ENGLISH.say(
        singular if number == 1 else plural, number=Styled(number, "count"), **values
    )


def template(text: str) -> str:
    """Return the template itself: marks it for the tool that collects texts, where a table holds
    templates."""
    return text


def templates(singular: str, plural: str) -> tuple[str, str]:
    """Return the two forms of a template themselves: marks a text that counts for the tool that
    collects texts."""
    return singular, plural


def measured(value: float, style: str, unit: str | None) -> Styled:
    """Return a number that is shown with its unit: `4.5 %`, `12`; `1` is that of a ratio."""
    return Styled(float(value), f"{style} {unit}" if unit and unit != "1" else style)


def joined(separator: str, *parts: str) -> Translatable:
    """Return texts joined by a separator, each of them translatable; empty texts are left out."""
    values = {f"part_{i}": part for i, part in enumerate(part for part in parts if part)}
    return translatable(separator.join(f"{{{name}}}" for name in values), **values)


def has_part(text: str, part: str) -> bool:
    """Return whether a text says the same as another, or has it among its values."""
    values = text.values.values() if isinstance(text, Translatable) else ()
    return is_same_text(text, part) or any(isinstance(v, str) and has_part(v, part) for v in values)


def is_same_text(value: Value, second: Value) -> bool:
    """Return whether two values are equal; texts of one template with equal values are, also if an
    earlier version stored one of them in other words."""
    if not (isinstance(value, Translatable) and isinstance(second, Translatable)):
        return value == second
    return value == second or (
        value.template == second.template != ""
        and value.values.keys() == second.values.keys()
        and all(is_same_text(v, second.values[name]) for name, v in value.values.items())
    )


def join_first(names: Sequence[str], most: int) -> str:
    """Return the first `most` names joined by commas, and the number of further names."""
    first = joined(", ", *names[:most])
    more = len(names) - most
    if more <= 0:
        return first
    return translatable("{names} and {number} more", names=first, number=Styled(more, "count"))


def join_with_and(first: str, *others: str) -> str:
    """Return texts joined by `and`."""
    for second in others:
        first = translatable("{first} and {second}", first=first, second=second)
    return first


def join_with_or(first: str, *others: str) -> str:
    """Return texts joined by `or`."""
    for second in others:
        first = translatable("{first} or {second}", first=first, second=second)
    return first


def template_document(text: Translatable) -> dict[str, Any]:
    """Return template and values as a document."""
    values: dict[str, Any] = {}
    for name, value in text.values.items():
        match value:
            case Translatable():
                values[name] = template_document(value)
            case Styled():
                values[name] = [*value]
            case Interval():
                values[name] = [*(at.isoformat() for at in value), "interval"]
            case datetime():
                values[name] = [value.isoformat(), "instant"]
            case str() if _WHOLE_INSTANT.fullmatch(value):  # else it would be read as an instant
                values[name] = [value, "text"]
            case _:
                values[name] = value
    return {"template": text.template, "values": values}


def read_template(document: Mapping[str, Any], english: str | None = None) -> Translatable:
    """Return the text of a document made by `template_document`, with the stored English wording
    where there is one.

    Raises LookupError, TypeError, ValueError or AttributeError for another document.
    """
    made = translatable(
        document["template"],
        **{name: _read_value(value) for name, value in document["values"].items()},
    )
    return made if english is None else Translatable(english, made.template, made.values)


def _read_value(stored: Any) -> Value:
    match stored:
        case Mapping():
            return read_template(stored)
        case [str(start), str(end), "interval"]:
            return Interval(_read_instant(start), _read_instant(end))
        case [str(text), ("instant" | "text") as kind]:
            return _read_instant(text) if kind == "instant" else text
        case [(float() | int() | str()) as raw, str(style)] if _STYLE.fullmatch(style):
            return Styled(raw, style)
        case str() if _WHOLE_INSTANT.fullmatch(stored):  # written before instants were values
            return _read_instant(stored)
        case str() | int() | float():
            return cast(Value, stored)
    raise ValueError(f"{stored!r} is no value of a text")


def _read_instant(stored: str) -> datetime:
    at = datetime.fromisoformat(stored)
    if at.tzinfo is None:
        raise ValueError(f"the instant {stored} has no time zone")
    return at


def latency_note(latency: timedelta) -> str:
    """Return a note after the evaluated instant: ` (latency 10 s)`; "" without latency."""
    return f" (latency {spoken_duration(latency)})" if latency else ""


def spoken_number(value: float, style: str = "g") -> str:
    """Return a number in a format; a large one in whole units, a small one with all its zeros,
    never with a power of ten: `1234567` instead of `1.23457e+06`, `0.000025` of `2.5e-05`."""
    shown = format(value, style)
    if "e" not in shown:
        return shown
    if _LARGE[0] <= abs(value) < _LARGE[1]:
        return f"{value:.0f}"
    return f"{Decimal(shown):f}" if _LEAST_SMALL <= abs(value) < 1 else shown


def digits_beside(value: float, *limits: float | None) -> int:
    """Return how many significant digits a value needs beside limits: three, or more if it would
    otherwise look equal to a limit or lie on its other side."""
    numbers = [limit for limit in limits if limit is not None]
    for digits in range(_FEWEST, _MOST):
        shown = float(spoken_number(value, f".{digits}g"))
        if all((shown > n) == (value > n) and (shown < n) == (value < n) for n in numbers):
            return digits
    return _MOST


def format_threshold(value: float) -> str:
    """Return a threshold of a risk with the digits that distinguish it from 1: `0.89`,
    `0.9999999965`."""
    distance = 1 - value
    return f"{value:.{1 - floor(log10(distance))}f}" if 0 < distance < _NEAR_END else f"{value:.3g}"


def spoken_false_alarms(per_asset: float, assets: int) -> str:
    """Return a weekly number of false alarms per asset as the number on all assets: `60 ... on all
    20 assets (3 on each)`."""
    rate = spoken_rate(per_asset * max(assets, 1))
    alarms = f"{rate} false alarm{'' if rate == '1' else 's'} a week"
    if assets <= 1:
        return alarms
    return f"{alarms} on all {assets} assets together ({spoken_rate(per_asset)} on each)"


def spoken_rate(value: float) -> str:
    """Return a number with three digits, and with commas between its thousands."""
    return f"{value:,.0f}" if value >= _THREE_DIGITS else f"{value:.3g}"
