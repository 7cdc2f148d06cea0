"""Records of a trial, week by week, and its findings at the end. Times are minutes of the line."""

from dataclasses import dataclass, field

from alerting.demo.line import DemoLineState, SetPointChange
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState


@dataclass(frozen=True)
class TrialArguments:
    """`follow`: share of alerts that are followed. `delay`: minutes from an alert to the change.
    `retrain`: weeks, 0 for never.

    `history`: days of the line left alone before the first week, on which the first model is
    trained.
    """

    weeks: int
    seed: int
    follow: float = 1.0
    delay: int = 3
    retrain: int = 4
    history: int = 30


@dataclass(frozen=True)
class Raised:
    """An alert: its minute, and the variables by the size of their contributions, the largest
    first."""

    at: int
    ranked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intervention:
    """A recommendation that the operator followed: set-points changed at `acted`, taken back at
    `released`.

    `helps`: the recommendation claimed to bring the risk under the threshold.
    """

    alert: int
    acted: int
    released: int
    changes: tuple[SetPointChange, ...]
    helps: bool


@dataclass(frozen=True)
class Week:
    """One week. `left`, `naive`: alerts on the line left alone by the models trained with feedback,
    and without it.

    `acted`: alerts on the line acted upon; of these `ignored` were not followed, `without_advice`
    had nothing to follow.
    """

    number: int
    left: tuple[Raised, ...] = ()
    naive: tuple[Raised, ...] = ()
    acted: tuple[Raised, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    ignored: int = 0
    without_advice: int = 0
    trained: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pending:
    """An alert that the operator has seen and will follow at the minute `act`."""

    act: int
    alert: int
    episode: Episode


@dataclass(frozen=True)
class Conditions:
    """States of the three evaluations: the line left alone by both models, and the line acted
    upon."""

    left: ConditionState
    naive: ConditionState
    acted: ConditionState


@dataclass(frozen=True)
class Checkpoint:
    """A trial at the end of a week. `snapshots`: the line left alone every few hours; `episodes`:
    of this week, with feedback.

    `models`: number of models made so far; `serving`, `serving_naively`: the versions in force.
    """

    week: Week
    left: DemoLineState
    acted: DemoLineState
    conditions: Conditions
    pending: tuple[Pending, ...]
    snapshots: tuple[DemoLineState, ...]
    episodes: tuple[Episode, ...]
    models: int
    serving: int
    serving_naively: int


@dataclass(frozen=True)
class Occurrence:
    """One problem: the first and the last minute with a value beyond its limit."""

    start: int
    end: int


@dataclass(frozen=True)
class Problem:
    """A problem of the line left alone, and what became of it on the line acted upon.

    `cause`: the disturbance behind it, None for none. `avoidable`: some permitted action in time
    would have prevented it, by physics. `happened`: the line acted upon had it, too. `alerted`: an
    alert was raised there in time; `intervened`: a change was in force there before its end;
    `too_late`: at its first minute no permitted action could prevent the problem any more.
    `warned`, `warned_naively`: alerts in time on the line left alone, by both models.
    """

    start: int
    end: int
    cause: str | None
    avoidable: bool
    happened: bool
    alerted: bool
    intervened: bool
    too_late: bool
    warned: bool
    warned_naively: bool

    @property
    def avoided(self) -> bool:
        """Return whether an intervention prevented it."""
        return self.intervened and not self.happened


@dataclass(frozen=True)
class DayTotals:
    """One line on one day: metres of belt, those with biscuits within the limit, minutes of
    problems, and counts."""

    metres: float
    good_metres: float
    problem_minutes: int
    problems: int
    interventions: int = 0
    needless: int = 0
    false_alarms: int = 0


@dataclass(frozen=True)
class TrueAlert:
    """A true alert on the line left alone: its cause, and the rank of the first variable that shows
    it (None: not ranked)."""

    at: int
    cause: str
    rank: int | None


@dataclass(frozen=True)
class Findings:
    """All that a trial found. `caused`: problems of the line acted upon that the line left alone
    does not have.

    `retrained_after`: the first minute after a training on data of the line acted upon; None
    without one.
    """

    arguments: TrialArguments
    problems: tuple[Problem, ...]
    caused: tuple[Occurrence, ...]
    true_alerts: tuple[TrueAlert, ...]
    without_cause: int
    left_alone: tuple[DayTotals, ...]
    acted_upon: tuple[DayTotals, ...]
    interventions: tuple[Intervention, ...]
    needed: tuple[bool, ...]
    alerts: int
    ignored: int
    without_advice: int
    retrained_after: int | None
    trained: tuple[str, ...] = field(default=())
