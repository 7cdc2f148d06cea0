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


class Opening:
    """What opens the platform, at the third attempt."""

    attempts = 0

    @contextmanager
    def __call__(self):
        self.attempts += 1
        if self.attempts < 3:
            raise DatabaseDown("the database does not answer")
        yield "platform"


@pytest.mark.parametrize(("stops", "found", "attempts"), [(False, "platform", 3), (True, None, 1)])
def test_the_service_waits_for_its_database_until_it_is_stopped(tmp_path, stops, found, attempts):
    alive = tmp_path / "alive"
    stopped = Event()
    stopped.wait = lambda _=None: stops and (stopped.set() or True)
    given = Settings(home=tmp_path, mongodb_uri="mongodb://database")
    opening = Opening()
    with ExitStack() as stack:
        assert await_platform(stack, opening, given, alive, stopped) == found
    assert (opening.attempts, alive.exists()) == (attempts, True)


def test_a_database_of_its_own_that_cannot_be_started_ends_the_service():
    with ExitStack() as stack, pytest.raises(DatabaseDown):
        await_platform(stack, Opening(), Settings(home=Path()), None, Event())
