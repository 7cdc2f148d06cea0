"""How a file is read, as one value. Each field that a person can state is declared once: from it
come the option of the command, the choice in the browser, the field of a source and the text that
is stored for the next file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError, shown
from alerting.definitions.form_fields import KINDS, FormField, What
from alerting.definitions.wording.language import join_with_and

Stated = Mapping[str, tuple[str, ...]]
"""The texts that are stated of each field; of a switch an empty one."""
DuplicatesRule = Literal["refuse", "last", "mean"]
"""Lines that state the same instant of an asset: refuse contradictions, or merge them into the last
values or the mean."""
_READINGS: Any = {"what": ("readings",)}
_EVENTS: Any = {"what": ("events",)}


@dataclass(frozen=True)
class FileForm:
    """Everything that must be known to read a file: as a person states it, and then as it was
    found. What is None, or empty, is found in the file, or does not apply to it.

    Only found: `title_lines`, the lines that name the columns, counted from 1; `unit_line`, that of
    their units; `first_line`, that of the first row; `unit_column`, the unit in a file with one row
    for each value; `zone_from`, the reason for the zone. `plant_zone`: that of the plant.
    """

    asset: Annotated[
        str | None,
        FormField(
            "--asset",
            "The asset of all lines: its name or title, or a new one.",
            "Asset",
            kind="name",
            metavar="NAME",
            source="asset",
            is_reused=False,
            is_of_table=False,
            replaces=("asset_column", "asset_prefix"),
            is_first=True,
        ),
    ] = None
    time: Annotated[
        str | None,
        FormField(
            "--time",
            "Column of the time stamps, or several with a plus: 'Date + Time + ms'. Left out: ts, "
            "or the one that holds stamps.",
            "Column of the time",
            source="time",
            is_first=True,
        ),
    ] = None
    time_format: Annotated[
        str | None,
        FormField(
            "--time-format",
            "Format of stamps: iso, dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy …, or as %d.%m.%Y "
            "%H:%M:%S; found when left out.",
            "Format of times",
            metavar="FORMAT",
            source="time_format",
            is_of_table=False,
            replaces=("sequence",),
            is_first=True,
        ),
    ] = None
    zone: Annotated[
        str | None,
        FormField(
            "--tz",
            "Time zone of stamps that name none, e.g. Europe/Berlin; ALERTING_TIMEZONE when left "
            "out.",
            "Time zone",
            metavar="ZONE",
            source="timezone",
            is_of_table=False,
            is_first=True,
        ),
    ] = None
    sheet: Annotated[
        str | None,
        FormField(
            "--sheet",
            "Sheet of a workbook; left out: the only one that holds a table and is not hidden.",
            "Sheet",
            metavar="NAME",
            source="sheet",
            is_of_head=True,
        ),
    ] = None
    header_line: Annotated[
        int | None,
        FormField(
            "--header-line",
            "The line that names the columns, counted from 1; 0: none does. Found when left out.",
            "Line of the titles",
            kind="line",
            metavar="LINE",
            hint="0: none names them",
            source="header_line",
            is_of_head=True,
            is_first=True,
        ),
    ] = None
    columns: Annotated[
        tuple[str, ...],
        FormField(
            "--columns",
            "Names of all columns, instead of those of the file.",
            "Titles of all columns",
            kind="names",
            metavar="NAME,...",
            hint="Time, Zone 1, Zone 2",
            source="columns",
            is_of_head=True,
        ),
    ] = ()
    separator: Annotated[
        str | None,
        FormField(
            "--sep",
            "Field separator, e.g. ';' or tab; found from the header when left out.",
            "Separator",
            metavar="CHAR",
            source="separator",
            is_of_head=True,
        ),
    ] = None
    decimal: Annotated[
        str | None,
        FormField(
            "--decimal",
            "Decimal mark, . or , ; found from the numbers when left out.",
            "Decimal mark",
            kind="choice",
            values=(".", ","),
            metavar="CHAR",
            source="decimal:",
            is_of_table=False,
        ),
    ] = None
    encoding: Annotated[
        str | None,
        FormField(
            "--encoding",
            "Encoding of the text, e.g. cp1252; found from the bytes when left out.",
            "Encoding",
            metavar="NAME",
            source="encoding",
            is_of_head=True,
        ),
    ] = None
    variable_column: Annotated[
        str | None,
        FormField(
            "--variable-column",
            "Column that names the variable, of a file with one line for each value; found when "
            "left out.",
            "Column that names the variable",
            source="variable:",
            is_of_head=True,
            **_READINGS,
        ),
    ] = None
    value_column: Annotated[
        str | None,
        FormField(
            "--value-column",
            "Column of the values beside it.",
            "Column of its value",
            source="value:",
            is_of_head=True,
            **_READINGS,
        ),
    ] = None
    is_wide: Annotated[
        bool,
        FormField(
            "--wide",
            "The file has one column for each variable, not one line.",
            "Form of the rows",
            kind="switch",
            source="wide",
            is_of_head=True,
            **_READINGS,
        ),
    ] = False
    asset_column: Annotated[
        str | None,
        FormField(
            "--asset-column",
            "Column with the name or title of the asset of each line; `asset` when left out.",
            "Column of the asset",
            source="asset_column",
        ),
    ] = None
    asset_prefix: Annotated[
        str,
        FormField(
            "--asset-prefix",
            "Prefix of the values of the asset column: machine- makes machine-1 of 1.",
            "Text before each asset",
            kind="exact",
            metavar="TEXT",
            source="asset_prefix",
            is_of_table=False,
        ),
    ] = ""
    event_type: Annotated[
        str | None,
        FormField(
            "--type",
            "The type of all events in the file.",
            "Type of all events",
            kind="name",
            metavar="NAME",
            source="events.type",
            is_reused=False,
            is_of_table=False,
            replaces=("type_column", "type_prefix"),
            **_EVENTS,
        ),
    ] = None
    type_column: Annotated[
        str | None,
        FormField(
            "--type-column",
            "Column that names the type; `type` when left out.",
            "Column of the type",
            source="events.type_column",
            **_EVENTS,
        ),
    ] = None
    type_prefix: Annotated[
        str,
        FormField(
            "--type-prefix",
            "Prefix of the values of the type column.",
            "Text before each type",
            kind="exact",
            metavar="TEXT",
            source="events.type_prefix",
            is_of_table=False,
            **_EVENTS,
        ),
    ] = ""
    end_column: Annotated[
        str | None,
        FormField(
            "--end-column",
            "Column of the ends; `end` when left out and there is one.",
            "Column of the end",
            source="events.end_column",
            **_EVENTS,
        ),
    ] = None
    rename: Annotated[
        Mapping[str, str],
        FormField(
            "--rename",
            "Name for a column, as 'title=name'.",
            "Name",
            kind="by_title",
            metavar="OLD=NEW",
            source="variables",
        ),
    ] = field(default_factory=dict)
    types: Annotated[
        Mapping[str, VariableType],
        FormField(
            "--column-type",
            "Type of a new variable by the title of its column: number, boolean or category.",
            "Type",
            kind="types",
            metavar="COL=TYPE",
            source="types",
            **_READINGS,
        ),
    ] = field(default_factory=dict)
    only: Annotated[
        tuple[str, ...],
        FormField(
            "--only",
            "Take only these value columns.",
            "Columns to import",
            kind="names",
            metavar="COL,...",
            hint="all",
            source="others",
        ),
    ] = ()
    missing: Annotated[
        tuple[str, ...],
        FormField(
            "--missing",
            "A text that means a missing value, in addition to #NV, --- and similar ones.",
            "Texts that mean: no value",
            kind="texts",
            metavar="TEXT",
            source="missing",
            is_of_table=False,
            **_READINGS,
        ),
    ] = ()
    quality: Annotated[
        str | None,
        FormField(
            "--quality",
            "Column of the quality of all samples of a line.",
            "Column of the quality",
            source="quality",
            **_READINGS,
        ),
    ] = None
    quality_suffix: Annotated[
        str | None,
        FormField(
            "--quality-suffix",
            "Suffix of columns that hold the quality of another column's samples: _q for "
            "temperature_q.",
            "Ending of columns of quality",
            kind="exact",
            metavar="TEXT",
            hint="_quality",
            source="quality_suffix",
            **_READINGS,
        ),
    ] = None
    quality_codes: Annotated[
        Literal["opc-ua", "opc-da", "siemens", "flag"] | None,
        FormField(
            "--quality-codes",
            "Meaning of their numbers; required if 0 occurs: good in OPC UA, bad in OPC DA. "
            "siemens: 0 bad, 1 uncertain, 2 and 3 good. flag: 0 bad, 1 good.",
            "Numbers of quality",
            kind="choice",
            values=("opc-ua", "opc-da", "siemens", "flag"),
            source="quality_codes",
            **_READINGS,
        ),
    ] = None
    sequence: Annotated[
        timedelta | None,
        FormField(
            "--sequence",
            "The file has no time stamps: rows are this far apart, e.g. 1m or 100ms, in their "
            "order for each asset, or by the number of the unit (from 1) in the column --time.",
            "Step of rows without times",
            kind="step",
            metavar="STEP",
            hint="1m",
            is_of_table=False,
            replaces=("time_format",),
        ),
    ] = None
    start: Annotated[
        str | None,
        FormField(
            "--start",
            "Instant of the first row, or of unit number 1, of a --sequence (2000-01-01T00:00:00Z "
            "when left out); or from which a column such as 'Time (s)' counts; or date of a first "
            "clock time.",
            "Time of their first row",
            metavar="TIME",
            hint="2026-01-05T06:00:00Z",
            is_reused=False,
            is_of_table=False,
        ),
    ] = None
    duplicates: Annotated[
        DuplicatesRule,
        FormField(
            "--duplicates",
            "Lines that state an instant of an asset again: refuse those with another value, keep "
            "the last value, or the mean.",
            "Lines of the same time",
            kind="choice",
            values=("refuse", "last", "mean"),
            source="duplicates:",
            is_reused=False,
            is_of_table=False,
            **_READINGS,
        ),
    ] = "refuse"
    plant_zone: str | None = None
    title_lines: tuple[int, ...] = ()
    unit_line: int | None = None
    first_line: int | None = None
    unit_column: str | None = None
    zone_from: str | None = None

    def document(self) -> dict[str, object]:
        """Return what is known, as the audit log has it."""
        values = asdict(self) | {"sequence": "".join(KINDS["step"].write(self.sequence))}
        return {name: value for name, value in values.items() if value or type(value) is int}


Fields = Mapping[str, FormField]


def list_fields(form: type[FileForm]) -> Fields:
    """Return the fields of a form that can be stated, by name."""
    hints = get_type_hints(form, include_extras=True)
    return MappingProxyType({
        f.name: replace(declared, default={} if f.default is MISSING else f.default)
        for f in fields(form)
        for declared in getattr(hints[f.name], "__metadata__", ())
    })  # fmt: skip


FORM_FIELDS = list_fields(FileForm)


class FormFault(UserError):
    """Texts that state no value of their field. `faults`: each with the option of the field."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(map(": ".join, faults)))
        self.faults = faults


