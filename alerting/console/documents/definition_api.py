"""REST API, version 1: the list of definitions, and scenarios that are run against a draft; and the
answers on definitions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python

from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import EXAMPLE, SCENARIO_EXAMPLE
from alerting.console.api.views import View
from alerting.definitions.alert_definition import Definition, Revision
from alerting.ports import Document, Platform
from alerting.usecases.alarm_load.definition_overview import DefinitionLine, definition_lines
from alerting.usecases.definitions.revisions_and_targets import check
from alerting.usecases.definitions.scenarios import ScenarioResult, run_scenarios


class PrecisionView(View):
    """Share of right alarms of the last 28 days among those with an outcome, with its 95 %
    interval."""

    share: float
    low: float
    high: float
    right: int
    counted: int


class DefinitionSummary(View):
    """One definition as lists show it; `state` is faulty where the current document has faults.

    `training`: its training in a sentence, e.g. that an earlier revision answers until the newest
    one is trained.
    """

    name: str
    title: str
    kind: str
    state: str
    severity: str | None = Field(description="null if no valid revision exists.")
    assets: list[str] = Field(description="Names or patterns of the assets that it watches.")
    revision: int | None
    since: datetime | None
    faults: list[str]
    training: str | None
    evaluated_at: datetime | None = Field(
        description="Up to when all its assets are evaluated; null if one never was."
    )
    champion: int | None = Field(description="Version of the model in service; null without one.")
    alarms_per_day: float | None = Field(
        description="Notified alarms a day, over the days of the alarm budget; null if not active."
    )
    raises: list[int] = Field(description="Alarms on each of the last 28 days, oldest first.")
    precision: PrecisionView | None = Field(description="null without an alarm with an outcome.")


class FieldChange(View):
    """A field that differs; null where it is not written."""

    field: str
    before: Any
    after: Any


class LoadView(View):
    """Alarms a day that a definition adds at a position: beside `now` of all others, and the budget
    of the position. `before`: of the definition as it is in service now."""

    position: str
    expected: float
    now: float
    before: float
    budget: float


class ForecastView(View):
    """Expected alarm load. `messages`: the same in sentences, with what is unknown and changes that
    would bring it within the budget."""

    loads: list[LoadView]
    breaks_budget: bool = Field(validation_alias="breaks")
    messages: list[str]


class ScenarioView(View):
    """A scenario that was run. `difference`: lines with `-` expected and not found, `+` found and
    not expected; empty if it passed; `notes`: what can never be fulfilled with such readings."""

    title: str
    passed: bool
    found: list[str]
    difference: list[str]
    notes: list[str]


class ScenariosView(View):
    """Scenarios that were run against a definition, and whether all passed."""

    passed: bool
    scenarios: list[ScenarioView]


class DifferenceView(View):
    """The fields that differ between two revisions."""

    name: str
    start: int = Field(alias="from")
    end: int = Field(alias="to")
    changes: list[FieldChange]


def summary_view(line: DefinitionLine) -> DefinitionSummary:
    """Return the view of a definition for lists."""
    return DefinitionSummary(**_summary(line))


def shown_document(document: Document) -> Document:
    """Return a document as stored, with values that JSON does not know as text."""
    own = {key: value for key, value in document.items() if not key.startswith("_")}
    shown: Document = to_jsonable_python(
        own, fallback=str, inf_nan_mode="strings", bytes_mode="base64"
    )
    return shown


def field_changes(changes: Any) -> list[FieldChange]:
    """Return the view of fields with their values before and after."""
    return [
        FieldChange(field=field, before=before, after=after)
        for field, (before, after) in changes.items()
    ]


def _summary(line: DefinitionLine) -> dict[str, Any]:
    latest = line.latest
    return {
        "name": line.name,
        "title": line.title,
        "kind": line.kind,
        "state": line.state,
        "severity": latest.definition.severity if latest else None,
        "assets": list(latest.definition.assets) if latest else [],
        "revision": latest.number if latest else None,
        "since": latest.at if latest else None,
        "faults": list(line.faults),
        "training": line.training,
        "evaluated_at": line.runs.evaluated_at,
        "champion": line.champion,
        "alarms_per_day": line.alarms_per_day,
        "raises": list(line.raises),
        "precision": PrecisionView.model_validate(line.precision) if line.precision else None,
    }


def scenarios_view(found: Sequence[ScenarioResult]) -> ScenariosView:
    """Return the view of scenarios that were run."""
    return ScenariosView(
        passed=all(one.passed for one in found),
        scenarios=[ScenarioView.model_validate(one) for one in found],
    )


def written_assets(latest: Revision | None) -> Sequence[str]:
    """Return the names and patterns of assets in the newest revision of a definition."""
    return latest.definition.assets if latest else ()


def shown_assets(latest: Revision | None, titles: Mapping[str, str]) -> str:
    """Return the assets of a definition by their titles, and patterns as they are written."""
    return ", ".join(titles.get(name, name) for name in written_assets(latest))


def describe_definition(platform: Platform, definition: Definition | None) -> str:
    """Return what a definition watches, with titles and units of the variables; empty without
    one."""
    if definition is None:
        return ""
    matched = platform.assets.find_matching(definition.assets)
    variables = {name: one for asset in matched for name, one in asset.variables.items()}
    events = {one.name: one.title or one.name for one in platform.assets.event_types()}
    return definition.describe(variables, events)


router = APIRouter(prefix="/api/v1", tags=["definitions"])


class ScenariosBody(BaseModel):
    """A definition, and scenarios as in a scenario file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"definition": dict(EXAMPLE), "scenarios": [SCENARIO_EXAMPLE]}]
        },
    )

    definition: Document
    scenarios: list[Document] = Field(min_length=1, max_length=50)


@router.get("/definitions")
def list_definitions(platform: Served, _: Viewer) -> list[DefinitionSummary]:
    """List all definitions by name."""
    return [summary_view(line) for line in definition_lines(platform, platform.clock.now())]


@router.post("/definitions:test")
def test_definition(platform: Served, body: ScenariosBody, _: Engineer) -> ScenariosView:
    """Run scenarios against a document: readings over time, and exactly the transitions that must
    follow, after the checks of `:check`. Nothing is stored; at most 50 scenarios with 100,000
    values. Role: engineer."""
    check(platform, [body.definition])
    found = run_scenarios(body.definition, body.scenarios, "the body", platform.zone)
    return scenarios_view(found)
