"""`alerting sink …`: applied, listed, tested, paused, and dead letters sent once more."""

import json
from contextlib import nullcontext

import pytest
import yaml
from typer.testing import CliRunner

from alerting.adapters.memory.platform import memory_platform
from alerting.cli.ingest import sinks
from alerting.cli.main import app
from alerting.ports import SinkLetter, SinkMessage, SinkStep
from tests.builders import at

BI = {"name": "bi", "kind": "sql", "url": {"env": "BI_URL"}, "sends": ["alarms", "scores"]}


@pytest.fixture
def platform(monkeypatch):
    made = memory_platform()
    monkeypatch.setattr(sinks, "platform", lambda: nullcontext(made))
    return made


@pytest.fixture
def run(platform):
    def call(*words, code=0):
        done = CliRunner().invoke(app, ["sink", *map(str, words)])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    return call


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("BI_URL", f"sqlite:///{tmp_path / 'bi.db'}")
    made = tmp_path / "bi.yaml"
    made.write_text(yaml.safe_dump(BI))
    return made


def test_a_sink_is_checked_tested_applied_shown_and_paused(run, file, platform):
    assert "alarms, scores" in run("check", file)
    assert "alerting_alarms, alerting_scores; no row was stored" in run("test", file)
    assert "dry run" in run("apply", file, "--dry-run")
    assert platform.sinks.documents() == []
    assert "new" in run("apply", file)
    assert "unchanged" in run("apply", file)
    assert "kind: sql" in run("show", "bi")
    assert "is paused" in run("pause", "bi")
    assert json.loads(run("list", "--json"))["sinks"][0]["state"] == "paused"
    assert "is active" in run("resume", "bi")
    assert "is retired" in run("retire", "bi")


def test_a_faulty_sink_is_refused_with_all_its_faults(run, file):
    file.write_text("name: bi\nkind: sql\nurl: {}\ntable: a b\n")
    output = run("check", file, code=1)
    assert "url: " in output
    assert "table: " in output


def test_dead_letters_are_listed_and_sent_once_more(run, file, platform):
    run("apply", file)
    message = SinkMessage("bi:e:1", "alarms", "too-hot", "oven-1", at(1), {})
    letter = SinkLetter("bi:e:1", "bi", message, "no room", at(1))
    platform.sink_deliveries.advance("bi", None, SinkStep("p", at(1), 0, 0, at(1), {}, [letter]))
    (listed,) = json.loads(run("dead-letters", "bi", "--json"))
    assert (listed["id"], listed["reason"]) == ("bi:e:1", "no room")
    assert "1 dead letters" in run("retry", "bi")
    assert [one.id for one in platform.sink_deliveries.letters("bi", 9, again=True)] == ["bi:e:1"]
    run("dead-letters", "other", code=1)
