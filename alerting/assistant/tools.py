"""The tools of an assistant: each asks the API as a program of the person does, so that figures,
roles, bounds and the audit are those of the API."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field, ValidationError

from alerting.assistant.answers import bound_answer, thin_series
from alerting.client import ApiProblem, Client
from alerting.console.api.parameters import Instant, read_yaml_document
from alerting.console.plant.trend_panel import alert_limits
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import ENGLISH
from alerting.episodes.episode import RecommendationTaken, Verdict
from alerting.operators.account_rules import Permission
from alerting.ports import Platform
from alerting.usecases.trend_series import find_asset

MOST_POINTS = 50
MOST_VARIABLES = 4
_WAIT_S = 10
F = TypeVar("F", bound=Callable[..., Any])
Name = Annotated[str, Field(min_length=1, max_length=200)]
EpisodeId = Annotated[Name, Field(description="Id of an alarm, or its beginning.")]
Draft = Annotated[str, Field(max_length=50_000, description="The whole document, as YAML.")]
Since = Annotated[Instant | None, Field(description="ISO 8601 with a zone.")]
Reason = Annotated[str, Field(max_length=500, description="Why, in the person's own words.")]


@dataclass(frozen=True)
class Console:
    """The API under the token of a person, and the platform for limits of a chart: tools ask
    these."""

    api: Client
    platform: Platform


TOOLS: dict[str, Tool] = {}
"""All tools by name; the `meta` of each has the `permission` without which the API refuses it."""


def offer(permission: Permission, *, changes: bool = False) -> Callable[[F], F]:
    """Return a decorator that adds a function to `TOOLS`: of the console, and of the arguments that
    an assistant gives by name."""

    def add(function: F) -> F:
        tool = Tool.from_function(
            function,
            description=getdoc(function),
            context_kwarg="console",
            annotations=ToolAnnotations(
                read_only_hint=not changes,
                destructive_hint=changes and permission == "configure",
                open_world_hint=False,
            ),
            meta={"permission": permission},
            structured_output=False,
        )
        TOOLS[tool.name] = tool
        return function

    return add


def call_tool(tool: Tool, console: Console, arguments: dict[str, Any]) -> CallToolResult:
    """Return the bounded answer of a tool, or its refusal with its faults."""
    faults: Any = ()
    try:
        values = tool.fn_metadata.validate_arguments(arguments)
        return _result(tool.fn(console, **values))
    except ValidationError as fault:
        refused = "the arguments do not fit"
        faults = [
            {"path": ".".join(map(str, error["loc"])), "message": error["msg"]}
            for error in fault.errors(include_url=False, include_input=False)
        ]
    except ApiProblem as refusal:
        refused = refusal.detail
        faults = refusal.faults
    except UserError as refusal:
        refused = refusal.message
    return _result({"refused": refused, "faults": list(faults)}, is_error=True)


def _result(answer: Any, *, is_error: bool = False) -> CallToolResult:
    bounded = bound_answer(answer)
    text = json.dumps(bounded, ensure_ascii=False)
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=bounded,
        is_error=is_error,
    )


@offer("read")
def what_is_wrong_now(console: Console, line: Name | None = None, asset: Name | None = None) -> Any:
    """Say what is wrong now and why, as the page Now does: open alarms by their cause, urgent ones
    first, each with its reason, value and limit; ended ones that wait to be acknowledged; what is
    not evaluated; and faults of the platform itself."""
    now = console.api.show_now(line=line, asset=asset)
    tiles = now.pop("tiles")
    return {
        **now,
        "assets_by_state": Counter(tile["state"] for tile in tiles),
        "faults_of_the_platform": console.api.list_platform_alerts(),
    }


@offer("read")
def explain_alarm(console: Console, definition: Name, asset: Name, at: Since = None) -> Any:
    """Explain why a definition raised an alarm on an asset at an instant (now when left out), or
    why not."""
    return console.api.show_why(definition=definition, asset=asset, at=at)


@offer("read")
def show_alarm(console: Console, id: EpisodeId) -> Any:
    """Show one alarm with all details: what contributed, what is recommended, who did what."""
    return console.api.show_episode(id)


@offer("read")
def what_helped_before(console: Console, id: EpisodeId) -> Any:
    """Show what helped last time: the earlier alarms most like this one, the actions that people
    took, and how they ended."""
    return console.api.show_experience(id)


@offer("read")
def list_alarms(
    console: Console,
    definition: Name | None = None,
    asset: Name | None = None,
    since: Since = None,
    until: Since = None,
    only_open: bool = False,
    limit: Annotated[int, Field(ge=1, le=50)] = 20,
    cursor: Annotated[str | None, Field(description="`next` of the page before.")] = None,
) -> Any:
    """List alarms, newest first; between two instants all that were open at some time."""
    return console.api.list_episodes(
        definition=definition,
        asset=asset,
        open=only_open,
        from_=since,
        to=until,
        limit=limit,
        cursor=cursor,
    )


@offer("read")
def list_assets(console: Console) -> Any:
    """List the assets of the plant: machines and lines."""
    return console.api.list_assets()


@offer("read")
def list_variables(console: Console, asset: Name, after: Name | None = None) -> Any:
    """List the variables of an asset with their units, ranges and last values; `after`: `next` of
    the page before."""
    return console.api.list_variables(asset, limit=50, after=after)


@offer("read")
def show_values(
    console: Console,
    asset: Name,
    variables: Annotated[list[Name], Field(min_length=1, max_length=MOST_VARIABLES)],
    start: Instant,
    end: Instant,
) -> Any:
    """Show the values of numeric variables from `start` to before `end`, and the limits that the
    active definitions set.

    A variable has at most 50 points. Each joins what follows its `from` up to the next point: the
    lowest, the highest, and the last value. `source` names what was joined: readings, or means of
    minutes or hours, of which `last` is the last mean.
    """
    answer = console.api.show_series(
        asset=asset, variable=variables, start=start, end=end, points=MOST_POINTS
    )
    limits = alert_limits(console.platform, find_asset(console.platform, asset), variables, ENGLISH)
    for series in answer["series"]:
        series["limits"] = [
            {"value": limit.value, "of": limit.text} for limit in limits[series["variable"]]
        ]
    return {**answer, "series": [thin_series(series, MOST_POINTS) for series in answer["series"]]}


@offer("read")
def list_definitions(console: Console) -> Any:
    """List the definitions of alarms: state, assets, alarms a day, share of right alarms."""
    return console.api.list_definitions()


@offer("read")
def show_definition(console: Console, name: Name) -> Any:
    """Show the document of a definition with its revisions; `revision` is the newest one."""
    return console.api.show_definition(name)


@offer("read")
def list_reports(console: Console, definition: Name | None = None) -> Any:
    """List the performance reports, of a definition or of all and the plant."""
    return console.api.list_reports(definition=definition)


@offer("read")
def show_report(console: Console, id: Name) -> Any:
    """Show a report: its sentences and figures."""
    return console.api.show_report_metrics(id)


@offer("read")
def show_alarm_metrics(
    console: Console, since: Since = None, until: Since = None, asset: Name | None = None
) -> Any:
    """Show the alarm metrics of a time (the last 30 days when left out), after ISA-18.2."""
    return console.api.show_alarm_metrics(from_=since, to=until, asset=asset)


@offer("configure")
def check_definition(console: Console, document: Draft) -> Any:
    """Check a drafted definition: all its faults, or what it would change. Stores nothing."""
    return console.api.check_definition(document)


@offer("configure")
def backtest_definition(
    console: Console, document: Draft, since: Since = None, until: Since = None
) -> Any:
    """Try a drafted definition on past readings (the last four weeks when left out): the alarms it
    would have raised, and how many a day. Stores nothing. While `state` is running, call it again
    with the same arguments."""
    draft = {
        "definition": read_yaml_document(document, "document"),
        "from": since,
        "to": until,
    }
    job = console.api.start_preview({name: value for name, value in draft.items() if value})
    return console.api.show_preview(job["id"], wait=_WAIT_S)


@offer("operate", changes=True)
def acknowledge_alarm(
    console: Console, id: EpisodeId, note: Annotated[str, Field(max_length=500)] = ""
) -> Any:
    """Acknowledge an alarm in the person's name. Ask the person before."""
    return console.api.acknowledge_episode(id, {"note": note})


