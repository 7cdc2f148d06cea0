"""A line with late readings."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.stores import states_of
from tests.in_memory_platform import HandClock, Mailbox, memory_platform, platform_on

LEVELS = {
    "above": None,
    "levels": {"medium": {"above": 215, "clear_above_at": 210}, "critical": {"above": 230}},
}
OWN_TIMES = {
    "low": {"above": 215, "below": 205, "for": "4m"},
    "critical": {"above": 215, "below": 202, "for": "9m"},
}


class Line:
    """One oven, one definition, one mailbox; readings arrive when they are fed."""

    def __init__(self, variables=None, stores=None, latency=timedelta(0), **changes):
        self.mail = Mailbox("mail")
        self.platform = platform_on(stores or memory_platform(), [self.mail], HandClock(), latency)
        self.platform.assets.store_assets([oven(**(variables or {}))])
        apply(
            self.platform, [too_hot(**{"stale_after": "30m", **changes})], "engineer", at(0), "test"
        )

    def feed(self, values, minute=0):
        rows = [
            ReadingRow("oven-1", at(m), {}, {"temperature": "bad"})
            if v == "bad"
            else ReadingRow("oven-1", at(m), {"temperature": float(v)})
            for m, v in values.items()
        ]
        add_readings(self.platform, rows, at(minute))

    def run(self, minute):
        self.platform.clock.instant = at(minute)
        counts = evaluate(self.platform, None, at(minute))
        deliver_due(self.platform, at(minute))
        return counts

    def live(self, *story):
        """Let readings by minute arrive or acts happen, each before a round. Return the minute of
        each message with how its subject begins."""
        heard = []
        for minute, *things in story:
            before = len(self.mail.messages)
            for thing in things:
                if callable(thing):
                    thing(self.platform, minute)
                else:
                    self.feed(thing, minute)
            self.run(minute)
            heard += [(minute, m.subject.split(":")[0]) for m in self.mail.messages[before:]]
        return heard

    def episodes(self):
        return sorted(self.platform.episodes.find(), key=lambda e: e.raised_at)

    def condition_intervals(self):
        return sorted(
            (
                e.condition_started_at or e.raised_at,
                e.closed_at,
                e.condition,
                e.severity,
                e.severity_peak,
                e.current.cause if e.condition == "open" else "",
            )
            for e in self.episodes()
            if not e.withdrawn
        )

    def state(self):
        state = states_of(self.platform, "too-hot", ["oven-1"])["oven-1"]
        return replace(state, unknown_count=0)


FIELDS = st.sampled_from(
    [
        {},
        {"for": "5m", "clear_for": "3m"},
        {"clear_above_at": 205, "for": "2m"},
        LEVELS,
        {"stale_after": "4m", "no_data": "alert"},
        {"at_least": {"readings": 2, "of": 4}},
        {"rate_per": "4m", "above": 10},
        {"frozen_after": "7m", "no_data": "alert"},
        {"above": 225, "below": 210, "for": "2m", "clear_for": "3m"},
        {"above": None, "levels": OWN_TIMES, "stale_after": "9m", "no_data": "alert"},
        {"above": None, "levels": OWN_TIMES, "stale_after": "4m", "no_data": "clear"},
        {"count_within": "20m", "above": 2, "stale_after": "9m"},
    ]
)


def told(line):
    return [m.key.split(":")[1] for m in line.mail.messages]