def read_form(texts: Stated, base: FileForm | None = None) -> FileForm:
    """Return the form that texts state; the rest of it is that of `base`. Raises FormFault for
    texts that are no value of their field."""
    form = base or FileForm()
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for name, declared in list_fields(type(form)).items():
        if texts.get(name):
            try:
                values[name] = KINDS[declared.kind].read(texts[name])
                if declared.kind == "choice" and values[name] not in declared.values:
                    quoted = f"{shown(values[name])} is none of"
                    raise ValueError(f"{quoted} {', '.join(declared.values)}")
            except ValueError as error:
                faults.append((declared.option, str(error)))
    if faults:
        raise FormFault(faults)
    return replace(form, **values)


def state_form(form: FileForm) -> dict[str, tuple[str, ...]]:
    """Return the texts that a form states, by field."""
    written = {
        name: KINDS[declared.kind].write(getattr(form, name))
        for name, declared in list_fields(type(form)).items()
        if getattr(form, name) != declared.default
    }
    return {name: texts for name, texts in written.items() if texts}


def refuse_sequence(form: FileForm, rows: What, *, skip_bad: bool) -> None:
    """Raise UserError if the rows cannot be a sequence as it is stated. `skip_bad`: bad lines are
    left out."""
    faults = {
        "--sequence must be longer than 0s": not form.sequence,
        "--sequence: rows without time stamps have no --time-format; leave it out": (
            form.time_format is not None
        ),
        "--sequence of events needs --time: the column with the number of the unit": (
            form.time is None and rows == "events"
        ),
        "--sequence: a line left out would move all later ones; correct the file instead of "
        "--skip-bad": form.time is None and skip_bad,
    }
    for sentence, is_so in faults.items():
        if is_so and form.sequence is not None:
            raise UserError(sentence)


