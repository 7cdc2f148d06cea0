"""REST API, version 1: the list of definitions, and scenarios that are run against a draft."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.definitions import views
from alerting.console.definitions.documents import (
    EXAMPLE,
    SCENARIO_EXAMPLE,
)
from alerting.ports import Document
from alerting.usecases.alarm_load.overview import definition_lines
from alerting.usecases.definitions.scenarios import run_scenarios
from alerting.usecases.definitions.sync import check

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
def list_definitions(platform: Served, _: Viewer) -> list[views.DefinitionSummary]:
    """List all definitions by name."""
    return [views.summary_view(line) for line in definition_lines(platform, platform.clock.now())]


@router.post("/definitions:test")
def test_definition(platform: Served, body: ScenariosBody, _: Engineer) -> views.ScenariosView:
    """Run scenarios against a document: readings over time, and exactly the transitions that must
    follow, after the checks of `:check`. Nothing is stored; at most 50 scenarios with 100,000
    values. Role: engineer."""
    check(platform, [body.definition])
    found = run_scenarios(body.definition, body.scenarios, "the body", platform.zone)
    return views.scenarios_view(found)
