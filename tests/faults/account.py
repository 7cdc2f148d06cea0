"""Account of what a storm must leave as an undisturbed run has it."""

import re
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from alerting.adapters.mongo.mongo import MongoStores
from alerting.episodes.episode import Episode
from alerting.episodes.reconciliation import start_of
from alerting.notifications.notification import Notification
from alerting.stores.episodes import _read_notifications
from tests.faults.parts import Part
from tests.faults.world import World

Values = Mapping[tuple[str, datetime], Mapping[str, Any]]
"""Readings by asset and instant."""


@dataclass
class Account:
    """The counts, and everything that should not be."""

    counts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def expect_none(self, what: str, found: Sequence[Any]) -> None:
        self.counts[what] = len(found)
        if found:
            self.wrong.append(f"{what}: {len(found)}, e.g. {found[0]}")


def compare(
    account: Account,
    world: World,
    stores: MongoStores,
    sent: Values,
    calm: Sequence[Episode],
    since: datetime,
    muted: Collection[tuple[str, str]] = (),
) -> None:
    """Expect that every reading that was confirmed after an instant is there, with its values, and
    no other; and the episodes of an undisturbed run, each notified, beside those of muted pairs
    of definition and asset."""
    documents = stores.database["readings"].find({"ts": {"$gt": since}})
    stored = {(one["asset"], one["ts"]): one["v"] for one in documents}
    account.counts |= {"readings sent": len(sent), "readings stored": len(stored)}
    account.expect_none("readings that are lost", sorted(sent.keys() - stored.keys()))
    account.expect_none("readings that were never sent", sorted(stored.keys() - sent.keys()))
    account.expect_none(
        "readings of other values",
        [key for key in sent.keys() & stored.keys() if sent[key] != stored[key]],
    )
    account.expect_none("messages put aside", list(stores.database["dead_messages"].find()))
    found = list(stores.episodes.find())
    compare_episodes(account, found, calm)
    accepted = Counter(note["key"] for note in world.accepted)
    notifications = notifications_of(stores)
    in_view = [one for one in found if (one.definition, one.asset) not in muted]
    compare_notifications(account, in_view, notifications, accepted)
    known = {notification.key for notification in notifications}
    account.expect_none("received and in no outbox", sorted(accepted.keys() - known))


def _essence(episode: Episode) -> tuple[Any, ...]:
    """Return what late data leave as it is in an undisturbed run: an episode is known by its target
    and its corrected begin."""
    return (
        episode.definition,
        episode.asset,
        start_of(episode),
        episode.closed_at,
        episode.severity,
        episode.severity_peak,
        episode.happening_at,
        episode.prediction_ended_at,
        episode.revision,
        episode.model_version,
    )


def _steps(episode: Episode) -> tuple[Any, ...]:
    kinds = ("raised", "happening", "severity", "closed")
    steps = tuple((t.kind, t.at) for t in episode.transitions if t.kind in kinds)
    return episode.valid_until, *steps


def _is_plain(episode: Episode) -> bool:
    """Return whether late data have not corrected an episode."""
    return not any(
        t.kind in ("corrected", "reopened") or "late data" in t.reason for t in episode.transitions
    )


def _with_other_steps(stormy: Collection[Episode], calm: Collection[Episode]) -> list[Any]:
    """Return the steps of episodes that late data did not correct, where they are not those of the
    undisturbed run."""
    expected = {_essence(episode): _steps(episode) for episode in calm}
    plain = filter(_is_plain, stormy)
    found = [(_essence(e), _steps(e), expected.get(_essence(e))) for e in plain]
    return [one for one in found if one[2] is not None and one[1] != one[2]]


def compare_episodes(account: Account, stormy: Sequence[Episode], calm: Sequence[Episode]) -> None:
    """Expect the same episodes, beside those that late data refuted."""
    live = [episode for episode in stormy if not episode.withdrawn]
    found, expected = (Counter(map(_essence, some)) for some in (live, calm))
    account.counts |= {
        "episodes": len(live),
        "of an undisturbed run": len(calm),
        "withdrawn": len(stormy) - len(live),
        "episodes by definition": dict(Counter(e.definition for e in live)),
        "predictions": sum(e.is_prediction for e in live),
        "of these come true": sum(e.happening_at is not None for e in live),
        "outcomes": dict(Counter(one[0] for one in map(_outcome, live) if one is not None)),
    }
    account.expect_none("episodes missing", sorted((expected - found).elements(), key=str))
    account.expect_none(
        "episodes only in the storm", sorted((found - expected).elements(), key=str)
    )
    account.expect_none("episodes with other steps", _with_other_steps(live, calm))
    account.expect_none("episodes with other outcomes", _with_other_outcomes(live, calm))
    moved = [
        e
        for e in live
        if e.raised_at != start_of(e) and not any(t.kind == "corrected" for t in e.transitions)
    ]
    account.expect_none("moved begins without a correction", [e.id for e in moved])


def _with_other_outcomes(stormy: Collection[Episode], calm: Collection[Episode]) -> list[Any]:
    """Return the episodes of which another outcome was determined, and no later one is due.

    The outcome of a raise that late data moved is that of the alarm that people got.
    """
    expected = {_essence(e): _outcome(e) for e in calm}
    plain = filter(_is_plain, stormy)
    found = [(_essence(e), _outcome(e), expected.get(_essence(e))) for e in plain]
    return [one for one in found if None not in one[1:] and one[1] != one[2]]


def _outcome(episode: Episode) -> tuple[Any, ...] | None:
    found = episode.outcome_record
    if found is None or episode.outcome_due_at is not None:
        return None
    return found.outcome, found.occurred, found.problem_at


