"""Fields of every source: name, secrets, and how its rows become readings or events."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from alerting.definitions.assets import Closed, Line, LongerThanZero, Name, Tag, VariableName
from alerting.definitions.faults import Duration
from alerting.definitions.hours import TimeZone

Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=100)]
SourceState = Literal["active", "paused", "retired"]
QualityCodes = Literal["opc-ua", "opc-da"]


class Secret(Closed):
    """Where a secret is found; it is never in the document itself. Exactly one of these is
    given."""

    env: EnvironmentName | None = Field(None, description="Environment variable that holds it.")
    file: Title | None = Field(
        None, description="Mounted file that holds it, which only its owner may read."
    )
    airflow_connection: Title | None = Field(
        None,
        description="Connection of Airflow that holds it; known to the DAGs only, not to commands.",
    )


class SourceVariable(Closed):
    """The variable that a column or field becomes."""

    name: VariableName | None = Field(
        None, description="Name of the variable; derived from the column when left out."
    )
    unit: Tag | None = Field(
        None,
        description=(
            "Unit of a variable that no asset has declared yet; that in the column's title when "
            "left out."
        ),
    )


class SourceEvents(Closed):
    """Where a row of events has its type and its end; the column of `time` is its start."""

    type: Name | None = Field(None, description="The one type of all events.")
    type_column: Title = Field(
        "type", description="Column with the type of each event, where `type` is left out."
    )
    type_prefix: str = Field(
        "", max_length=50, description="Text before every type of `type_column`."
    )
    end_column: Title = Field(
        "end", description="Column with the end; a lasting event without one is still going on."
    )
    lasting: bool | None = Field(
        None,
        description=(
            "Whether events of new types have a duration; if rows have `end_column`, when left out."
        ),
    )


class SourceFields(Closed):
    """Fields that every kind of source has."""

    word: ClassVar[str] = "source"

    name: Name = Field(description="Unique name.")
    title: Line | None = Field(None, description="Name for people; the name when left out.")
    state: SourceState = Field(
        "active",
        description=(
            "active: rows are stored. paused: none is read or accepted for now. retired: no "
            "longer in use."
        ),
    )
    delivers: Literal["readings", "events"] = Field(
        "readings", description="What its rows are: readings or events."
    )
    time: Title = Field("ts", description="Column with the time stamp, of events with the start.")
    timezone: TimeZone | None = Field(
        None,
        description=(
            "Time zone of stamps that name none, e.g. Europe/Berlin; that of the plant when left "
            "out."
        ),
    )
    asset: Name | None = Field(
        None,
        description="The one asset of all rows; `asset_column` names it in each row when left out.",
    )
    asset_column: Title = Field(
        "asset", description="Column with the name of the asset, where `asset` is left out."
    )
    asset_prefix: str = Field(
        "", max_length=50, description="Text before every name of `asset_column`."
    )
    variables: dict[Title, SourceVariable] = Field(
        default_factory=dict,
        max_length=10_000,
        description="Variables by the title of their column; of events, attributes.",
    )
    others: Literal["include", "ignore"] = Field(
        "include",
        description=(
            "Columns that `variables` does not name: include makes variables of them too, ignore "
            "leaves them out."
        ),
    )
    quality: Title | None = Field(
        None,
        description=(
            "Column with the quality of all samples of a row: good, uncertain, bad, or codes of "
            "OPC UA or OPC DA."
        ),
    )
    quality_codes: QualityCodes | None = Field(
        None, description="Kind of numeric codes of quality, where they are ambiguous."
    )
    events: SourceEvents = Field(
        default_factory=SourceEvents, description="Type and end of events."
    )
    latency: Duration | None = Field(
        None,
        description="Time for which evaluation waits for values of this source, for variables "
        "without a latency of their own. "
        "When left out: of a polled source its interval plus 10 s, of others the platform's "
        "(ALERTING_LATENCY).",
    )
    stale_after: LongerThanZero = Field(
        timedelta(hours=1),
        description=(
            "Time without a row after which the platform raises an alert about this source."
        ),
    )

    @property
    def waits(self) -> timedelta | None:
        """Return how long evaluation waits for its values; None for the platform's latency."""
        return self.latency
