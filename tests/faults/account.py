"""Comparison of the runs: episodes and notifications of the stormy one against the calm one, and
the notes of each receiver."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from alerting.adapters.mongo.episodes.notifications import _read
from alerting.adapters.mongo.mongo import MongoStores
from alerting.episodes.episode import Episode
from alerting.notifications.notification import WAITING, Notification
from alerting.operators.shelves import Shelf
from tests.faults.excuses import Excuses, grouped_and_not_told
from tests.faults.held_back import (
    CROWD,
    SHELVED,
    is_held_back,
    not_ended,
    told_on_shelves,
    untold_after_shelves,
    untold_in_floods,
)
from tests.faults.notifier import cause_of_another, read_attempts
from tests.faults.plant import START, acknowledged_until, rows, wall_clock
from tests.faults.starvation import (
    LONGEST_STANDSTILL_S,
    Health,
    ProcessorWaits,
    Standstill,
    longest_delivery_s,
    standstills,
    time_within,
)
from tests.faults.world import World

RECEIVERS = ("mail", "hook")
SENDERS = ("notifier-1", "notifier-2")
EVALUATORS = ("evaluator-1", "evaluator-2")
CHANNELS = ("shift", "mes", "chief", CROWD)
MODEL = "too-moist"
TICK = timedelta(seconds=30)
"""Step of the undisturbed run."""
BY_TIME = ("repeated", "escalated")


@dataclass(frozen=True)
class Ledger:
    """Episodes, notifications and shelves of one database."""

    episodes: Mapping[str, Episode]
    notices: Mapping[str, Notification]
    shelves: Sequence[Shelf]

    @classmethod
    def from_stores(cls, stores: MongoStores) -> "Ledger":
        episodes = {e.id: e for e in stores.episodes.find()}
        shelves = [shelf for pair in SHELVED for shelf in stores.shelves.for_target(*pair)]
        return cls(
            episodes, {n.key: n for n in _read(stores.database["notifications"].find())}, shelves
        )

    def keys(self, *statuses: str) -> set[str]:
        return {key for key, n in self.notices.items() if n.status in statuses}


@dataclass
class Account:
    """The counts, everything that should not be, and times for which the machine has to answer, not
    the platform."""

    counts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    starved: list[str] = field(default_factory=list)

    def expect_none(self, what: str, found: Sequence[Any]) -> None:
        self.counts[what] = len(found)
        if found:
            self.wrong.append(f"{what}: {len(found)}, e.g. {found[0]}")


def settle_accounts(
    world: World,
    calm: Ledger,
    stormy: Ledger,
    sent_before: set[str],
    recovered_at: float,
    restarted_at: float,
) -> Account:
    """`sent_before`: keys recorded as sent when everything had recovered, at `recovered_at`;
    `restarted_at`: when all parts were started anew with nothing left to tell (s since 1970)."""
    account = Account()
    _compare_episodes(account, calm, stormy)
    _compare_notices(
        account,
        _excuses(calm, calm_rounds(world)),
        _excuses(stormy, complete_rounds(world)),
        calm,
        stormy,
    )
    accepted = [n for n in world.notes(*RECEIVERS) if n["what"] == "accepted"]
    _check_held_back(account, world, stormy)
    _check_deliveries(account, stormy, accepted)
    _check_repeats(account, world, accepted)
    _check_claims(account, world)
    _check_starvation(account, world, stormy, accepted, recovered_at)
    check_after_recovery(account, accepted, sent_before, recovered_at)
    account.expect_none(
        "received after a restart with nothing to tell",
        [n for n in accepted if n["t"] > restarted_at],
    )
    account.expect_none(
        "deliveries with a wrong signature",
        [n for n in world.notes(*RECEIVERS) if n["what"] == "forged"],
    )
    return account


def complete_rounds(world: World) -> list[datetime]:
    """Instants up to which one evaluator moved every watermark and ended its round."""
    noted = (n for n in world.notes(*EVALUATORS) if n["what"] == "round" and not n["elsewhere"])
    return sorted(datetime.fromisoformat(n["as_of"]) for n in noted)


def calm_rounds(world: World) -> list[datetime]:
    """The same of the undisturbed run."""
    end = world.end or START
    return [START + k * TICK for k in range(1, int((end - START) / TICK) + 1)]


def _excuses(ledger: Ledger, rounds: list[datetime]) -> Excuses:
    def looked(start: datetime, end: datetime) -> bool:
        return bisect_left(rounds, start) < bisect_left(rounds, end)

    return Excuses(ledger.episodes, ledger.notices.values(), looked)


def compare_readings(account: Account, world: World, stores: MongoStores) -> None:
    """Every reading that the database acknowledged is there, with its values, and no other."""
    until = acknowledged_until(world)
    expected = {(r.asset, r.ts): dict(r.values) for r in rows(world.seed, START - TICK, until)}
    stored = {
        (d["asset"], d["ts"]): d["v"]
        for d in stores.database["readings"].find({"ts": {"$gte": START}})
    }
    account.counts["readings acknowledged"] = len(expected)
    account.expect_none(
        "acknowledged readings that are lost", sorted(expected.keys() - stored.keys())
    )
    account.expect_none(
        "readings of other values",
        [k for k in expected.keys() & stored.keys() if expected[k] != stored[k]],
    )
    account.expect_none(
        "readings that were never acknowledged", sorted(stored.keys() - expected.keys())
    )


def _essence(e: Episode) -> tuple[Any, ...]:
    judged = [
        (t.kind, t.at)
        for t in e.transitions
        if t.kind in ("raised", "happening", "severity", "closed")
    ]
    scores = round(e.evaluation.value, 9) if e.evaluation.value is not None else None
    return (
        e.id,
        e.definition,
        e.asset,
        e.raised_at,
        e.happening_at,
        e.closed_at,
        e.condition,
        e.severity,
        e.severity_peak,
        e.continues,
        scores,
        judged,
    )


def _compare_episodes(account: Account, calm: Ledger, stormy: Ledger) -> None:
    a, b = (
        {_essence(e)[0]: _essence(e) for e in ledger.episodes.values()} for ledger in (calm, stormy)
    )
    account.counts["episodes"] = len(a)
    account.counts["transitions"] = sum(len(essence[-1]) for essence in a.values())
    account.counts["episodes by definition"] = dict(
        Counter(e.definition for e in calm.episodes.values())
    )
    of_model = [e for e in stormy.episodes.values() if e.definition == MODEL]
    account.counts["episodes of the model"] = len(of_model)
    account.expect_none("episodes of the model, at least one: missing", [] if of_model else [MODEL])
    account.expect_none("episodes missing in the storm", [a[id] for id in a.keys() - b.keys()])
    account.expect_none("episodes only in the storm", [b[id] for id in b.keys() - a.keys()])
    account.expect_none(
        "episodes that differ", [(a[id], b[id]) for id in a.keys() & b.keys() if a[id] != b[id]]
    )


def _compare_notices(
    account: Account, of_calm: Excuses, of_storm: Excuses, calm: Ledger, stormy: Ledger
) -> None:
    """Compare the notifications of transitions; those of time (repeats, escalation) depend on when
    rounds run."""
    a, b = (set(_caused(ledger)) for ledger in (calm, stormy))
    missing = {key: of_storm.reason(key) for key in a - b}
    account.counts["notifications expected"] = len(a)
    account.counts["of these told otherwise in the storm"] = dict(
        Counter(why for why in missing.values() if why)
    )
    account.expect_none(
        "notifications expected and not made", [key for key, why in missing.items() if not why]
    )
    account.expect_none(
        "notifications made and not expected", [k for k in b - a if not of_calm.reason(k)]
    )
    account.counts["notifications in the storm"] = len(stormy.notices)
    account.counts["notifications by transition"] = dict(
        Counter(_kind(n) for n in stormy.notices.values())
    )
    account.expect_none("dead letters", sorted(stormy.keys("dead")))
    account.expect_none("not told in the end", sorted(stormy.keys(*WAITING)))
    grouped = grouped_and_not_told(stormy.notices.values(), CHANNELS)
    account.expect_none("marked as told with others and listed in no delivered message", grouped)
    sent = [
        n for n in stormy.notices.values() if n.key.startswith("digest:") and n.status == "sent"
    ]
    digests = [n.content for n in sent if n.content]
    account.counts["digests delivered"] = len(digests)
    account.counts["told in digests"] = sum(len(b.payload["notifications"]) for b in digests)


def _caused(ledger: Ledger) -> list[str]:
    """Keys of what transitions cause. Whom only time brings in (escalation) hears of the end only
    if it came to that."""
    notices = [n for n in ledger.notices.values() if n.episode]
    told_of_it = {(n.episode, n.channel) for n in notices if n.transition == "raised"}
    caused = [
        n for n in notices if n.transition not in BY_TIME and (n.episode, n.channel) in told_of_it
    ]
    return [n.key for n in caused if not is_held_back(ledger.episodes[n.episode or ""], n)]


def _kind(notice: Notification) -> str:
    return notice.key.split(":")[0] if notice.key.startswith("heartbeat") else notice.transition


def _check_held_back(account: Account, world: World, stormy: Ledger) -> None:
    """Floods and shelves of the stormy run."""
    episodes = stormy.episodes
    notices = stormy.notices.values()
    end = world.end
    rounds = [n["t"] for n in world.notes(*SENDERS) if n["what"] == "round"]
    gap = max((b - a for a, b in pairwise(rounds)), default=0.0)
    account.counts["told in summaries of floods"] = sum(
        n.status == "grouped" and n.channel == CROWD for n in stormy.notices.values()
    )
    account.counts["shelves that ended"] = sum(s.ended_at is not None for s in stormy.shelves)
    account.expect_none("held back in a flood and not told", untold_in_floods(notices))
    account.expect_none("told while shelved", told_on_shelves(episodes, notices, stormy.shelves))
    longest = timedelta(seconds=2 * world.speed * gap + 60)
    account.expect_none(
        "open after a shelf and not told",
        untold_after_shelves(episodes, notices, stormy.shelves, longest),
    )
    account.expect_none("shelves that did not end", not_ended(stormy.shelves, end))


def _check_deliveries(
    account: Account, stormy: Ledger, accepted: Sequence[Mapping[str, Any]]
) -> None:
    times = Counter(n["key"] for n in accepted)
    sent = stormy.keys("sent")
    account.counts["recorded as sent"] = len(sent)
    account.expect_none("recorded as sent and not received", sorted(sent - times.keys()))
    account.expect_none("received and in no outbox", sorted(times.keys() - stormy.notices.keys()))
    account.counts["deliveries received"] = len(accepted)
    account.counts["received more than once"] = sum(n > 1 for n in times.values())
    account.counts["repeated deliveries"] = sum(n - 1 for n in times.values())


def _check_claims(account: Account, world: World) -> None:
    """Deliveries that one notifier claimed and did not end, and that another, or a later process,
    ended."""
    attempts = read_attempts(world, SENDERS)
    taken = [
        key
        for key, of_key in attempts.items()
        if any(a.what is None for a in of_key) and any(a.what == "done" for a in of_key)
    ]
    account.counts["claims that were taken over"] = len(taken)


def _check_starvation(
    account: Account,
    world: World,
    stormy: Ledger,
    accepted: Sequence[Mapping[str, Any]],
    until: float,
) -> None:
    """While everything that a step needs is up, it must go on: rounds end, and what is due is
    delivered."""
    storm = [n for n in world.notes("storm") if n["t"] <= until]
    processor = ProcessorWaits(world.notes("processor"))
    parts = ["mongod", "plant", *RECEIVERS, *EVALUATORS, *SENDERS]
    start = min(
        (n["t"] for n in world.notes(*EVALUATORS, *SENDERS) if n["what"] == "round"), default=until
    )
    health = Health.from_storm(storm, parts, start, until)
    for what, workers in (("evaluation", EVALUATORS), ("delivery", SENDERS)):
        rounds = [
            n["t"]
            for n in world.notes(*workers)
            if n["what"] in ("round", "done", "failed") and n["t"] <= until
        ]
        needed = [["mongod"], workers, *([[r] for r in RECEIVERS] if workers is SENDERS else [])]
        names = {name for group in needed for name in group}
        check_standstills(
            account,
            what,
            standstills([start, *rounds, until], health.healthy(needed), processor, names),
        )
    waits = _waits(world, stormy, accepted, health, until, processor)
    tries = Counter(n["key"] for n in world.notes(*SENDERS) if n["what"] == "try")
    limits = {
        key: longest_delivery_s(tries[key], world.speed, ahead) for key, (_, ahead) in waits.items()
    }
    check_deliveries(account, {key: wait for key, (wait, _) in waits.items()}, limits)


def check_standstills(account: Account, what: str, found: Sequence[Standstill]) -> None:
    """The platform answers for a standstill of more than LONGEST_STANDSTILL_S beside the time that
    the machine took from it."""
    longest = max(found, key=lambda s: s.seconds, default=Standstill(0.0, 0.0))
    account.counts[f"longest standstill of {what} while all was up (s)"] = round(longest.seconds, 1)
    account.counts[f"of it waiting for a processor: {what} (s)"] = round(longest.starved, 1)
    own = max((s.own for s in found), default=0.0)
    account.expect_none(
        f"standstill of {what}", [f"{own:.1f} s"] if own > LONGEST_STANDSTILL_S else []
    )
    if longest.seconds > LONGEST_STANDSTILL_S >= own:
        account.starved.append(
            f"{what} stood still for {longest.seconds:.1f} s, and its processes waited for a "
            f"processor in {longest.starved:.1f} s"
        )


def check_deliveries(
    account: Account, waits: Mapping[str, Standstill], limits: Mapping[str, float]
) -> None:
    """The same of each delivery, with its own limit."""
    longest = max((wait.seconds for wait in waits.values()), default=0.0)
    account.counts["longest wait for a delivery while all was up (s)"] = round(longest, 1)
    slow = {key: wait for key, wait in waits.items() if wait.seconds > limits[key]}
    account.expect_none(
        "deliveries that stood still",
        [(k, round(w.own, 1)) for k, w in slow.items() if w.own > limits[k]],
    )
    if starved := [wait for key, wait in slow.items() if wait.own <= limits[key]]:
        account.starved.append(
            f"{len(starved)} deliveries took longer than they may while processes waited for a "
            "processor"
        )


def _waits(
    world: World,
    stormy: Ledger,
    accepted: Sequence[Mapping[str, Any]],
    health: Health,
    until: float,
    processor: ProcessorWaits,
) -> dict[str, tuple[Standstill, int]]:
    """Of every notification that nothing held back: seconds from made to received in which all that
    it needs was up, and how many deliveries ended meanwhile."""
    wall = wall_clock(world)
    received = dict[str, float]()
    for n in sorted(accepted, key=lambda n: n["t"]):
        received.setdefault(n["key"], n["t"])
    done = [n["t"] for n in world.notes(*SENDERS) if n["what"] == "done"]
    up = {r: health.healthy([["mongod"], ["plant"], SENDERS, [r]]) for r in RECEIVERS}
    found = {}
    for n in stormy.notices.values():
        if n.postponed_by is None and n.status == "sent" and n.key in received:
            made = wall(n.created_at)
            came = min(received[n.key], until)
            receiver = "hook" if n.channel == "mes" else "mail"
            waited = time_within(up[receiver], made, came)
            starved = min(
                waited,
                processor.seconds_waited(("mongod", "plant", *SENDERS, receiver), made, came),
            )
            found[n.key] = (
                Standstill(waited, starved),
                max(0, bisect_left(done, came) - bisect_left(done, made)),
            )
    return found


def _check_repeats(account: Account, world: World, accepted: Sequence[Mapping[str, Any]]) -> None:
    """Each repeated delivery needs a cause: an earlier attempt whose end the platform could not
    know, or not write down."""
    attempts = read_attempts(world, SENDERS)
    seen: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    unexplained = []
    for n in sorted(accepted, key=lambda n: n["t"]):
        seen[n["key"]] += 1
        if seen[n["key"]] > 1:
            cause = cause_of_another([a for a in attempts[n["key"]] if a.begun < n["t"]])
            causes[cause or "none"] += 1
            unexplained += [] if cause else [n["key"]]
    account.counts["repeated deliveries by cause"] = dict(causes)
    account.expect_none("repeated deliveries without a cause", unexplained)


def check_after_recovery(
    account: Account,
    accepted: Sequence[Mapping[str, Any]],
    sent_before: set[str],
    recovered_at: float,
) -> None:
    """Expect that nothing is told again, or twice, once everything had recovered. `sent_before`:
    keys that were recorded as sent by then."""
    after = [n["key"] for n in accepted if n["t"] > recovered_at]
    before = {n["key"] for n in accepted if n["t"] <= recovered_at}
    account.counts["deliveries received after recovery"] = len(after)
    account.counts["of these received before, and in doubt at recovery"] = len(
        (set(after) & before) - sent_before
    )
    account.expect_none("told again after recovery", sorted(set(after) & sent_before))
    account.expect_none(
        "received twice after recovery", [key for key, n in Counter(after).items() if n > 1]
    )
