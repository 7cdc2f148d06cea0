"""The start of `alerting stream`: a database that is away is waited for, and does not end the
service."""

from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.settings.environment import Settings
from alerting.stream.run import await_platform

pytestmark = pytest.mark.fast


@pytest.fixture
def opened():
    """Return what opens the platform, at the third attempt, and its attempts."""
    attempts = []

    @contextmanager
    def platform():
        attempts.append(True)
        if len(attempts) < 3:
            raise DatabaseDown("the database does not answer")
        yield "platform"

    return platform, attempts


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
        assert await_platform(stack, opened[0], given, alive, Impatient(until)) == found
    assert (len(opened[1]), alive.exists()) == (attempts, True)


def test_a_database_of_its_own_that_cannot_be_started_ends_the_service(opened):
    with ExitStack() as stack, pytest.raises(DatabaseDown):
        await_platform(stack, opened[0], Settings(home=Path()), None, Event())
