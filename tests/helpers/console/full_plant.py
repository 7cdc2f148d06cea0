"""A plant of one line with documents of every kind, and people of each role."""

import hashlib
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from alerting.console.gate import COOKIE
from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.sources import parse_source
from alerting.episodes.episode import Feedback, Transition
from alerting.episodes.lifecycle import ReportedMiss
from alerting.notifications.notification import Content
from alerting.operators.account_rules import AccessToken, Account, Session, hash_secret
from alerting.operators.actions_and_mutes import ROLES, EndingEvent
from alerting.operators.alarm_views import Shift
from alerting.ports import (
    Arrival,
    DeadMessage,
    DecisionRecord,
    EventRow,
    LatePart,
    PastEvaluation,
    ReadingRow,
    Score,
    TargetScores,
    Training,
)
from alerting.readings.interval_labels import IntervalLabel
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.operators.handover import ChosenShift, write_note
from alerting.usecases.operators.operate import Actor
from alerting.usecases.sink_delivery import SINKS
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.store_rows import deliver
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.mutes import mute
from tests.helpers.notifications import notice
from tests.helpers.reports import store_report
from tests.in_memory_platform import Mailbox, in_memory_platform

FIRST = "line-1"
PLANT = "plant"
NOW = 10 * 1440


class Names(NamedTuple):
    """The ids of what is of one line, by kind of thing."""

    episodes: tuple[str, ...]
    mutes: tuple[str, ...]
    reports: tuple[str, ...]
    definitions: tuple[str, ...]
    assets: tuple[str, ...]


@cache
def names_of(line):
    """Return the names of a line, whether or not it stands in a plant."""
    oven = f"{line}-oven"
    kinds = ("hot", "moist", "pressure", "drift", "unlike", "faulty")
    return Names(
        tuple(made.id for made in _episodes(line, oven)),
        tuple(one.id for one in _mutes(line, oven)),
        (f"{line}-hot:2026-W02", f"{line}-hot:by-hand", "2026-W02"),
        tuple(f"{line}-{kind}" for kind in kinds),
        (line, oven, f"{line}-fan", f"{line}-bake"),
    )


def plant(line):
    """Return a platform in memory with this line."""
    made = in_memory_platform(Mailbox("mail"), Mailbox(f"{line}-mail"))
    _add_plant(made)
    _add_line(made, line)
    made.clock.instant = at(NOW)
    evaluate(made, [f"{line}-hot"], at(NOW))
    _add_people(made)
    return made


def _add_plant(made):
    made.assets.store_assets([Asset(name=PLANT, title="The plant", position="hall")])
    made.assets.put_event_types([EventType(name="stop", duration="lasting")])
    ROUTES.apply(made, [{"name": "all", "channels": ["mail"], "platform": True}], "ann", at(0))
    store_report(made, page="<!DOCTYPE html><p>page</p>", definition=None)
    made.platform_alerts.report("disk full", "data", "little space", at(1))
    made.platform_alerts.report("evaluation late", "", "waits", at(2))
    made.audit.add("ann", "settings changed", PLANT, at(1), after={"zone": "UTC"})


