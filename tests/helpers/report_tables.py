"""Messages of a sink as of a week on a line, for tables and views that reports read."""

import math
from datetime import timedelta

from alerting.definitions.routes_and_sinks import parse_sink
from alerting.episodes.episode import ActorStamp, episode_id
from alerting.ports import Predicted, Score, StoredReading, TargetScore
from alerting.usecases.sink_delivery import alarm_messages, reading_message, value_messages
from tests.helpers.episodes import episode

EVERYTHING = ["alarms", "acknowledgements", "scores", "forecasts", "readings"]
LIMITS = {("oven-1", "temperature"): (200.0, 240.0)}
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def sql_sink(**fields):
    document = {"name": "reports", "kind": "sql", "url": {"env": "RECEIVER_URL"}}
    return parse_sink({**document, "sends": EVERYTHING, **fields})


def alarm(raised_at, definition="too-hot", asset="oven-1", **changes):
    """Return an open alarm that was raised at an instant."""
    id = episode_id(definition, asset, raised_at)
    changes = {"id": id, "raised_at": raised_at, "detected_at": raised_at, **changes}
    made = episode(definition=definition, asset=asset, **changes)
    return made.with_transition("raised", raised_at, "above 240")


def acknowledge(one, after, by="ben"):
    at = one.raised_at + after
    return one.with_transition("acknowledged", at, "seen", by, acknowledged=ActorStamp(by, at))


def close(one, after):
    at = one.raised_at + after
    return one.with_transition("closed", at, "cool", condition="closed", closed_at=at)


def week_of_alarms(now):
    """Return two or more alarms of each day: most over, two open, one a false alarm."""
    for day in range(1, 7):
        for number, severity in enumerate(("low", "medium", "high")[: 1 + day % 3]):
            raised = alarm(
                now - timedelta(days=day, hours=2 * number),
                definition="unlike-normal" if number == 1 else "too-hot",
                asset=f"oven-{1 + day % 2}",
                severity=severity,
            )
            yield close(acknowledge(raised, (day + number) * MINUTE), 20 * MINUTE)
    quick = close(acknowledge(alarm(now - 3 * HOUR), 4 * MINUTE), 3 * MINUTE)
    yield quick.with_transition("feedback", now - 2 * HOUR, "false alarm and acted", "ben")
    yield acknowledge(alarm(now - HOUR, definition="too-moist", title="Too moist"), 2 * MINUTE)
    yield alarm(now - HOUR / 2, asset="oven-2", severity="critical")


def hours_of_readings(now):
    """Return readings of six hours, one a minute, of which some are above the limit."""
    for minute in range(360):
        at = now - (360 - minute) * MINUTE
        heat = 225 + 8 * math.sin(minute / 40) + (30 if 175 < minute < 185 else 0)
        values = {"temperature": heat, "moisture": 3.8 + math.cos(minute / 60), "runs": True}
        yield StoredReading("oven-1", at, {**values, "recipe": "rye"}, at)


def hours_of_scores(now):
    """Return scores and forecasts of six hours, one every ten minutes."""
    for step in range(36):
        at = now - (36 - step) * 10 * MINUTE
        score = Score(at, 0.3 + 0.25 * math.sin(step / 5), 0.5, 3)
        yield TargetScore("too-moist", "oven-1", score)
        ahead = [
            Predicted(lead * MINUTE, 330.0 + step, 340.0 + step + lead / 4, 350.0 + step + lead)
            for lead in (10, 20, 30)
        ]
        yield TargetScore("filter-clogs", "oven-1", score._replace(values=tuple(ahead)))


def week_of_messages(sink, now):
    """Return everything that a sink sends of this week."""
    messages = [m for one in week_of_alarms(now) for m in alarm_messages(sink, one, 0)]
    messages += [reading_message(sink, one, LIMITS) for one in hours_of_readings(now)]
    return messages + [m for one in hours_of_scores(now) for m in value_messages(sink, one)]
