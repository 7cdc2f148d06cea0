"""An assistant gets what the pages say, over each transport, with the rights of its person."""

import json
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient

import alerting
from alerting.assistant import console_routes
from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from alerting.ports import AuditFilter, ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, too_hot
from tests.helpers.console.assistant import TRANSPORTS, command, serving_assistants
from tests.helpers.console.full_plant import (
    FIRST,
    NOW,
    TOKENS_FILE,
    add_sessions,
    in_a_browser,
    names_of,
    plant,
    sender,
)
from tests.support import local_client

OVEN = f"{FIRST}-oven"
FAN = f"{FIRST}-fan"
HOT = f"{FIRST}-hot"
EPISODE = names_of(FIRST).episodes[-1]
REPORT = names_of(FIRST).reports[0]
DRAFT = yaml.safe_dump(too_hot(name="draft", assets=[OVEN], above=210))
DAYS = {"since": at(0).isoformat(), "until": at(7 * 1440).isoformat()}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
TYPES = {"accept": "application/json, text/event-stream"}
ARGUMENTS = {
    "what_is_wrong_now": {},
    "explain_alarm": {"definition": HOT, "asset": OVEN},
    "show_alarm": {"id": EPISODE},
    "what_helped_before": {"id": EPISODE},
    "list_alarms": {},
    "list_assets": {},
    "list_variables": {"asset": OVEN},
    "show_values": {
        "asset": FAN,
        "variables": ["temperature"],
        "start": at(0).isoformat(),
        "end": at(NOW).isoformat(),
    },
    "list_definitions": {},
    "show_definition": {"name": HOT},
    "list_reports": {"definition": HOT},
    "show_report": {"id": REPORT},
    "show_alarm_metrics": {},
    "check_definition": {"document": DRAFT},
    "backtest_definition": {"document": DRAFT, **DAYS},
    "acknowledge_alarm": {"id": EPISODE, "note": "on my way"},
    "answer_alarm": {"id": EPISODE, "verdict": "true_alarm", "acted": True, "action": "damper"},
    "apply_definition": {"name": "draft", "document": DRAFT, "reason": "agreed", "revision": 0},
}
CHANGES = {"acknowledge_alarm", "answer_alarm", "apply_definition"}
OF_ENGINEERS = {"check_definition", "backtest_definition", "apply_definition"}
MAY = {
    "viewer": ARGUMENTS.keys() - CHANGES - OF_ENGINEERS,
    "operator": ARGUMENTS.keys() - OF_ENGINEERS,
    "engineer": ARGUMENTS.keys(),
}


@pytest.fixture(scope="module")
def served():
    platform = plant(FIRST)
    rows = [
        ReadingRow(FAN, at(minute), {"temperature": 180.0 + minute % 37})
        for minute in range(5, NOW, 10)
    ]
    add_readings(platform, rows, at(NOW))
    with serving_assistants(platform) as made:
        yield made


@pytest.fixture
def fresh():
    with serving_assistants(plant(FIRST)) as made:
        yield made


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_six_questions_of_a_shift_leader_get_what_the_pages_say(served, transport):
    async def ask(client):
        return [
            (await client.call_tool(tool, ARGUMENTS[tool])).structured_content["data"]
            for tool in (
                *("what_is_wrong_now", "explain_alarm", "what_helped_before"),
                *("show_values", "show_report", "backtest_definition"),
            )
        ]

    now, why, helped, values, report, tried = served.use(ask, "engineer", transport)
    page = served.api("now")
    assert now["happening"] == page["happening"]
    assert now["happening"][0]["first"]["episode"]["reason"] == "218 °C is above 215 °C"
    assert sum(now["assets_by_state"].values()) == len(page["tiles"])
    assert now["faults_of_the_platform"] == served.api("platform-alerts")[:200]
    assert why == served.api("why", definition=HOT, asset=OVEN)
    assert helped == served.api(f"episodes/{EPISODE}/experience")
    expect_series(served, values)
    assert report == served.api(f"reports/{REPORT}/metrics")
    assert tried == served.api(f"previews/{tried['id']}", "engineer")
    assert tried["result"]["episodes"] == 10


def expect_series(served, values):
    [line] = values["series"]
    query = {"asset": FAN, "variable": "temperature", "start": at(0), "end": at(NOW)}
    [whole] = served.api("series", **query, points=4000)["series"]
    assert len(whole["t"]) > 1000
    assert len(line["points"]) <= 50
    assert min(point["low"] for point in line["points"]) == min(whole["low"])
    assert max(point["high"] for point in line["points"]) == max(whole["high"])
    assert line["points"][-1]["last"] == whole["mean"][-1]
    assert datetime.fromisoformat(line["points"][0]["from"]) == at(0)
    assert {"value": 215.0, "of": f"Hot on {FIRST} 215"} in line["limits"]


