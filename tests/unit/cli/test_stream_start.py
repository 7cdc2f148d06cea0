"""The start of `alerting stream`: a database that is away is waited for, and does not end the
service."""

from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.cli.ingest import stream
from alerting.settings.environment import Settings


@pytest.fixture
def opened(monkeypatch):
    """Let the database answer at the third attempt; return the attempts."""
    attempts = []

    @contextmanager
    def platform():
        attempts.append(True)
        if len(attempts) < 3:
            raise DatabaseDown("the database does not answer")
        yield "platform"

    monkeypatch.setattr(stream, "platform", platform)
    return attempts


class Impatient(Event):
    """An event whose waits end at once; it is set at the given one."""

    def __init__(self, until=99):
        super().__init__()
        self._left = until

    def wait(self, timeout=None):
        self._left -= 1
        if not self._left:
            self.set()
        return self.is_set()


@pytest.mark.parametrize(("until", "found", "attempts"), [(99, "platform", 3), (1, None, 1)])
def test_the_service_waits_for_its_database_until_it_is_stopped(
    opened, tmp_path, until, found, attempts
):
    alive = tmp_path / "alive"
    with ExitStack() as stack:
        given = Settings(home=tmp_path, mongodb_uri="mongodb://database")
        assert stream.await_platform(stack, given, alive, Impatient(until)) == found
    assert (len(opened), alive.exists()) == (attempts, True)


def test_a_database_of_its_own_that_cannot_be_started_ends_the_service(opened):
    with ExitStack() as stack, pytest.raises(DatabaseDown):
        stream.await_platform(stack, Settings(home=Path()), None, Event())
