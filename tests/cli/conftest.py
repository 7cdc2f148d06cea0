"""A platform behind all commands."""

import sys
import warnings
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import typer.testing

from alerting import wiring
from alerting.adapters.mongo.mongo import MongoStores
from alerting.ports import ReadingRow
from alerting.stores.database.documents import SCHEMA
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.command_line import TITLE, made_once
from tests.helpers.databases import empty_database
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.humid_line import humid_oven
from tests.in_memory_platform import HandClock, Mailbox, MemoryModels, platform_on


class TalkingModels(MemoryModels):
    """A registry that prints where a run can be seen, and warns, as MLflow does."""

    def finish(self, run_id, failed=False):
        sys.stdout.write(f"🏃 View run {run_id} at: http://127.0.0.1:5050\n")
        warnings.warn("something is deprecated", stacklevel=1)
        super().finish(run_id, failed)


@pytest.fixture(scope="module", autouse=True)
def commands_made_once():
    """Let all tests of a file use the same commands."""
    with patch.object(typer.testing, "_get_command", made_once):
        yield


@pytest.fixture
def plant(monkeypatch, tmp_path, real):  # noqa: F811 - a fixture
    """A platform behind all commands, with an open episode."""
    return plant_behind_commands(monkeypatch, tmp_path, real)


@pytest.fixture(scope="module")
def unchanged_plant(tmp_path_factory, two_prepared):
    """The same for all tests of a file, for those that change nothing."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        stores = MongoStores(two_prepared[1].database)
        yield plant_behind_commands(monkeypatch, tmp_path_factory.mktemp("plant"), stores)
        empty_database(stores.database, {SCHEMA})


def plant_behind_commands(monkeypatch, folder, stores):
    """Put a platform on these stores behind all commands, in this folder; return it."""
    made = platform_on(stores, (Mailbox("mail"),), HandClock())
    object.__setattr__(made, "models", TalkingModels())
    made.assets.store_assets([oven(), humid_oven()])
    apply(
        made,
        [too_hot(stale_after="10h", title=TITLE, severity="high")],
        "engineer",
        at(0),
        "because [of] this",
    )
    add_readings(made, [ReadingRow("oven-1", at(5), {"temperature": 230})], at(0))
    made.clock.instant = at(8)
    evaluate(made, None, at(8))
    deliver_due(made, at(8))

    @contextmanager
    def opened(*_, **__):
        yield made

    @contextmanager
    def opened_stores(*_, **__):
        yield stores

    monkeypatch.setattr(wiring, "open_platform", opened)
    monkeypatch.setattr(wiring, "open_stores", opened_stores)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ALERTING_TIMEZONE", raising=False)
    return made
