"""Commands on documents, alarms, reports and the first account, on a platform in memory."""

import json
import re
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
import yaml

from alerting.cli.alarm_commands import lines_of_episode
from alerting.cli.document_files import sort_of
from alerting.definitions.faults import UserError
from alerting.episodes.advice import with_present_advice
from alerting.episodes.episode import RecommendationResult
from alerting.notifications.notification import Notification
from alerting.operators.account_rules import hash_secret
from alerting.ports import DeadMessage, SinkLetter, SinkMessage, SinkStep
from tests.builders import at, too_hot
from tests.helpers.command_line import output, run, write
from tests.helpers.episodes import episode

BI = {"name": "bi", "kind": "sql", "url": {"env": "BI_URL"}, "sends": ["alarms", "scores"]}
LINE = {"name": "line", "kind": "mqtt", "url": {"env": "BROKER_URL"}, "topic": "line/{asset}"}
LAB = {"name": "lab", "kind": "sql", "url": {"env": "LAB_URL"}, "table": "t", "cursor": "at"}
NIGHT = {"name": "night", "channels": ["mail"]}
ADVICE = RecommendationResult((), 0.8, 0.8, helps=False, message="Slow the belt")


def said(*words, code=0):
    done = run(*words, columns=300)
    assert done.exit_code == code, (words, done.output)
    return " ".join(done.output.split())


SORTS = {
    "definition": [too_hot(), too_hot(kind="treshold"), {"name": "line", "kind": []}],
    "route": [NIGHT],
    "asset": [{"name": "line-1", "title": "Line 1"}, {"name": "oven-1", "variables": {}, "x": 1}],
    "source": [LINE, LAB, {"name": "gateway", "kind": "http"}],
    "sink": [
        *(BI, {"name": "bi", "kind": "sql", "url": {}}),
        {"name": "scada", "kind": "mqtt", "url": {}},
    ],
}


def test_what_a_document_is_follows_from_its_fields():
    found = {sort: [sort_of(one) for one in documents] for sort, documents in SORTS.items()}
    assert found == {sort: [sort] * len(documents) for sort, documents in SORTS.items()}
    assert sort_of(LINE, "route") == "route"
    with pytest.raises(UserError, match="--as: 'rout' is no kind of documents"):
        sort_of(LINE, "rout")


def test_a_document_is_checked_applied_once_listed_and_shown_or_refused_with_all_its_faults(
    plant, monkeypatch, tmp_path
):
    monkeypatch.setenv("BI_URL", f"sqlite:///{tmp_path / 'bi.db'}")
    for document in (BI, LAB, NIGHT):
        name = document["name"]
        file = write("d.yaml", document)
        what = f"{sort_of(document)}s"
        assert name in said("check", file)
        assert "dry run" in said("apply", file, "--dry-run")
        assert name not in said("list", what)
        assert f"{name} new" in said("apply", file)
        assert f"{name} unchanged" in said("apply", file)
        assert [one["name"] for one in json.loads(output("list", what, "--json"))[what]] == [name]
        assert yaml.safe_load(output("show", name))["name"] == name
    faulty = write("d.yaml", "name: bi\nkind: sql\nurl: {}\ntable: a b\nsends: [alarms]\n")
    refused = said("check", faulty, code=1)
    assert ("url: " in refused, "table: " in refused) == (True, True)


def test_a_sink_is_tried_before_it_is_applied_and_a_channel_by_its_name(
    plant, monkeypatch, tmp_path
):
    monkeypatch.setenv("BI_URL", f"sqlite:///{tmp_path / 'bi.db'}")
    assert "alerting_alarms, alerting_scores; no row" in said("try", write("bi.yaml", BI))
    assert "mail sent" in said("try", "mail")
    assert "there is no source, sink or route 'nope'" in said("try", "nope", code=1)


