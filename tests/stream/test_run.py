"""`alerting stream`: it waits for a database that is away; then its parts work side by side."""

from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.adapters.sources import brokers
from alerting.settings.environment import Settings
from alerting.stream.service import await_platform, new_process, run
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven, too_hot
from tests.helpers.receivers import wait_until
from tests.helpers.streamed_messages import NOON, SOURCE, Batches, message
from tests.in_memory_platform import HandClock, Mailbox, memory_platform, platform_on

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


def test_a_message_becomes_an_alarm_that_is_told_while_the_service_runs(tmp_path, monkeypatch):
    mail = Mailbox("mail")
    platform = platform_on(memory_platform(), [mail], HandClock(NOON + timedelta(minutes=1)))
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "engineer", at(0), "test")
    SOURCES.apply(platform, [SOURCE], "ada", at(0))
    hot = message({"ts": NOON.isoformat(), "values": {"temperature": 230.0}})
    monkeypatch.setattr(brokers, "open_stream", lambda *_: Batches([[hot]]))
    stopped = Event()
    environ = {"ALERTING_HOME": str(tmp_path), "BROKER_URL": "mqtt://broker"}
    given = (lambda: nullcontext(platform), environ, None, stopped, new_process(), print)
    service = Thread(target=run, args=given)
    service.start()
    wait_until(lambda: mail.messages or not service.is_alive())
    stopped.set()
    service.join()
    assert [one.key.rpartition(":")[0].rpartition(":")[2] for one in mail.messages] == ["raised"]