def compare_notifications(
    account: Account,
    stormy: Collection[Episode],
    notifications: Collection[Notification],
    accepted: Mapping[str, int],
) -> None:
    """Expect a notification of every raise, and of every end that came after it, and that each was
    received.

    Of several episodes that one catch-up found, the newest is notified and says how many came
    before it, even if late data withdraw it afterwards. `accepted`: how often the receivers got
    each notification, by key.
    """
    live = [episode for episode in stormy if not episode.withdrawn]
    account.counts |= {
        "notifications": dict(Counter(f"{n.transition} {n.status}" for n in notifications)),
        "deliveries received": sum(accepted.values()),
        "received more than once": sum(times > 1 for times in accepted.values()),
    }
    told = {(n.episode, n.transition) for n in notifications}
    untold = [e for e in live if (e.id, "raised") not in told]
    named = [e for e in untold if _is_named(e, stormy, notifications)]
    account.counts["named by the newest of a catch-up"] = len(named)
    account.expect_none(
        "episodes without a notification", [(e.id, _essence(e)) for e in untold if e not in named]
    )
    ended = [e for e in live if (e.id, "raised") in told and _is_over_later(e)]
    account.expect_none(
        "ends without a notification", [_essence(e) for e in ended if (e.id, "closed") not in told]
    )
    come = [e for e in live if (e.id, "raised") in told and e.happening_at is not None]
    account.expect_none(
        "problems of predictions without a notification",
        [
            _essence(e)
            for e in come
            if (e.id, "happening") not in told and not _is_told_otherwise(e, notifications)
        ],
    )
    account.expect_none(
        "notifications that are dead", [n.key for n in notifications if n.status == "dead"]
    )
    # those on faults of the platform go to the log
    received = [n for n in notifications if n.channel != "log"]
    account.expect_none(
        "recorded as sent and not received",
        [n.key for n in received if n.status == "sent" and not accepted.get(n.key)],
    )
    account.expect_none(
        "marked as told with others and listed in no delivered message",
        [n.key for n in received if n.status == "grouped" and not _is_told(n, notifications)],
    )


def _is_over_later(episode: Episode) -> bool:
    """Return whether an episode ended after it was found: else its first notification says that it
    is over. Late data may have moved its end since."""
    end = next((t.at for t in episode.transitions if t.kind == "closed"), episode.closed_at)
    return end is not None and end > episode.detected_at


def _is_named(
    episode: Episode, stormy: Collection[Episode], notifications: Collection[Notification]
) -> bool:
    """Return whether the newest of all episodes of a target that one evaluation found was notified,
    and counts the others.

    Late data may let it find one before an episode of which people know already, and one after
    that.
    """
    place = (episode.definition, episode.asset, episode.detected_at)
    at_once = [e for e in stormy if (e.definition, e.asset, e.detected_at) == place]
    later = sorted(
        (e for e in at_once if e.raised_at > episode.raised_at), key=lambda e: e.raised_at
    )
    raised = {n.episode: n for n in notifications if n.transition == "raised"}
    for before, one in enumerate(later, 1):
        if one.id in raised:
            says = re.search(r"; (\d+) more since ", raised[one.id].reason)
            return (
                says is not None
                and int(says[1]) >= before
                and _is_told(raised[one.id], notifications)
            )
    return False


def _is_told_otherwise(episode: Episode, notifications: Collection[Notification]) -> bool:
    """Return whether the raise has told that a problem began, as one catch-up found both, or the
    end."""
    begun = episode.happening_at
    return (begun is not None and begun <= episode.detected_at) or any(
        n.episode == episode.id and n.transition == "closed" and _is_told(n, notifications)
        for n in notifications
    )


def _is_told(one: Notification, notifications: Collection[Notification]) -> bool:
    """Return whether its recipient has it: delivered by itself, or listed in a digest or summary
    that was delivered."""
    return one.status == "sent" or any(
        n.status == "sent"
        and n.channel == one.channel
        and n.content is not None
        and one.key in n.content.payload.get("notifications", ())
        for n in notifications
    )


class Recovered(NamedTuple):
    """When everything ran again (s since 1970), and the keys of the notifications that were
    recorded as sent by then."""

    at: float
    sent_before: Collection[str]


def recovered_now(stores: MongoStores) -> Recovered:
    sent = {one.key for one in notifications_of(stores, "sent")}
    # after that reading: what is first delivered meanwhile is not told again
    return Recovered(time.time(), sent)


def notifications_of(stores: MongoStores, *statuses: str) -> list[Notification]:
    """Return the notifications of these statuses, without any: all."""
    query = {"status": {"$in": statuses}} if statuses else {}
    return list(_read_notifications(stores.database["notifications"].find(query)))


def report(
    account: Account, world: World, parts: Sequence[Part], minutes: float, recovered: Recovered
) -> dict[str, Any]:
    """Expect that nothing is told again, or twice, once everything had recovered, and that no
    process ended by itself; return the report of a fault test."""
    after = Counter(note["key"] for note in world.accepted if note["t"] > recovered.at)
    account.counts["deliveries received after recovery"] = after.total()
    account.expect_none("told again after recovery", sorted(after.keys() & recovered.sent_before))
    account.expect_none("received twice after recovery", [k for k, n in after.items() if n > 1])
    forged = [note for note in world.notes("hook") if note["what"] == "forged"]
    account.expect_none("deliveries with a wrong signature", forged)
    ended = [part.name for part in parts if part.counts["ended by itself"]]
    account.expect_none("processes that ended by themselves", ended)
    return {
        "minutes": minutes,
        "seed": world.seed,
        "attacks": {part.name: dict(part.counts) for part in parts},
        **account.counts,
        "wrong": account.wrong,
    }