@pytest.mark.parametrize("role", MAY)
def test_a_person_is_offered_what_the_role_may_and_refused_all_else_plainly(fresh, role):
    async def ask(client):
        tools = (await client.list_tools()).tools
        results = {
            name: await client.call_tool(name, arguments) for name, arguments in ARGUMENTS.items()
        }
        return tools, results

    before = stored(fresh.platform)
    tools, results = fresh.use(ask, role)
    assert {tool.name for tool in tools} == MAY[role]
    assert {tool.name for tool in tools if not tool.annotations.read_only_hint} == CHANGES & MAY[
        role
    ]
    refused = {
        name: result.structured_content["data"]["refused"]
        for name, result in results.items()
        if result.is_error
    }
    assert refused.keys() == ARGUMENTS.keys() - MAY[role]
    for name, why in refused.items():
        least = "engineer" if name in OF_ENGINEERS else "operator"
        assert why == f"this needs the role {least}; {role}-plant has the role {role}"
    assert (stored(fresh.platform) == before) == (role == "viewer")


def stored(platform):
    """Return all that a person may change."""
    definitions = [(r.name, r.number) for r in platform.definitions.latest_revisions()]
    return definitions, platform.episodes.find(limit=100)


def test_what_changes_is_in_the_audit_as_done_by_the_person_through_the_assistant(fresh):
    for tool in ("acknowledge_alarm", "apply_definition"):
        fresh.data(tool, "engineer", **ARGUMENTS[tool])
    found = fresh.platform.audit.find(AuditFilter(actor="engineer-plant"), 10)
    assert {(entry.subject, entry.origin) for entry in found} == {
        (EPISODE, "console 127.0.0.1, assistant"),
        ("draft", "console 127.0.0.1, assistant"),
    }
    [revision] = [r for r in fresh.platform.definitions.latest_revisions() if r.name == "draft"]
    assert (revision.author, revision.reason) == ("engineer-plant", "agreed")
    again = fresh.ask("apply_definition", "engineer", **ARGUMENTS["apply_definition"])
    assert "already one of this name" in again.structured_content["data"]["refused"]


def test_a_faulty_draft_is_answered_with_its_faults(served):
    found = served.data("check_definition", "engineer", document="name: x\nkind: threshold\n")
    assert "assets" in {fault["path"] for fault in found["faults"]}
    wrong = served.ask("backtest_definition", "engineer", document="[1, 2")
    assert wrong.is_error
    assert "document" in wrong.structured_content["data"]["refused"]
    wrong = served.ask("show_values", asset=OVEN, variables=[], start="yesterday", end="now")
    assert {fault["path"] for fault in wrong.structured_content["data"]["faults"]} == {
        *("variables", "start", "end")
    }
    assert served.ask("show_alarm", id="").is_error


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong-token-0123456789"}, 401),
        (in_a_browser(sender("admin")).headers, 401),
        ({**in_a_browser(sender("admin")).headers, "content-type": "text/plain"}, 401),
        (sender("sender").headers, 403),
        ({**sender("admin").headers, "origin": "https://elsewhere.example"}, 403),
        ({**sender("admin").headers, "origin": "null"}, 403),
        ({**sender("admin").headers, "content-type": "text/plain"}, 400),
        (sender("viewer").headers, 200),
    ],
)
def test_only_a_token_opens_it_and_no_page_of_another_site(served, headers, status):
    add_sessions(served.platform)
    sent = {"content-type": "application/json", **TYPES, **headers}
    answer = local_client().post(f"{served.address}/mcp", content=json.dumps(PING), headers=sent)
    assert answer.status_code == status, answer.text


def test_a_large_request_and_an_unknown_tool_are_refused(served):
    headers = {**sender("viewer").headers, **TYPES}
    large = {**PING, "params": {"x": "x" * 70_000}}
    answer = local_client().post(f"{served.address}/mcp", json=large, headers=headers)
    assert answer.status_code == 413

    async def ask(client):
        with pytest.raises(Exception, match="there is no tool 'drop'"):
            await client.call_tool("drop", {})

    served.use(ask)


def test_it_is_off_unless_it_is_switched_on_and_says_what_is_missing(monkeypatch):
    def ask():
        client = TestClient(create_app(plant(FIRST), TOKENS_FILE, now=lambda: at(NOW)))
        return client.post("/mcp", json=PING, headers=sender("viewer").headers)

    assert ask().status_code == 404
    monkeypatch.setenv("ALERTING_ASSISTANT", "on")
    monkeypatch.setattr(console_routes, "find_spec", {}.get)
    missing = ask()
    assert missing.status_code == 503
    assert missing.json()["detail"].endswith("pip install 'alerting[assistant]'")
    monkeypatch.setenv("ALERTING_ASSISTANT", "yes")
    with pytest.raises(UserError, match="ALERTING_ASSISTANT: 'yes' is neither on nor off"):
        ask()


@pytest.mark.parametrize(
    ("token", "path", "why"),
    [
        ("", "", "ALERTING_TOKEN"),
        ("wrong-token-0123456789", "", "ALERTING_TOKEN is no valid token there"),
        ("viewer-of-the-plant-0123456789", "/api", "ALERTING_ASSISTANT=on"),
    ],
)
def test_the_command_says_why_it_cannot_connect(served, token, path, why):
    started = command(f"{served.address}{path}", token)
    done = subprocess.run(
        [started.command, *started.args],
        env=started.env,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr


def test_nothing_else_names_the_folder():
    """The folder can be deleted: no other module of the product imports it or speaks of it."""
    package = Path(alerting.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.*")
        if path.suffix in (".py", ".html", ".js", ".md", ".toml")
        and path.parent.name != "assistant"
        and re.search(r"assistant|\bmcp\b", path.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    assert found == set()
