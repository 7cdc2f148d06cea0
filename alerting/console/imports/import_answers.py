"""Answers and bodies of the API on imports."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from alerting.console.api.parameters import NameText, Short
from alerting.console.api.views import View
from alerting.console.web.prefix import address_of
from alerting.definitions.wording.language import translatable
from alerting.ports import ImportChoices, ImportJob
from alerting.usecases.ingestion.upload_descriptions import name_options
from alerting.usecases.ingestion.uploads import ShownState, shown_state

_MOST_NAMES = 200
FIELDS: Mapping[str, str] = {
    "--asset-column": "asset_column",
    "--asset": "asset",
    "--time-format": "time_format",
    "--time": "time",
    "--tz": "zone",
    "--sep": "separator",
    "--decimal": "decimal",
    "--encoding": "encoding",
    "--rename": "rename",
    "--only": "only",
    "--missing": "missing",
    "--duplicates": "duplicates",
    "--skip-bad": "skip_bad",
    "--type-column": "type_column",
    "--type": "event_type",
    "--end-column": "end_column",
    "--lasting": "duration",
    "--instant": "duration",
    "--take-back": "take_back",
}
"""The choice that does what an option of the command does, which messages of the import name."""
LABELS: Mapping[str, str] = {
    "asset": translatable("Asset"),
    "asset_column": translatable("Column of the asset"),
    "time": translatable("Column of the time"),
    "time_format": translatable("Format of times"),
    "zone": translatable("Time zone"),
    "separator": translatable("Separator"),
    "decimal": translatable("Decimal mark"),
    "encoding": translatable("Encoding"),
    "rename": translatable("Name"),
    "only": translatable("Import"),
    "missing": translatable("Texts that mean: no value"),
    "duplicates": translatable("Lines of the same time"),
    "skip_bad": translatable("Bad lines"),
    "what": translatable("What the lines are"),
    "event_type": translatable("Type of all events"),
    "type_column": translatable("Column of the type"),
    "end_column": translatable("Column of the end"),
    "duration": translatable("Duration of new types"),
    "take_back": translatable("What becomes of the lines"),
}
_OPTION = re.compile(r"--[a-z][a-z-]*")


def asked_choices(fault: str | None) -> frozenset[str]:
    """Return the choices that a refusal of the import asks for, by the options it names."""
    return frozenset(FIELDS[o] for o in _OPTION.findall(fault or "") if o in FIELDS)


def name_choices(text: str, names: Mapping[str, str]) -> str:
    """Return a message of the import with the names of choices in place of options."""
    found = {option: names[field] for option, field in FIELDS.items() if field in names}
    return name_options(text, found)


class ChoicesBody(BaseModel):
    """How a file is read, where it is left open or recognised wrongly; as the options of `alerting
    import readings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asset: NameText | None = Field(None, description="The asset of all lines.")
    asset_column: NameText | None = Field(
        None, description="The column that names the asset of each line; `asset` if left out."
    )
    time: Short | None = Field(
        None, description="The column of the time, or two: `Date + Time`.", examples=["ts"]
    )
    time_format: Short | None = Field(
        None, description="iso, dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy …, or as %d.%m.%Y %H:%M."
    )
    zone: Short | None = Field(
        None, description="Time zone of times that name none.", examples=["Europe/Berlin"]
    )
    separator: Short | None = Field(None, description="Between fields, such as `;` or `tab`.")
    decimal: Literal[".", ","] | None = None
    encoding: Short | None = Field(None, examples=["cp1252"])
    rename: dict[str, NameText] = Field(
        default_factory=dict, max_length=_MOST_NAMES, description="Names of variables by title."
    )
    only: list[Short] = Field(
        default_factory=list, max_length=_MOST_NAMES, description="Only these columns; empty: all."
    )
    missing: list[Short] = Field(
        default_factory=list, max_length=50, description="Further texts that mean: no value."
    )
    duplicates: Literal["refuse", "last", "mean"] = Field(
        "refuse", description="What becomes of lines that state an instant again."
    )
    skip_bad: StrictBool = Field(False, description="Import the good lines if some are bad.")
    what: Literal["readings", "events"] | None = Field(
        None, description="What the lines are; recognised by the columns if left out."
    )
    event_type: NameText | None = Field(None, description="Of events: the type of all lines.")
    type_column: NameText | None = Field(
        None, description="Of events: the column of the type; `type` if left out."
    )
    end_column: NameText | None = Field(
        None, description="Of events: the column of the end; `end` if there is one."
    )
    duration: Literal["instant", "lasting"] | None = Field(
        None, description="Of events: whether types without a stored event have a duration."
    )
    take_back: StrictBool = Field(
        False,
        description="Remove what is stored exactly as the lines, to correct a wrong import.",
    )

    def choices(self) -> ImportChoices:
        """Return the choices of the use case; empty texts are none."""
        given = {key: value or None for key, value in self if key in _TEXTS}
        return ImportChoices(
            **given,
            rename=tuple(self.rename.items()),
            only=tuple(self.only),
            missing=tuple(self.missing),
            duplicates=self.duplicates,
            skip_bad=self.skip_bad,
            what=self.what,
            duration=self.duration,
            take_back=self.take_back,
        )


_TEXTS = frozenset(
    {"asset", "asset_column", "time", "time_format", "zone", "separator", "decimal", "encoding"}
    | {"event_type", "type_column", "end_column"}
)


class FormView(View):
    """The format of a file."""

    encoding: str | None
    separator: str | None
    decimal: str | None
    time_columns: list[str]
    time_format: str | None
    zone: str | None = Field(description="null if each time names its zone.")
    zone_from: str | None


class BadCellView(View):
    """A text that is no value of its column, and how often it stands there."""

    text: str
    count: int


class ColumnView(View):
    """A column and its variable."""

    title: str
    name: str
    type: str
    unit: str | None
    new: bool
    values: int
    missing: int
    bad: int
    bad_cells: list[BadCellView]
    first_bad: list[str] = Field(description="The first bad cells: line, column, reason.")


class UnderstoodView(View):
    """The recognised content of a file. Of assets, the first 50; of columns, the first 500.

    `event_types`: of events, `instant` or `lasting` by type.
    """

    what: Literal["readings", "events"] = "readings"
    event_types: dict[str, str] = Field(default_factory=dict)

    form: FormView
    lines: int
    rows: int
    first: datetime | None
    last: datetime | None
    assets: list[str]
    number_of_assets: int
    new_assets: list[str]
    number_of_new_assets: int
    columns: list[ColumnView]
    number_of_columns: int
    notes: list[str]
    removes: int | None = Field(
        None, description="How many lines are stored exactly so, if they are to be removed."
    )


class RowView(View):
    """A row as it will be stored. Of an event `ts` is its start, and `values` are attributes."""

    asset: str
    ts: datetime
    type: str | None = None
    end: datetime | None = None
    values: dict[str, Any]


class WrittenView(View):
    """Counts of a written import. `late`: rows that came after their time was evaluated; if rows
    were to be removed, those that were stored exactly so and were `removed`, or are `still_stored`,
    such as archived ones."""

    what: Literal["readings", "events"] = "readings"
    rows: int
    new: int
    rejected: int
    repeated: int
    first: datetime | None
    last: datetime | None
    assets: list[str]
    number_of_assets: int
    created: list[str]
    variables: dict[str, str]
    event_types: dict[str, str] = Field(default_factory=dict)
    late: int
    removed: int = 0
    still_stored: int = 0
    bad_quality: int
    uncertain: int
    notes: list[str]


class ImportView(View):
    """An import of a file."""

    id: str
    name: str
    actor: str
    created_at: datetime
    ended_at: datetime | None
    bytes: int
    state: ShownState = Field(
        description="`refused`: choose how to read it, and check it again; `checked`: it can be "
        "written; `interrupted`: its worker has gone, check or write it again."
    )
    step: str | None
    progress: float = Field(description="Share of the step that is done, from 0 to 1.")
    choices: ChoicesBody
    fault: str | None = Field(description="Why it was refused or failed.")
    asks: list[str] = Field(description="The choices that the fault asks for.")
    understood: UnderstoodView | None
    preview: list[RowView] = Field(description="The first rows as they will be stored.")
    result: WrittenView | None
    rejects: str | None = Field(description="Address of the lines that were rejected: CSV.")


def import_view(job: ImportJob, now: datetime, *, has_rejects: bool) -> ImportView:
    """Return the view of an import."""
    lists = {"only": list(job.choices.only), "missing": list(job.choices.missing)}
    choices = {**vars(job.choices), "rename": dict(job.choices.rename), **lists}
    shown = {
        **vars(job),
        "bytes": job.size,
        "state": shown_state(job, now),
        "choices": ChoicesBody.model_construct(**choices),
        "fault": job.fault and name_choices(job.fault, {f: f for f in LABELS}),
        "asks": sorted(asked_choices(job.fault)),
        "rejects": address_of(f"/api/v1/imports/{job.id}/rejects") if has_rejects else None,
    }
    return ImportView.model_validate(shown)
