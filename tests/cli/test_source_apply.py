"""`alerting apply` waits until the stream service has subscribed, so that the next message
counts."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from threading import Timer

import pytest
import yaml

from alerting.cli import document_commands as sources
from alerting.usecases.sources.status import SOURCES, subscribed_by_stream
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import HandClock, memory_platform

pytestmark = pytest.mark.fast

LINE = {
    "name": "line",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line-3/{asset}/readings",
}
NODES = {"ns=2;s=t": {"variable": "t", "asset": "oven-1"}}
OPC_UA = {"name": "plc", "kind": "opcua", "url": {"env": "SERVER_URL"}, "nodes": NODES}
PUSHED = {"name": "gateway", "kind": "http"}


@pytest.fixture
def platform(monkeypatch):
    monkeypatch.setattr(sources, "_SUBSCRIBED_WITHIN_S", 0.3)
    monkeypatch.setattr(sources, "_SERVICE_WITHIN_S", 0.1)
    monkeypatch.setattr(sources, "_POLL_S", 0.01)
    return memory_platform()


@pytest.fixture
def patient(monkeypatch, platform):
    """Limits of a hang, where what is waited for comes."""
    monkeypatch.setattr(sources, "_SUBSCRIBED_WITHIN_S", 600)
    monkeypatch.setattr(sources, "_SERVICE_WITHIN_S", 600)


def wait(platform, capsys):
    sources.wait_for_brokers(platform, ["line"], at(1))
    return capsys.readouterr().out


def test_only_new_and_changed_sources_of_brokers_are_waited_for():
    platform = memory_platform()
    waited = [
        subscribed_by_stream(SOURCES.apply(platform, documents, "ada", at(minute)))
        for minute, documents in enumerate(
            ([LINE, OPC_UA, PUSHED], [LINE], [{**LINE, "state": "paused"}])
        )
    ]
    assert waited == [["line"], [], []]


def test_a_service_that_does_not_run_and_a_broker_that_does_not_answer_are_said(platform, capsys):
    assert "no stream service runs yet" in wait(platform, capsys)
    platform.leases.claim("stream", "one")
    assert "the stream service has not subscribed yet" in wait(platform, capsys)
    platform.deliveries.set_fault("line", "source line: the broker refuses: Not authorized")
    said = " ".join(wait(platform, capsys).split())
    assert "the broker refuses: Not authorized; what the broker does not keep" in said


@pytest.mark.usefixtures("patient")
def test_it_says_when_the_service_has_subscribed_since_the_change(platform, capsys):
    platform.leases.claim("stream", "one")
    platform.deliveries.note_read("line", at(0))  # before the change
    timer = Timer(0.1, platform.deliveries.note_read, ("line", at(1) + timedelta(seconds=2)))
    timer.start()
    assert wait(platform, capsys) == "line: subscribed, and read from now on\n"
    timer.join()


@pytest.mark.parametrize("option", [(), ("--json",), ("--dry-run",)])
def test_the_command_waits_unless_nothing_was_changed_or_a_program_asked(
    option, platform, monkeypatch, tmp_path, capsys
):
    later = HandClock(at(5))
    opened = replace(platform, clock=later)
    monkeypatch.setattr(sources, "platform", lambda: nullcontext(opened))
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(LINE))
    opened.leases.claim("stream", "one")
    opened.deliveries.note_read("line", at(4))  # before it was applied
    sources.apply(
        [tmp_path / "line.yaml"], dry_run="--dry-run" in option, as_json="--json" in option
    )
    said = capsys.readouterr().out
    assert ("has not subscribed yet" in " ".join(said.split())) == (not option)
    opened.deliveries.note_read("line", at(6))
    changed = {**LINE, "topic": "line-4/{asset}/readings"}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(changed))
    sources.apply(
        [tmp_path / "line.yaml"], dry_run="--dry-run" in option, as_json="--json" in option
    )
    assert ("line: subscribed" in capsys.readouterr().out) == (not option)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_definition_waits_for_the_platform_unless_a_stream_service_runs(
    is_streamed, platform, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(sources, "platform", lambda: nullcontext(platform))
    monkeypatch.setattr(sources, "is_served", lambda: False)
    platform.assets.store_assets([oven()])
    if is_streamed:
        platform.leases.claim("stream", "one")
    (tmp_path / "hot.yaml").write_text(yaml.safe_dump(too_hot()))
    sources.apply([tmp_path / "hot.yaml"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 changed" in printed
    assert ("the platform does not run, so this waits" in printed) == (not is_streamed)