@offer("operate", changes=True)
def answer_alarm(
    console: Console,
    id: EpisodeId,
    verdict: Verdict | None = None,
    acted: bool = False,
    action: Annotated[str | None, Field(max_length=500)] = None,
    comment: Annotated[str | None, Field(max_length=2000)] = None,
    recommendation_taken: RecommendationTaken | None = None,
) -> Any:
    """Answer an alarm in the person's name: whether it was right, what was done. Models learn from
    it. `action` goes together with `acted`. Ask the person before."""
    return console.api.give_feedback(
        id,
        {
            "verdict": verdict,
            "acted": acted,
            "action": action,
            "comment": comment,
            "recommendation_taken": recommendation_taken,
        },
    )


@offer("configure", changes=True)
def apply_definition(
    console: Console,
    name: Name,
    document: Draft,
    reason: Reason,
    revision: Annotated[int, Field(ge=0, description="The revision it was made from; 0: new.")],
    accept_load: Annotated[str, Field(max_length=500)] = "",
) -> Any:
    """Apply a definition in the person's name: fields that it leaves out are removed.
    `accept_load`: why more alarms than the budget allows are accepted. Show the person the check
    and the backtest, and ask, before."""
    return console.api.apply_definition(
        name,
        document,
        reason=reason,
        accept_load=accept_load,
        if_match=f'"{revision}"' if revision else None,
        if_none_match=None if revision else "*",
    )
