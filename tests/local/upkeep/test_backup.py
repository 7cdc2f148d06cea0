"""A backup of a platform in use, restored on an emptied machine: the same contents, and nothing is
sent twice."""

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.adapters.mongo import embedded_mongod
from alerting.adapters.mongo.mongo import open_stores
from alerting.adapters.mongo.shared_mongod import data_folder
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.local.backup import restore_backup, save_backup
from alerting.local.prepare import prepare
from alerting.ports import WantedHistory
from alerting.settings.environment import Settings
from alerting.settings.home_folder import database_of
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import load_model
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators.operate import give_feedback
from alerting.usecases.training.training_steps import train
from tests.builders import at, oven
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import HandClock, Mailbox
from tests.support import require_real_server

pytestmark = pytest.mark.models
ROWS = line(days=5)
TRAINED = at(3 * DAY)
EVALUATED = at(4 * DAY)
END = at(5 * DAY)
WET = {
    "name": "wet",
    "kind": "threshold",
    "assets": [ASSET],
    "variable": "humidity",
    "above": 50,
    "stale_after": "1h",
}


@contextmanager
def opened(home, box, now):
    from alerting.wiring import open_platform

    with open_platform(Settings(home=home)) as platform:
        yield replace(platform, clock=HandClock(now), channels={"mail": box}, latency=timedelta(0))


def live(home):
    """Let a platform train, raise alerts and get an answer; return the keys of what it has sent."""
    box = Mailbox("mail")
    prepare(Settings(home=home))
    with opened(home, box, TRAINED) as platform:
        platform.assets.store_assets([humid_oven()])
        apply(platform, [learned_quickly(), WET], "engineer", at(0), "test")
        add_readings(platform, [row for row in ROWS if row.ts <= TRAINED], TRAINED)
        assert train(platform, NAME, TRAINED).promote
        add_readings(platform, [row for row in ROWS if TRAINED < row.ts <= EVALUATED], EVALUATED)
        evaluate(platform, None, EVALUATED)
        deliver_due(platform, EVALUATED)
        answer = Feedback(
            platform.episodes.find()[0].id, "true_alarm", False, None, None, "ann", EVALUATED
        )
        give_feedback(platform, answer)
    return {message.key for message in box.messages}


def contents_of(platform):
    return {
        "episodes": platform.episodes.find(),
        "decisions": platform.decisions.for_definition(NAME),
        "revisions": platform.definitions.latest_revisions(),
        "notifications": platform.notifications.of_episodes(
            [e.id for e in platform.episodes.find()]
        ),
        "champion": platform.models.aliases(NAME).get("champion"),
        "model": load_model(
            platform, platform.definitions.newest_revision(NAME).definition, 1
        ).hash,
        "scores": [*platform.scores.for_interval(NAME, at(0), END)],
        "readings": len(platform.readings.load(WantedHistory(humid_oven(), None, None)).readings),
    }


@pytest.fixture
def homes(tmp_path):
    require_real_server()
    return tmp_path / "old", tmp_path / "new"


def test_a_killed_and_emptied_machine_goes_on_from_its_backup(homes, tmp_path):
    old, new = homes
    sent = live(old)
    with opened(old, Mailbox("mail"), EVALUATED) as platform:
        before = contents_of(platform)
        saved = save_backup(Settings(home=old), tmp_path / "backup")
        os.kill(embedded_mongod.server_in(data_folder(old)), signal.SIGKILL)
    old.rename(tmp_path / "another disk")  # its keeper may still tidy up
    assert saved.database["episodes"] == len(before["episodes"]) > 1

    restore_backup(Settings(home=new), tmp_path / "backup")

    box = Mailbox("mail")
    with opened(new, box, EVALUATED) as platform:
        assert contents_of(platform) == before
        evaluate(platform, None, EVALUATED)
        deliver_due(platform, EVALUATED)
        assert box.messages == []
        add_readings(platform, [row for row in ROWS if row.ts > EVALUATED], END)
        platform.clock.instant = END
        evaluate(platform, None, END)
        deliver_due(platform, END)
        raised = {e.definition for e in platform.episodes.find() if e.raised_at > EVALUATED}
        assert raised == {NAME, "wet"}  # the restored model evaluates, too
    keys = [message.key for message in box.messages]
    assert len(keys) == len(set(keys)) > 0
    assert not sent & set(keys)


def test_a_backup_goes_into_an_empty_folder_and_an_empty_home_unless_it_is_damaged(homes, tmp_path):
    old, new = homes
    prepare(Settings(home=old))
    folder = tmp_path / "backup"
    save_backup(Settings(home=old), folder)
    assert folder.stat().st_mode & 0o077 == 0
    for write in (save_backup, restore_backup):
        with pytest.raises(UserError, match="not empty"):
            write(Settings(home=old), folder)
    file = folder / "mongodb" / "episodes.bson.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    with pytest.raises(UserError, match=r"damaged, nothing was restored: mongodb/episodes.bson.gz"):
        restore_backup(Settings(home=new), folder)
    assert not new.exists()
    file.write_bytes(whole)
    restore_backup(Settings(home=new), folder)
    secrets = [{p.name: p.read_bytes() for p in (home / "secrets").iterdir()} for home in homes]
    assert secrets[0] == secrets[1]
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="not a complete backup"):
        restore_backup(Settings(home=tmp_path / "third"), folder)


def test_a_database_that_is_not_empty_leaves_the_home_as_it_was(homes, tmp_path, real_server):
    old, new = homes
    prepare(Settings(home=old))
    save_backup(Settings(home=old), tmp_path / "backup")
    with open_stores(real_server, "in-use", prepare=True) as stores:
        stores.assets.store_assets([oven()])
        with pytest.raises(UserError, match="'in-use' is not empty"):
            restore_backup(
                Settings(home=new, mongodb_uri=real_server, database="in-use"), tmp_path / "backup"
            )
        assert stores.assets.get("oven-1") is not None
        stores.database.client.drop_database("in-use")
    assert not new.exists()


def test_an_interrupted_restore_leaves_no_platform(homes, tmp_path, monkeypatch):
    old, new = homes
    prepare(Settings(home=old))
    save_backup(Settings(home=old), tmp_path / "backup")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("alerting.local.backup.prepare_database", _interrupt)
        restore_backup(Settings(home=new), tmp_path / "backup")
    assert database_of(new) is None
    with pytest.raises(UserError, match=r"a restore into .* was interrupted"):
        prepare(Settings(home=new))
    new.rename(tmp_path / "another disk")
    restore_backup(Settings(home=new), tmp_path / "backup")
    assert database_of(new) == "embedded"


def _interrupt(_database, _zone):
    raise KeyboardInterrupt
