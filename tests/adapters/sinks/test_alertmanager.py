"""Alarms at a real Alertmanager: firing, resolved, sent again, and after a change of severity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.sinks.alertmanager import AlertmanagerReceiver
from alerting.definitions.sinks.sink import parse_sink
from alerting.ports import ACCEPTED
from alerting.usecases.sinks.messages import message_for_a_test, present_message
from tests.helpers.episodes import episode
from tests.helpers.receivers import Alertmanager, started, surroundings, wait_until

SINK = parse_sink(
    {"name": "am", "kind": "alertmanager", "url": {"env": "RECEIVER_URL"}, "resend": "1s"}
)


@pytest.fixture(scope="module")
def manager(tmp_path_factory):
    with started(Alertmanager(tmp_path_factory.mktemp("alertmanager"))) as made:
        yield made


@pytest.fixture
def receiver(manager):
    return AlertmanagerReceiver(SINK, surroundings(manager.address(manager.port)))


def alarm(asset, **changes):
    now = datetime.now(UTC)
    made = replace(episode(0, asset=asset, raised_at=now - timedelta(minutes=5)), **changes)
    return present_message(SINK, made.with_transition("raised", now, "too hot"))


@pytest.mark.server
def test_an_open_alarm_fires_and_a_closed_one_is_resolved(manager, receiver):
    assert [*receiver.send([alarm("a-1"), alarm("a-2")])] == [ACCEPTED, ACCEPTED]
    found = wait_until(lambda: len(f := manager.alerts()) >= 2 and f)
    one = found["a-1", "high"]
    assert one["labels"]["alertname"] == "too-hot"
    assert one["annotations"]["summary"] == "Too hot"
    assert one["generatorURL"].startswith("http://console/episodes/")
    closed = alarm("a-1", condition="closed", closed_at=datetime.now(UTC))
    assert [*receiver.send([closed])] == [ACCEPTED]
    wait_until(lambda: ("a-1", "high") not in manager.alerts())
    assert ("a-2", "high") in manager.alerts()


@pytest.mark.server
def test_an_alarm_that_is_not_sent_again_is_resolved_by_itself(manager, receiver):
    [*receiver.send([alarm("b-1")])]
    wait_until(lambda: ("b-1", "high") in manager.alerts())
    assert [*receiver.send([alarm("b-1")])] == [ACCEPTED]  # again, at its interval
    wait_until(lambda: ("b-1", "high") not in manager.alerts())
    assert "b-1" not in {asset for asset, _ in manager.alerts()}


@pytest.mark.server
def test_a_changed_severity_resolves_the_earlier_alert(manager, receiver):
    [*receiver.send([alarm("c-1", id="c")])]
    [*receiver.send([alarm("c-1", id="c", severity="critical")])]
    wait_until(lambda: ("c-1", "critical") in manager.alerts())
    wait_until(lambda: ("c-1", "high") not in manager.alerts())
    assert {level for asset, level in manager.alerts() if asset == "c-1"} == {"critical"}


@pytest.mark.server
def test_a_muted_alarm_does_not_fire(manager, receiver):
    [*receiver.send([alarm("d-1")])]
    wait_until(lambda: ("d-1", "high") in manager.alerts())
    assert [*receiver.send([alarm("d-1", muted_by="shelf")])] == [ACCEPTED]
    wait_until(lambda: ("d-1", "high") not in manager.alerts())
    assert "d-1" not in {asset for asset, _ in manager.alerts()}


@pytest.mark.server
def test_a_test_fires_nothing(manager, receiver):
    receiver.probe(message_for_a_test(SINK, "ada", datetime.now(UTC)))
    assert not any(asset == "test" for asset, _ in manager.alerts())
