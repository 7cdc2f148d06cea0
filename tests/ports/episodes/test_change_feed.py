"""The changes of a real database: each once, in order, without those of past times."""

from dataclasses import replace

from alerting.operators.account_rules import hash_secret
from alerting.usecases.access import accounts
from alerting.usecases.access.accounts import begin_session
from alerting.usecases.access.devices_and_tokens import create_token, revoke_token
from tests.builders import at
from tests.helpers.episodes import episode, live_episode
from tests.helpers.mutes import mute


def read(reader, count):
    """Return so many changes, as soon as they are there."""
    found = []
    while len(found) < count:
        found += reader.next()
    return found


def test_each_change_is_read_once_and_in_order(real):
    first = episode(0)
    assert real.episodes.insert(first)
    with real.changes.read() as reader:
        assert reader.open_episodes() == [live_episode(first)]
        start = reader.mark()
        second = episode(5, asset="oven-2")
        assert real.episodes.insert(second)
        assert real.episodes.insert(replace(episode(7, asset="oven-3"), backfilled=True))
        over = replace(first, condition="closed", closed_at=at(6), version=first.version + 1)
        with real.unit_of_work.begin() as unit:
            real.episodes.write([over], unit)
        assert real.mutes.insert(mute(9))
        real.platform_alerts.report("disk full", "data", "little space", at(9))
        found = read(reader, 4)
        assert [(one.thing, one.asset, one.episode) for one in found] == [
            ("episode", "oven-2", live_episode(second)),
            ("episode", first.asset, live_episode(over)),
            ("mute", "oven-1", None),
            ("platform", None, None),
        ]
        marks = [start, *(one.mark for one in found)]
        assert marks == sorted(marks)
        assert reader.mark() == marks[-1]
        assert reader.next() == []


def test_the_end_of_what_somebody_may_is_a_change(real):
    account, _ = accounts.add_person(real, "anna", "operator", "ada", at(0))
    cookie = begin_session(real, "anna", at(0), "10.0.0.7")
    ends = at(60)
    token, _ = create_token(real, "rows", "anna", "viewer", ends, "ada", at(0))
    with real.changes.read() as reader:
        accounts.disable_account(real, "anna", "ada", at(1))
        revoke_token(real, token.key, "ada", at(2))
        found = read(reader, 3)
        assert {(one.thing, one.access) for one in found} == {
            ("access", account.id),
            ("access", hash_secret(cookie)),
            ("access", token.id),
        }