def test_dead_messages_of_all_sorts_are_listed_and_tried_once_more(plant, monkeypatch, tmp_path):
    monkeypatch.setenv("BI_URL", f"sqlite:///{tmp_path / 'bi.db'}")
    said("apply", write("bi.yaml", BI))
    message = SinkMessage("bi:e:1", "alarms", "too-hot", "oven-1", at(1), {})
    letter = SinkLetter("bi:e:1", "bi", message, "no room", at(1))
    plant.sink_deliveries.advance("bi", None, SinkStep("p", at(1), 0, 0, at(1), {}, [letter]))
    plant.dead_messages.add_dead([DeadMessage("1", "line", "t", b"\xff{", "no JSON", at(2))])
    dead = Notification("n1", "mail", "raised", "too hot", at(3), None, "dead", 9)
    plant.notifications.add([replace(dead, error="no answer")])
    rows = json.loads(output("list", "dead", "--json"))
    assert [(row["of"], row["reason"]) for row in rows] == [
        ("source line", "no JSON"),
        ("sink bi", "no room"),
        ("channel mail", "no answer"),
    ]
    assert "1 dead letters of sink bi" in said("retry", "bi")
    assert "1 tried again; " in said("retry", "notifications")
    assert "there is no source or sink 'nope'" in said("retry", "nope", code=1)


def test_the_first_administrator_and_a_lost_one_get_a_link(plant):
    printed = said("access", "person", "add", "Ada", "--role", "admin", "--shown", "Ada L")
    code = re.search(r"/password/([\w-]+)", printed)[1]
    account = plant.accounts.get("ada")
    assert (account.role, account.display_name) == ("admin", "Ada L")
    assert account.link == hash_secret(code)
    again = re.search(r"/password/([\w-]+)", said("access", "person", "add", "ada"))[1]
    assert plant.accounts.get("ada").link == hash_secret(again) != hash_secret(code)
    assert "there is no role 'boss'" in said(
        "access", "person", "add", "x", "--role", "boss", code=1
    )
    assert "is not possible" in said("access", "person", "add", "with blank", code=1)


def test_episodes_of_an_interval_are_those_open_in_it_also_if_they_were_raised_before(plant):
    plant.clock.instant = at(60)
    id = plant.episodes.find()[0].id[:6]
    for words in (
        ("--from", at(30).isoformat()),
        ("--from", at(30).isoformat(), "--to", at(40).isoformat()),
        ("too-hot", "--from", at(0).isoformat(), "--to", at(30).isoformat()),
    ):
        assert id in output("episodes", *words), words
    assert output("episodes", "--to", at(1).isoformat()) == "no episodes\n"


def test_why_answers_in_words_and_in_json(plant):
    assert "there is no asset" in said("why", "too-hot", "oven-9", code=1)
    words = said("why", "too-hot", "oven-1")
    assert "open since 2026-01-05 00:05 UTC" in words
    assert "notified: mail (sent)" in words
    found = json.loads(output("why", "too-hot", "oven-1", "--at", at(4).isoformat(), "--json"))
    assert (found["verdict"], found["episode"]) == ("unknown", None)


def test_present_advice_is_printed_where_it_is_other_than_that_of_the_raise():
    for at_raise, minute in ((ADVICE, "00:00"), (None, "00:01")):
        raised = replace(episode(), raised_at=at(0), recommendation=at_raise, present=None)
        advised = with_present_advice(raised, at(1), 0.8, 0.5, 1, (), ADVICE)
        shown = map(str, lines_of_episode(advised, [], []))
        lines = [line.strip() for line in shown if "Slow" in line]
        assert lines == [f"what-if (2026-01-05 {minute} UTC): Slow the belt"]


def test_a_period_and_an_interval_are_reported_with_their_tables(plant):
    plant.clock.instant = at(8 * 24 * 60)
    words = ("report", "too-hot", "--period", "2026-W02", "--csv", "tables", "--json")
    words += ("--xlsx", "tables/all.xlsx")
    shown = json.loads(output(*words))
    page = Path("too-hot-report-2026-W02.html").read_text(encoding="utf-8")
    assert page == plant.reports.page(shown["id"])
    episodes = Path("tables/episodes.csv").read_text(encoding="utf-8").splitlines()
    assert len(episodes) == 2, "the names of the columns, and one episode"
    workbook = openpyxl.load_workbook("tables/all.xlsx")
    assert {f"{name}.csv" for name in workbook.sheetnames} < {
        p.name for p in Path("tables").iterdir()
    }
    assert workbook["episodes"].max_row == 2
    day = ("--from", at(0).isoformat(), "--to", at(24 * 60).isoformat(), "--out", "day.html")
    assert "Too early for a conclusion: " in said("report", "too-hot", *day)
    assert Path("day.html").exists()
    assert "a period or an interval, not both" in said(
        "report", "too-hot", "--period", "2026-W02", *day, code=2
    )
    assert "2026-W05 is closed at" in said("report", "too-hot", "--period", "2026-W05", code=1)