def describe_form(form: FileForm) -> Iterator[str]:
    """Yield in words what had to be decided of a form: what is written how, the lines of the head,
    the times, the rows; nothing of one with commas, points, a title line and ISO 8601."""
    if form.sheet:
        yield f"sheet {shown(form.sheet)}"
    if form.separator and (form.separator, form.decimal, form.encoding) != (",", ".", "utf-8"):
        mark = "tab" if form.separator == "\t" else shown(form.separator)
        yield f"separator {mark}, decimal mark '{form.decimal}', encoding {form.encoding}"
    if form.first_line is not None and (form.title_lines, form.first_line) != ((1,), 2):
        lines = join_with_and(*map(str, form.title_lines)) if form.title_lines else ""
        titles = f"titles from line{'s' * (len(form.title_lines) > 1)} {lines}"
        titles += f", units from line {form.unit_line}" if form.unit_line else ""
        titles = titles if form.title_lines else "no line names the columns"
        between = ", " if form.title_lines else "; "
        yield f"{titles}{between}rows from line {form.first_line}"
    if form.sequence is not None:
        yield f"time: {form.time_format}"
    elif form.time and (form.time_format, form.zone) != ("ISO 8601", None):
        zone = (
            f"local time of {form.zone} ({form.zone_from})"
            if form.zone
            else "each stamp names its zone or counts in UTC"
        )
        yield f"time: {shown(form.time)}, {form.time_format}, {zone}"
    if form.variable_column:
        beside = f", unit from {shown(form.unit_column)}" if form.unit_column else ""
        beside += f", quality from {shown(form.quality)}" if form.quality else ""
        yield (
            f"one row for each value: variable from {shown(form.variable_column)}, value from "
            f"{shown(form.value_column)}{beside}"
        )
