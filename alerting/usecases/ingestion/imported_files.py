"""Files of an import, each checked once and read once: form, profile, and notes on them for people,
with reasons for a refusal."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from alerting.deferred import np
from alerting.definitions.asset_documents import Asset, Variable, VariableType
from alerting.definitions.faults import UserError, shown
from alerting.definitions.file_form import DuplicatesRule, FileForm
from alerting.definitions.wording.language import (
    ENGLISH,
    Styled,
    Value,
    count_in_english,
    join_first,
    joined,
    templates,
)
from alerting.ports import Progress
from alerting.readings.foreign_columns import BadLine, ColumnProfile
from alerting.readings.history import Millis
from alerting.readings.unit_changes import ThinnedRows
from alerting.readings.variable_series import describe_doubtful
from alerting.usecases.ingestion.asset_import import Titles
from alerting.usecases.ingestion.column_notes import describe_column, type_option


@dataclass(frozen=True)
class UnderstoodColumn:
    """One column: `title` as the file writes it, `name` of the variable or attribute.

    `values` counts good cells, `missing` empty ones, `bad` cells that do not hold a value;
    `bad_cells` are the most frequent bad cells with their counts, `first_bad` the first bad cells
    with their lines. `every_s` (s) is the usual distance of values if it is much longer than the
    distance of the lines. `new` is true if no asset has declared the variable before.
    """

    title: str
    name: str
    type: VariableType
    unit: str | None
    new: bool
    values: int
    missing: int
    bad: int
    bad_cells: Mapping[str, int]
    first_bad: tuple[str, ...] = ()
    every_s: float | None = None


@dataclass(frozen=True)
class Understood:
    """A file as it will be imported. `lines` counts all lines below the header, `rows` the good
    ones; `notes` are sentences. `removes`: how many of its rows are stored exactly so, if an import
    is taken back."""

    source: str
    form: FileForm
    lines: int
    rows: int
    first: datetime | None
    last: datetime | None
    assets: tuple[str, ...]
    new_assets: tuple[str, ...]
    columns: tuple[UnderstoodColumn, ...]
    event_types: Mapping[str, str]
    notes: tuple[str, ...]
    removes: int | None = None


P_co = TypeVar("P_co", bound="Profile", covariant=True)
Duration = Literal["instant", "lasting"]
DURATIONS: Mapping[bool | None, Duration | None] = MappingProxyType(
    {True: "lasting", False: "instant", None: None}
)
"""The duration of types by whether they last, as it is stated."""
Reject = Callable[[BadLine], None]


@dataclass
class Profile:
    """Result of the first pass. `bad` counts lines that are bad under any types; `first_bad` shows
    the first few.

    `assets`: names of the columns filled anywhere, by asset. `repeated` lines add nothing to an
    earlier one, or are merged with it by the rule `duplicates`; `contradictions` are bad lines with
    another value for an instant; `distinguishing`: the column of texts that tells the lines of one
    instant apart; `empty` lines have no value; `rows` counts the good ones.
    `cut` stamps lost parts of a millisecond. `incomplete`:
    the rest of a file with bad lines was not read. `clock_changes`: by day on which the clocks
    of `zone` were set back, how many stamps were taken for the first and for the second of the
    times that come twice. `asset_texts`: the text by asset where it is not the name.
    `head_notes`: sentences on lines above the first row. `ends`: the first and the last hundred
    thousand instants (ms) of its rows. `sample`: rows of readings, with the numbers of `columns`.
    """

    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    assets: dict[str, set[str]] = field(default_factory=dict)
    lines: int = 0
    bad: int = 0
    first_bad: list[BadLine] = field(default_factory=list)
    repeated: int = 0
    duplicates: DuplicatesRule = "refuse"
    contradictions: int = 0
    distinguishing: str | None = None
    empty: int = 0
    rows: int = 0
    cut: int = 0
    incomplete: bool = False
    zone: str | None = None
    clock_changes: Mapping[date, tuple[int, int]] = field(default_factory=dict)
    asset_texts: Mapping[str, str] = field(default_factory=dict)
    head_notes: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    ends: Millis = field(default_factory=lambda: np.empty(0, np.int64))
    sample: ThinnedRows = field(default_factory=ThinnedRows)


@dataclass
class EventTypeProfile:
    """Profile of one event type: whether any event has an end after its start, and the first lines
    with such an event."""

    ends: int = 0
    first_ends: list[BadLine] = field(default_factory=list)


@dataclass
class EventsProfile(Profile):
    """A profile of events. `end_column`: whether the file has one; `stamps`: the titles of other
    columns that hold time stamps; `type_texts`: by event type, its text in the file where it is not
    the name."""

    types: dict[str, EventTypeProfile] = field(default_factory=dict)
    end_column: bool = False
    stamps: Sequence[str] = ()
    type_texts: Mapping[str, str] = field(default_factory=dict)


class RowSource(Protocol[P_co]):
    """A file of readings or of events, read once to check and once to import. `unit` is the word
    for its lines: line, or row."""

    name: str
    unit: str

    @property
    def form(self) -> FileForm: ...

    def keep_names(self, titles: Titles, declared: Any, /) -> None:
        """Give texts that are titles of assets, and columns of declared variables or texts that are
        titles of event types, the names of those; before the profile. `declared`: units of the
        variables by name, or titles of the types."""
        ...

    def profile(self, progress: Progress, *, stop_early: bool = False) -> P_co:
        """`stop_early`: stop soon after the first bad line."""
        ...

    @property
    def read(self) -> Callable[..., Iterator[Any]]:
        """A reader that yields batches of rows with the columns of some types, for events also of
        some durations. Every bad line is passed to its `reject`."""
        ...


ReadingSource = RowSource[Profile]
EventSource = RowSource[EventsProfile]
SHOWN = 5
_TYPES: Mapping[VariableType, str] = MappingProxyType(
    {
        "number": "number",
        "boolean": "boolean",
        "category": "category",
    }
)
_BAD = {"line": "line {line}", "row": "row {line}"}
_NOT_READ = {
    "line": "the lines behind line {number} were not read",
    "row": "the rows behind row {number} were not read",
}
_NO_ASSETS = "texts that are no names of assets: {names}"
_NO_TYPES = "texts that are no names of event types: {names}"
_MOST_TEXTS = 5
_EMPTY: Mapping[str, tuple[str, str]] = MappingProxyType({
    "line": templates(
        "{number} line holds no value and was skipped",
        "{number} lines hold no value and were skipped",
    ),
    "row": templates(
        "{number} row holds no value and was skipped",
        "{number} rows hold no value and were skipped",
    ),
})  # fmt: skip
_BAD_QUALITY = (
    "{number} sample is of bad quality: its value is not stored, and the variable is unknown until "
    "its next sample that is not bad",
    "{number} samples are of bad quality: their values are not stored, and the variable is unknown "
    "until its next sample that is not bad",
)
_UNCERTAIN = (
    "{number} sample is of uncertain quality: it is marked as such, and used",
    "{number} samples are of uncertain quality: they are marked as such, and used",
)
_CUT = (
    "{number} time stamp is finer than a millisecond and was cut to it",
    "{number} time stamps are finer than a millisecond and were cut to it",
)
_REPEATED: Mapping[tuple[DuplicatesRule, str], tuple[str, str]] = MappingProxyType({
    ("refuse", "line"): templates(
        "{number} line repeats an earlier one and was counted once",
        "{number} lines repeat an earlier one and were counted once",
    ),
    ("refuse", "row"): templates(
        "{number} row repeats an earlier one and was counted once",
        "{number} rows repeat an earlier one and were counted once",
    ),
    ("last", "line"): templates(
        "{number} line states an instant of an earlier one again: the last value of each variable "
        "counts (--duplicates last)",
        "{number} lines state an instant of an earlier one again: the last value of each variable "
        "counts (--duplicates last)",
    ),
    ("last", "row"): templates(
        "{number} row states an instant of an earlier one again: the last value of each variable "
        "counts (--duplicates last)",
        "{number} rows state an instant of an earlier one again: the last value of each variable "
        "counts (--duplicates last)",
    ),
    ("mean", "line"): templates(
        "{number} line states an instant of an earlier one again: the mean counts (--duplicates "
        "mean), of texts and booleans the last one",
        "{number} lines state an instant of an earlier one again: the mean counts (--duplicates "
        "mean), of texts and booleans the last one",
    ),
    ("mean", "row"): templates(
        "{number} row states an instant of an earlier one again: the mean counts (--duplicates "
        "mean), of texts and booleans the last one",
        "{number} rows state an instant of an earlier one again: the mean counts (--duplicates "
        "mean), of texts and booleans the last one",
    ),
})  # fmt: skip


def understand(
    source: ReadingSource,
    profile: Profile,
    types: Mapping[str, VariableType],
    existing: Mapping[str, Asset],
    event_types: Mapping[str, str],
    now: datetime | None = None,
) -> Understood:
    """Return the description of the file as it will be imported. `now`: the notes name readings
    after it (None: no reading)."""
    declared: dict[str, Variable] = {}
    for name in sorted(profile.assets.keys() & existing.keys()):
        declared = {**existing[name].variables, **declared}
    columns = []
    for title, kind in types.items():
        column = profile.columns[title]
        variable = declared.get(column.name)  # an import changes no declared variable
        unit = variable.unit if variable else column.split_title().unit
        wrong, first = column.bad(kind)
        texts = {**column.marks, **(column.common_texts if wrong and kind != "category" else {})}
        columns.append(
            UnderstoodColumn(
                title=title,
                name=column.name,
                type=kind,
                unit=unit if kind == "number" else None,
                new=variable is None,
                values=column.filled - wrong,
                missing=max(0, profile.rows - column.filled - column.marked - column.bad_quality),
                bad=column.marked + wrong,
                bad_cells=dict(sorted(texts.items(), key=lambda item: -item[1])[:SHOWN]),
                first_bad=tuple(line.text for line in first),
                every_s=None if column.every_ms is None else column.every_ms / 1000,
            )
        )
    return Understood(
        source=source.name,
        form=source.form,
        lines=profile.lines,
        rows=profile.rows,
        first=profile.first,
        last=profile.last,
        assets=tuple(sorted(profile.assets)),
        new_assets=tuple(name for name in sorted(profile.assets) if name not in existing),
        columns=tuple(columns),
        event_types=event_types,
        notes=tuple(notes(source, profile, types, now, declared)),
    )


def refuse_bad(source: ReadingSource, profile: Profile, reject: Reject | None) -> None:
    """Refuse a file with bad lines. Raises UserError if a line is bad without a `reject` for it, or
    if no good line is left."""
    if profile.distinguishing and profile.duplicates == "mean":
        mixed = f"{source.name} was not imported: --duplicates mean would mix its values"
        raise UserError(joined(". ", mixed, _name_what_differs(profile, profile.distinguishing)))
    if profile.bad and (reject is None or not profile.assets):
        remedy = "no line of it is good" if reject else "--skip-bad imports the good lines"
        raise UserError(_refusal(source, profile, remedy))
    if not profile.assets:
        raise UserError(f"{source.name} has a header but no lines; nothing was written")


def refuse_doubtful(
    source: ReadingSource, profile: Profile, types: Mapping[str, VariableType]
) -> None:
    """Refuse a doubtful column. Raises UserError if too many of its cells do not fit its type, so
    that it may have another."""
    for title, kind in types.items():
        column = profile.columns[title]
        others = column.other_units()
        if kind == "number" and others and column.writing:
            named = ", ".join(f"{count:,} in {unit}" for unit, count in others.items())
            raise UserError(
                f"{source.name} was not imported: column {shown(column.title)} mixes units: "
                f"beside {column.writing.unit} it has {named}. Export it in one unit, or leave it "
                "out with --only; if its cells are names, add "
                f"{type_option(column.title, 'category')}"
            )
        wrong, first = column.bad(kind)
        wrong -= column.faults if kind == "number" else 0
        filled = column.filled - column.faults
        texts = len(column.common_texts) - (column.faults > 0)
        if 2 * wrong > filled or (5 * wrong > filled and texts > _MOST_TEXTS):
            raise UserError(
                _with_lines(
                    ENGLISH.say(
                        "{file} was not imported: column {title} is taken for a {type}, and "
                        "{wrong} of its {filled} cells are not. If it holds text, declare it as a "
                        "category with {option} (of its asset, if it is not new); else "
                        "leave it out with --only, or name with --missing the texts that mean a "
                        "missing value:",
                        file=source.name,
                        title=shown(title),
                        option=type_option(title, "category"),
                        type=_TYPES[kind],
                        wrong=Styled(wrong, "count"),
                        filled=Styled(filled, "count"),
                    ),
                    source,
                    first[:SHOWN],
                )
            )


def _with_lines(headline: str, source: ReadingSource, lines: Sequence[BadLine], *more: str) -> str:
    """Return a text with one line below it for each bad line, and for each further sentence."""
    below = [ENGLISH.say(_BAD[source.unit], line=line.text) for line in lines]
    return joined("\n  - ", headline, *below, *more)


def _refusal(source: ReadingSource, profile: Profile, remedy: str) -> str:
    lines = profile.first_bad
    shown = sorted(lines, key=lambda b: b.line)[:SHOWN]
    below: list[str] = []
    if profile.bad > len(shown):
        more = Styled(profile.bad - len(shown), "count")
        below.append(ENGLISH.say("and {number} more", number=more))
    if profile.incomplete:
        below.append(ENGLISH.say(_NOT_READ[source.unit], number=Styled(profile.lines + 1, "count")))
    headline = f"{source.name} was not imported ({remedy}):"
    if any(line.of_quality for line in lines):  # a line has other values, too
        headline = f"{source.name} was not imported: the quality of some values is not clear:"
    elif profile.contradictions and profile.distinguishing:
        differs = _name_what_differs(profile, profile.distinguishing)
        headline = joined(". ", f"{source.name} was not imported", f"{differs}:")
    elif profile.contradictions:
        headline = (
            f"{source.name} was not imported ({remedy}; --duplicates last or mean merges the lines "
            "of one instant):"
        )
    return _with_lines(headline, source, shown, *below)


def _name_what_differs(profile: Profile, title: str) -> str:
    """Return how to read lines of one instant that differ in this column."""
    if title.startswith("column_"):
        return (
            f"The texts of column {shown(title)} tell the lines of one instant apart, and no line "
            "names the columns: name them in their order with --columns, such as variable, time, "
            "ns (nanoseconds), quality, value, and one by one the others"
        )
    numbers = [c.title for c in profile.columns.values() if c.numbers > c.texts]
    value = repr(numbers[0]) if len(numbers) == 1 else "COLUMN"
    return (
        f"The texts of column {shown(title)} tell the lines of one instant apart. If they name "
        f"the variable of each line, add --variable-column {title!r} --value-column {value}; if "
        f"they name its asset, --asset-column {title!r}"
    )


def notes(
    source: ReadingSource,
    profile: Profile,
    types: Mapping[str, VariableType],
    now: datetime | None = None,
    declared: Collection[str] = (),
) -> Iterator[str]:
    """Yield notes on this file for people, as sentences. `declared`: variables that there are."""
    yield from profile.head_notes
    is_event = isinstance(profile, EventsProfile)
    type_texts = profile.type_texts if isinstance(profile, EventsProfile) else {}
    for message, texts in ((_NO_ASSETS, profile.asset_texts), (_NO_TYPES, type_texts)):
        if texts:
            meant = [f"{shown(text)} is {name}" for name, text in sorted(texts.items())]
            yield ENGLISH.say(message, names=join_first(meant, SHOWN))
    if not is_event:
        yield from describe_doubtful(profile.ends, now, profile.rows)
    for counted, number in (
        (_REPEATED[profile.duplicates, source.unit], profile.repeated),
        (_EMPTY[source.unit], profile.empty),
        (_BAD_QUALITY, sum(profile.columns[title].bad_quality for title in types)),
        (_UNCERTAIN, sum(profile.columns[title].uncertain for title in types)),
        (_CUT, profile.cut),
    ):
        if number:
            yield count_in_english(*counted, number)
    if profile.repeated and profile.distinguishing:
        yield _name_what_differs(profile, profile.distinguishing)
    if empty := [title for title in profile.columns if title not in types]:
        names = ", ".join(empty[:20]) + (" …" if len(empty) > 20 else "")
        yield ENGLISH.say("columns without any value were skipped: {names}", names=names)
    if profile.clock_changes:
        yield from _clock_notes(source, profile)
    for title, kind in types.items():
        column = profile.columns[title]
        is_new = column.name not in declared and not is_event
        yield from describe_column(column, kind, is_new=is_new, titles=profile.columns)
    yield from _unit_notes(profile, types)
    if profile.bad:
        first = sorted(profile.first_bad, key=lambda line: line.line)[:SHOWN]
        yield _with_lines(
            count_in_english(
                "{number} bad line is left out:", "{number} bad lines are left out:", profile.bad
            ),
            source,
            first,
            *(["…"] if profile.bad > len(first) else []),
        )


def _clock_notes(source: ReadingSource, profile: Profile) -> Iterator[str]:
    if (source.form.zone_from or "").startswith("shown"):
        yield (
            f"the file shows the clocks of {profile.zone or ''} being set back, so its stamps "
            "are read in that zone; set ALERTING_TIMEZONE (or give --tz), so that files "
            "without such an hour are read in it, too"
        )
    for day, (first, second) in sorted(profile.clock_changes.items()):
        change: dict[str, Value] = {"day": str(day), "zone": profile.zone or ""}
        if second:
            yield (
                ENGLISH.say(
                    "on {day} the clocks of {zone} are set back, and an hour comes twice: by the "
                    "order of the lines, {first} stamps are of its first time and {second} of its "
                    "second",
                    **change,
                    first=Styled(first, "count"),
                    second=Styled(second, "count"),
                )
            )
        elif first:
            yield (
                ENGLISH.say(
                    "on {day} the clocks of {zone} are set back, and an hour comes twice: the "
                    "file has it once, and its {first} stamps are taken for the first time",
                    **change,
                    first=Styled(first, "count"),
                )
            )


def _unit_notes(profile: Profile, types: Mapping[str, VariableType]) -> Iterator[str]:
    titles = [*profile.columns]
    changes = [
        change.describe(f"{name} of {asset}" if len(profile.assets) > 1 else name)
        for asset, position, change in profile.sample.find_changes()
        if types.get(titles[position]) == "number"
        for name in [profile.columns[titles[position]].name]
    ]
    yield from changes[:SHOWN]
    if len(changes) > SHOWN:
        yield f"{len(changes) - SHOWN} more columns change so (another unit?)"
    if changes:
        yield "state another unit in the title of its column, as `mass [g]`: it is then converted"
