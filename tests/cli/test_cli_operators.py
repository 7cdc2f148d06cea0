"""The commands of operators, as people type them, on a platform in memory."""

import json
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from alerting.cli import episodes, notifications, reports, support
from alerting.cli.main import app
from alerting.cli.operators import shelves
from alerting.definitions.assets import Asset
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.episode_page import risky
from tests.in_memory_platform import Mailbox, in_memory_platform


@pytest.fixture
def platform(monkeypatch):
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    apply(made, [too_hot(stale_after="10h")], "engineer", at(0), "test")
    add_readings(made, [ReadingRow("oven-1", at(5), {"temperature": 230})], at(0))
    made.clock.instant = at(8)
    evaluate(made, None, at(8))
    deliver_due(made, at(8))

    @contextmanager
    def opened():
        yield made

    for module in (episodes, notifications, reports, shelves):
        monkeypatch.setattr(module, "platform", opened)
    monkeypatch.setattr(support, "user", lambda: "emil")
    return made


def alerting(*words, code=0):
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


def the_id(platform):
    return platform.episodes.find()[0].id


def test_episodes_of_an_interval_are_those_open_in_it_also_if_they_were_raised_before(platform):
    platform.clock.instant = at(60)
    id = the_id(platform)[:6]
    for words in (
        ("--from", at(30).isoformat()),
        ("--from", at(30).isoformat(), "--to", at(40).isoformat()),
        ("too-hot", "--from", at(0).isoformat(), "--to", at(30).isoformat()),
    ):
        assert id in alerting("episodes", *words), words
    assert alerting("episodes", "--to", at(1).isoformat()) == "no episodes\n"


def test_an_episode_is_acknowledged_commented_assigned_and_confirmed_by_the_beginning_of_its_id(
    platform,
):
    id = the_id(platform)[:6]
    assert "state: acknowledged (ISA-18.2 C)" in alerting(
        "episode", "ack", id, "--note", "on my way"
    )
    alerting("episode", "comment", id, "burner again")
    assert "assigned to bob" in alerting("episode", "assign", id, "bob")
    assert "confirmed by emil" in alerting("episode", "confirm", id, "--did", "turned it down")
    assert platform.feedback.for_episode(the_id(platform))[0].action == "turned it down"
    shown = alerting("episodes", id)
    assert all(
        words in shown for words in ("burner again", "acknowledged by emil", "assigned to bob")
    )


def test_an_alert_that_has_come_and_is_not_known_is_closed_once_with_a_reason(platform):
    id = the_id(platform)
    assert "only an alert whose predicted problem has come" in alerting(
        "episode", "close", id, "--reason", "x", code=1
    )
    apply(platform, [too_moist()], "engineer", at(8), "test")
    one = risky(platform, 9, happening_at=at(12), prediction_ended_at=at(12))
    platform.clock.instant = at(600)
    assert "the reason is empty" in alerting("episode", "close", one.id, "--reason", " ", code=1)
    assert "returned unacknowledged" in alerting("episode", "close", one.id, "--reason", "gone")
    closed = [
        (t.actor, t.reason, t.at)
        for t in platform.episodes.get(one.id).transitions
        if t.kind == "closed"
    ]
    assert closed == [("emil", "gone", at(600))]
    assert "no episode is open" in alerting("episode", "close", one.id, "--reason", "gone", code=1)


def test_a_shelf_is_made_listed_and_ended_and_what_is_open_is_told_at_once(platform):
    assert "too-hot on oven-1 is shelved until" in alerting(
        "shelf", "add", "too-hot", "oven-1", "--for", "2h", "--reason", "cleaning"
    )
    listed = alerting("shelf", "list")
    assert all(words in listed for words in ("cleaning", "emil", "2h"))
    alerting("shelf", "end", "too-hot", "oven-1")
    assert "no definition is muted" in alerting("shelf", "list")
    assert [m.key.split(":")[1].split("-")[0] for m in platform.channels["mail"].messages] == [
        "raised",
        "unmuted",
    ]