def _add_line(made, line):
    oven, fan, bake = (f"{line}-{part}" for part in ("oven", "fan", "bake"))
    numbers = {
        name: Variable(unit="°C", title=f"{name} of {line}")
        for name in ("temperature", "moisture", "pressure")
    }
    made.assets.store_assets(
        [
            Asset(name=line, title=f"Line {line}", parent=PLANT, attributes={"model": line}),
            Asset(name=oven, parent=line, position=f"{line}-crew", variables=numbers),
            Asset(name=fan, parent=line, variables=numbers),
            Asset(name=bake, parent=oven, variables=numbers),
        ]
    )
    rows = [
        ReadingRow(asset, at(minute), {"temperature": 200 + hot, "moisture": 1.0 + hot})
        for asset in (oven, fan)
        for minute in range(0, NOW, 300)
        for hot in (20 if minute % 900 == 0 else minute % 7,)
    ]
    add_readings(made, rows, at(0))
    add_events(made, [EventRow(oven, "stop", at(50), at(70), f"{line}-events")], at(70))
    model = {"assets": [oven], "severity": "high", "title": f"T {line}"}
    moist = {"problem": {"variable": "moisture", "above": 4.5}, "horizon": "30m"}
    pressure = {"problem": {"variable": "pressure", "above": 4.5}, "horizon": "3h"}
    documents = [
        too_hot(
            name=f"{line}-hot",
            assets=[oven, fan],
            title=f"Hot on {line}",
            owner=f"{line}-owner",
            tags=[f"{line}-tag"],
            guidance={"cause": f"cause {line}", "action": f"action {line}"},
            suppression={"when": {"event": "stop"}},
        ),
        {"name": f"{line}-moist", "kind": "classifier", **model, **moist},
        {"name": f"{line}-pressure", "kind": "forecast", **model, **pressure},
        {"name": f"{line}-drift", "kind": "control_chart", **model, "variable": "temperature"},
        {"name": f"{line}-unlike", "kind": "anomaly", **model},
    ]
    apply(made, documents, f"{line}-engineer", at(0), f"because of {line}")
    faulty = {**too_hot(assets=[oven]), "name": f"{line}-faulty", "above": line}
    made.definitions.store_document(faulty)
    made.definitions.mark_faulty(f"{line}-faulty", [f"above: {line} is no number"])
    for kind, subject in (
        ("definition faulty", f"{line}-moist"),
        ("training failed", f"{line}-moist"),
        ("source silent", f"{line}-source"),
        ("model miscalibrated", f"{line}-moist"),
        ("inputs drifted", oven),
    ):
        made.platform_alerts.report(kind, subject, f"because of {line}", at(5))
    made.platform_alerts.resolve("model miscalibrated", f"{line}-moist", at(NOW - 60))
    _add_messages(made, line)
    _add_operations(made, line, oven)
    _add_models(made, line, oven)
    _add_sources(made, line, oven)
    acknowledged = ("episode acknowledged", names_of(line).episodes[0])
    made.audit.add(f"{line}-engineer", *acknowledged, at(1), {"x": line}, why=line)


def _episodes(line, oven):
    changes = {
        "definition": f"{line}-hot",
        "title": f"Hot on {line}",
        "guidance": {"action": f"do this on {line}"},
        "transitions": (Transition("raised", at(0), "platform", f"too hot on {line}"),),
        "assigned_to": f"{line}-person",
    }
    return [
        episode(9000 + 10 * n, oven, "open" if n == 40 else "closed", **changes) for n in range(41)
    ]


def _mutes(line, oven):
    wide = {"part": oven, "definition": f"{line}-drift", "notified": (f"{line}-mail",)}
    event = EndingEvent("stop", f"{line}-fan")
    target = {"asset": oven, "reason": line, "by": line}
    return [
        mute(NOW - 90, NOW + 240, definition=f"{line}-hot", **target),
        mute(NOW - 90, None, "out_of_service", definition=f"{line}-drift", **target),
        mute(
            NOW - 60, NOW + 60, "maintenance", line, event=event, reason=f"belt of {line}", **wide
        ),
        mute(NOW + 60, NOW + 120, "plain", line, NOW - 60, reason=f"test of {line}", **wide),
        mute(NOW - 60, NOW - 30, "plain", line, reason=f"over on {line}", **wide),
    ]


def _add_operations(made, line, oven):
    for one in _episodes(line, oven):
        assert made.episodes.insert(one)
    first = names_of(line).episodes[0]
    made.feedback.append(Feedback(first, "true_alarm", True, line, line, line, at(NOW - 5)))
    for one in _mutes(line, oven):
        assert made.mutes.insert(one)
    for kind in ("bad", "not_to_learn_from"):
        id = hashlib.sha256(f"{line} {kind}".encode()).hexdigest()[:16]
        why = (f"label on {line}", line, at(9020))
        assert made.labels.insert(IntervalLabel(id, oven, (), at(9000), at(9010), kind, *why))
    miss = ReportedMiss(f"{line}-moist", oven, at(800), f"missed on {line}", line, at(900))
    made.misses.append(miss)
    shift = Shift("", at(NOW - 960), at(NOW - 480))
    chosen = ChosenShift(line, "", None, shift, None, None, (), False, ())
    write_note(made, chosen, f"note on {line}", Actor(line, "operator"), at(NOW - 600))
    span = (at(0), at(1440), 1, None, at(2000))
    made.past_evaluations.add(PastEvaluation(f"{line}-hot", oven, *span))
    made.scores.add_many(
        [TargetScores(f"{line}-moist", oven, [Score(at(60 * n), 0.5, 0.7, 1) for n in range(9)])]
    )
    part = LatePart(oven, at(0), at(10), 3, ("temperature",))
    made.arrivals.store_arrival(Arrival(f"{line}-a", at(NOW - 20), True, (part,), None, 2))
    for by in ("2026-W02", None):
        store_report(
            made,
            page=f"<!DOCTYPE html><body><p>report on {line}</p></body>",
            metrics={"name": line},
            tables={f"{line}-table": {"columns": ["a"], "rows": [[line]]}},
            definition=f"{line}-hot",
            period=by,
            sentences=(f"Trust {line}.",),
        )


