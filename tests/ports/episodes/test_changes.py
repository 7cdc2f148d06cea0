"""Changes of episodes that are composed before they are written: every read contains them."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.ports import Conflict
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from tests.builders import at
from tests.helpers.episodes import closed, episode
from tests.helpers.notifications import notice

TARGET = episode().definition, episode().asset
FIRST = f"{episode(10).id}:raised:mail"
SECOND = f"{episode(10).id}:raised:phone"


@pytest.fixture
def changes(stores):
    for one in (closed(episode(0)), episode(10), episode(5, asset="oven-2")):
        assert stores.episodes.insert(one)
    return EpisodeChanges(stores)


def ids(found):
    return [e.id for e in found]


def test_unchanged_episodes_are_read_from_the_store_and_nothing_is_to_be_written(changes):
    assert changes.find(*TARGET) == [episode(10), closed(episode(0))]
    assert changes.find(*TARGET, end=at(10)) == [closed(episode(0))]
    assert changes.live_open(*TARGET) == episode(10)
    assert changes.update(episode(10).id, lambda e: e) == episode(10)
    assert changes.get("nothing") is None
    with pytest.raises(LookupError):
        changes.update("nothing", lambda e: e)
    assert changes.episodes == []
    assert changes.size() == 0


def test_what_is_composed_is_in_every_later_read_and_is_written_once_as_the_next_version(
    changes, stores
):
    changes.update(episode(10).id, lambda e: replace(e, severity="low"))
    changes.update(episode(10).id, closed)
    assert changes.live_open(*TARGET) is None
    changes.add(episode(20))
    changes.update(episode(20).id, lambda e: replace(e, severity="low"))
    assert changes.live_open(*TARGET).id == episode(20).id
    assert ids(changes.find(*TARGET, start=at(5))) == ids([episode(20), episode(10)])
    assert ids(changes.find(*TARGET, limit=1)) == ids([episode(20)])
    assert {(e.id, e.version, e.severity) for e in changes.episodes} == {
        (episode(10).id, 2, "low"),
        (episode(20).id, 1, "low"),
    }
    assert changes.size() == sum(map(stores.episodes.size, changes.episodes))
    with stores.unit_of_work.begin() as unit:
        stores.episodes.write(changes.episodes, unit)
    assert [(e.raised_at, e.condition, e.severity) for e in stores.episodes.find(*TARGET)][:2] == [
        (at(20), "open", "low"),
        (at(10), "closed", "low"),
    ]


def test_notifications_of_composed_episodes_count_beside_those_of_stored_ones(changes, stores):
    since = at(0) - timedelta(days=1)
    stores.notifications.add([notice(FIRST, 40, episode=episode(10).id, asset="oven-3")])
    changes.notify([notice(SECOND, 50, episode=episode(10).id, asset="oven-3")])
    assert {n.key for n in changes.raised_since("oven-3", since)} == {
        FIRST,
        SECOND,
    }
    assert changes.raised_since("oven-2", since) == []
    assert changes.raised_since("oven-3", at(10**6)) == []
    assert [n.key for n in changes.of_episode(episode(10).id)] == [FIRST, SECOND]


@pytest.mark.parametrize("is_claimed", [False, True])
def test_an_end_drops_what_quiet_hours_hold_back_and_conflicts_with_a_delivery_that_has_begun(
    changes, stores, is_claimed
):
    held = notice(FIRST, 10, episode=episode(10).id, postponed_by="quiet", next_attempt_at=at(60))
    stores.notifications.add([held])
    changes.update(episode(10).id, closed)
    changes.drop_overtaken(changes.get(episode(10).id))
    assert [n.status for n in changes.of_episode(episode(10).id)] == ["dropped"]
    if is_claimed:
        stores.notifications.claim([held], at(60), at(62))
    with (
        pytest.raises(Conflict) if is_claimed else nullcontext(),
        stores.unit_of_work.begin() as unit,
    ):
        changes.write(unit)
    assert [n.status for n in stores.notifications.get([held.key])] == [
        "claimed" if is_claimed else "dropped"
    ]
