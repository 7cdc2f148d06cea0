"""The automatic operator: follows the first recommendation of an alert, and takes it back when the
cause has passed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alerting.definitions.assets import Asset
from alerting.demo.chance import Stream, generator
from alerting.demo.disturbances import Disturbance, LineSchedule
from alerting.demo.line import DemoLineState, SetPointChange
from alerting.episodes.episode import RecommendationResult
from benchmarks.trial.set_points import nearest_permitted

ACTOR = "automatic operator"
LOOK_EVERY = 10
"""Minutes between two looks for the cause, once the prediction window is over."""


@dataclass(frozen=True)
class Operator:
    """`follow`: share of the alerts that are followed. `delay`: minutes from an alert to the change
    of the set-points."""

    seed: int
    follow: float = 1.0
    delay: int = 3

    def follows(self, alert: int) -> bool:
        """Return whether the alert of this minute is followed: the same answer whenever it is
        asked."""
        return float(generator(self.seed, Stream.OPERATOR, alert).random()) < self.follow


def changes_of(
    asset: Asset, state: DemoLineState, advice: RecommendationResult | None, hold: int
) -> tuple[SetPointChange, ...]:
    """Return the set-point changes of a recommendation from the line's minute on, for `hold`
    minutes; none without advice.

    The operator enters what the panel permits: a set-point that has moved since the alert is
    changed by the greatest change.
    """
    changes = []
    for change in advice.changes if advice is not None else ():
        if isinstance(change.after, str):
            continue  # the line has no categories to set
        before = state.setpoint(change.variable, state.minute)
        value = nearest_permitted(asset, change.variable, change.after, before)
        if value != before:
            changes.append(
                SetPointChange(state.minute, change.variable, value, before, ACTOR, hold)
            )
    return tuple(changes)


def release_at(schedule: LineSchedule, alert: int, window: int) -> int:
    """Return when the operator takes a change back: the first look, after the prediction window,
    that finds no cause.

    Causes are seen at the line (a mixer that doses too much, a burner's flame), so the programme of
    the line answers.
    """
    minute = alert + window
    while any(d.cause != "stuck-valve" for d in schedule.acting(minute)):
        minute += LOOK_EVERY
    return minute


def with_changes(
    state: DemoLineState, changes: Sequence[SetPointChange], release: int
) -> DemoLineState:
    """Return the line with further changes; earlier changes of the operator that are in force stay
    until the same release."""
    extended = tuple(
        replace(c, hold=release - c.minute)
        if c.actor == ACTOR and state.minute < c.until < release
        else c
        for c in state.changes
    )
    return replace(state, changes=(*extended, *changes))


def found_cause(disturbances: Sequence[Disturbance], minute: int) -> bool:
    """Return whether an operator who looks at a minute finds a cause."""
    return any(d.start <= minute < d.end for d in disturbances)