def test_what_is_out_of_service_is_listed_until_it_is_returned(platform):
    alerting("shelf", "out-of-service", "too-hot", "oven-1", "--reason", "sensor removed")
    [listed] = json.loads(alerting("shelf", "list", "--json"))
    assert (listed["kind"], listed["until"]) == ("out_of_service", None)
    alerting(
        "shelf", "out-of-service", "too-hot", "oven-1", "--return", "--reason", "sensor is back"
    )
    assert json.loads(alerting("shelf", "list", "--json")) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shelf", "add", "too-hot", "oven-1", "--for", "8d", "--reason", "x"), 1, "at most 7 d"),
        (("shelf", "add", "too-hot", "oven-1", "--reason", "x"), 1, "an end is required"),
        (
            ("shelf", "add", "too-hot", "oven-1", "--for", "soon", "--reason", "x"),
            2,
            "not a duration",
        ),
        (("shelf", "end", "too-hot", "oven-1"), 1, "it is not shelved"),
        (("episode", "ack", "nothing"), 1, "there is no episode"),
        (("episode", "close", "nothing", "--reason", "x"), 1, "there is no episode"),
        (("why", "too-hot", "oven-9"), 1, "there is no asset"),
        (("kpi", "--target", "nothing=1"), 1, "there is no target"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_message(platform, words, code, said):
    assert said in " ".join(alerting(*words, code=code).split())


def test_why_answers_in_words_and_in_json(platform):
    words = alerting("why", "too-hot", "oven-1")
    assert "open since 2026-01-05 00:05 UTC" in words
    assert "notified: mail (sent)" in words
    found = json.loads(alerting("why", "too-hot", "oven-1", "--at", at(4).isoformat(), "--json"))
    assert (found["verdict"], found["episode"]) == ("unknown", None)


def test_kpi_shows_figures_with_targets_and_says_that_a_day_is_too_short(platform):
    words = alerting("kpi", "--from", at(0).isoformat(), "--to", at(60 * 24).isoformat())
    assert "1 alarm from" in words
    assert "too short a time" in words
    assert "after ISA-18.2 / EEMUA 191" in words
    assert "observed" not in words
    assert "observed 8 minutes of 30 days, since 5 Jan 00:00" in alerting("kpi")
    assert "oven-1: observed 8 minutes of 30 days" in alerting("kpi", "--by", "line")
    before = alerting("kpi", "--to", at(0).isoformat())
    assert "nothing was evaluated in this period, so its rates are not known" in before
    assert "acceptable (0 to 1) not known" in before
    found = json.loads(alerting("kpi", "--json", "--target", "most=3"))
    assert (found["kpis"]["alarms"], found["kpis"]["priorities"][1]["alarms"]) == (1, 1)


def test_a_route_of_a_plant_is_refused_applied_and_listed_also_when_the_plant_is_gone(
    platform, tmp_path
):
    file = tmp_path / "route.yaml"
    file.write_text("name: north\nchannels: [mail]\nmatch: {plants: [north]}\n")
    refused = CliRunner().invoke(app, ["route", "apply", str(file)])
    assert refused.exit_code != 0
    assert "match.plants.0: no plant is called 'north'" in " ".join(refused.output.split())
    platform.assets.store_assets([Asset(name="north", plant={})])
    assert CliRunner().invoke(app, ["route", "apply", str(file)]).exit_code == 0
    listed = CliRunner().invoke(app, ["route", "list"]).output
    assert "plant north" in " ".join(listed.split())
    assert "there is no such plant" not in listed
    platform.assets.store_assets([Asset(name="north")])
    listed = CliRunner().invoke(app, ["route", "list"])
    assert "route north is for nothing of north: there is no such plant" in listed.output
    found = json.loads(CliRunner().invoke(app, ["route", "list", "--json"]).output)
    assert found["missing_plants"] == {"north": ["north"]}