def _add_messages(made, line):
    route = {
        "name": f"{line}-route",
        "match": {"assets": [f"{line}-*", line]},
        "channels": [f"{line}-mail"],
        "repeat": "30m",
        "shifts": [{"from": "18:00", "to": "18:00"}],
    }
    ROUTES.apply(made, [route], f"{line}-engineer", at(2))
    first, second, *_ = names_of(line).episodes
    of = {"asset": f"{line}-oven", "route": "all"}
    made.notifications.add(
        [
            notice(f"{first}:raised:mail", 9000, episode=first, **of),
            notice(f"{second}:raised:mail", 9010, episode=second, status="dead", error=line, **of),
            notice(
                f"digest:{line}", 9030, content=Content(f"digest {line}", f"on {line}"), route="all"
            ),
            notice(f"sent:{line}", 9040, episode=first, status="sent", delivered_at=at(9041), **of),
        ]
    )


def _add_models(made, line, oven):
    name = f"{line}-moist"
    made.models.register(name, f"run-{line}", {"model.txt": b"x"}, {"family": line})
    made.models.set_alias(name, "champion", 1)
    decision = DecisionRecord(
        name, at(700), 1, 1, None, True, False, "better", f"for {line}", {}, f"run-{line}", line
    )
    made.decisions.add(decision, 1)
    made.trainings.begin(Training(name, f"q-{line}", f"run-{line}", 1, at(600), at(610), line))
    add_waiting(made, name, reason=f"Better on {line}.", champion_version=1)


def _add_sources(made, line, oven):
    document = {"name": f"{line}-source", "kind": "http", "title": line, "asset": oven}
    SOURCES.apply(made, [document], f"{line}-engineer", at(1))
    sink = {"name": f"{line}-sink", "kind": "mqtt", "url": {"env": "BROKER_URL"}, "title": line}
    SINKS.apply(made, [sink], f"{line}-engineer", at(1))
    rows = [
        {"ts": at(2).isoformat(), "asset": oven, "values": {"temperature": 201.5}},
        {"asset": f"{oven} refused"},
    ]
    deliver(made, parse_source(document), rows, at(3), by=f"{line}-source")
    dead = DeadMessage(f"dead-{line}", f"{line}-source", f"topic/{line}", b"x", line, at(5))
    made.dead_messages.add_dead([dead])


# People


class Sender(NamedTuple):
    """A person or program. `headers`: with which it sends."""

    name: str
    role: str
    headers: dict[str, str]


TOKENS_FILE = {f"{role}-of-the-plant-0123456789": (f"{role}-plant", role) for role in ROLES}


def sender(role):
    """Return a person of this role, who sends with a token."""
    return Sender(f"{role}-plant", role, bearer(f"{role}-of-the-plant-0123456789"))


def in_a_browser(who):
    """Return a person as one who is signed in."""
    return who._replace(headers={"cookie": f"{COOKIE}={cookie_of(who.name)}"})


def cookie_of(name):
    return f"cookie-of-{name}-0123456789"


def add_sessions(made):
    """Sign all people in, also those who have signed out."""
    for account in made.accounts.all():
        cookie = hash_secret(cookie_of(account.id))
        made.sessions.add(Session(cookie, account.id, at(0), at(NOW + 9000)))


def bearer(token):
    return {"authorization": f"Bearer {token}"}


OVER = Sender("", "viewer", bearer("token-that-is-over"))
DISABLED = Sender("gone", "engineer", bearer("token-of-a-disabled-person"))


def _add_people(made):
    for name, role in TOKENS_FILE.values():
        _add_person(made, name, role)
    _add_token(made, "viewer-plant", "viewer", "token-that-is-over", ends=at(1))
    _add_person(made, "gone", "engineer", disabled_at=at(1))
    _add_token(made, "gone", "engineer", "token-of-a-disabled-person")
    add_sessions(made)


def _add_person(made, name, role, **changes):
    made.accounts.insert(Account(name, role, at(-9), "ada", at(-9), **changes))


def _add_token(made, owner, role, secret, ends=None):
    expires = ends or at(NOW) + timedelta(days=30)
    made.access_tokens.insert(
        AccessToken(hash_secret(secret), "token", owner, role, at(0), "ada", expires)
    )
