"""The comparison of a model that has learned normal operation with the one in service: by its false
alarms on unseen time, of which a rate allows some, and by the problems that it finds there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from alerting.definitions.faults import format_duration
from alerting.definitions.wording.language import (
    Styled,
    Value,
    count_in_english,
    spoken_number,
    spoken_share,
)
from alerting.detection.evaluation_results_and_texts import StatusInterval
from alerting.episodes.lifecycle import ConditionState, advance
from alerting.kinds.normal_definition import NormalDefinition
from alerting.kinds.normal_operation import (
    LEAST_ALLOWED,
    NormalModel,
    compared_rows,
    last_break,
    propose_end,
)
from alerting.kinds.training_protocol import Comparison, LearningData, NormalTime
from alerting.learning.experiment.chance import is_above_rate
from alerting.learning.score_metrics import OpenAlarm, lead_of_first
from alerting.learning.selection.decision import decide
from alerting.learning.selection.decision_rules import Objection
from alerting.readings.history import History, LongHistory, to_millis

EvidenceT = TypeVar("EvidenceT", bound="UnseenEvidence")
ModelT = TypeVar("ModelT", bound=NormalModel[Any])

_MANY_WEEKS = 10  # whose days are told as whole ones
MOST_IN_ALARM = 0.2  # share of unseen normal time; one alarm that lasts counts once, however long


@dataclass(frozen=True)
class UnseenEvidence:
    """What a model raises and finds on unseen time.

    `false_alarms`: those in the normal part of that time, whose size is `unseen` (weeks or points);
    `allowed`: how many may come there on average; `lasting`: size of what is in alarm there.
    `problems`: in the unseen time; `leads_s`: of each problem that alarms found the seconds from
    the alarm to its beginning: above 0 if it was announced, otherwise it was found while it lasted.
    A kind has the `titles` of its table, and the name of the `size` of unseen time.
    """

    titles: ClassVar[tuple[str, ...]]
    size: ClassVar[str]
    false_alarms: int = 0
    unseen: float = 0.0
    allowed: float = 0.0
    lasting: float = 0.0
    problems: int = 0
    leads_s: tuple[float, ...] = ()

    def __add__(self, added: Self) -> Self:
        sums = (getattr(self, f.name) + getattr(added, f.name) for f in fields(self))
        return type(self)(*sums)

    @property
    def in_alarm(self) -> float:
        """Return the share of normal time in alarm."""
        return self.lasting / self.unseen if self.unseen else 0.0

    @property
    def is_enough(self) -> bool:
        """Return whether even a useless model would mostly raise a false alarm in so much time."""
        return self.allowed >= LEAST_ALLOWED

    @property
    def is_too_many(self) -> bool:
        """Return whether so many false alarms are unlikely (5 %) at the allowed rate, or last too
        long."""
        return self.in_alarm > MOST_IN_ALARM or is_above_rate(self.false_alarms, self.allowed)

    @property
    def problems_found(self) -> int:
        """Return how many problems were found."""
        return len(self.leads_s)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return a text for people for each of `titles`."""
        allowed = spoken_number(self.allowed, ".2g")
        return f"{self.false_alarms:,}", allowed, spoken_share(self.in_alarm)

    @property
    def metrics(self) -> dict[str, float]:
        """Return its figures for the page of the run."""
        return {
            f"unseen {self.size}": float(self.unseen),
            "false alarms": float(self.false_alarms),
            "false alarms allowed": self.allowed,
        }

    def to_document(self) -> dict[str, Any]:
        """Return how many problems there were, and how they were found; JSON-able."""
        delays = [abs(lead) for lead in self.leads_s if lead <= 0]
        leads = [lead for lead in self.leads_s if lead > 0]
        return {
            "problems": self.problems,
            "found": self.problems_found,
            "found_while_lasting": len(delays),
            "usual_delay_s": median(delays) if delays else None,
            "usual_lead_s": median(leads) if leads else None,
        }

    def describe_problems(self) -> str:
        """Describe how many problems were found while they lasted and after which time, and how
        many were announced and how long ahead."""
        if not self.problems:
            return "no problem to find"
        total = count_in_english("{number} problem", "{number} problems", self.problems)
        whole = f"{self.problems_found:,} of {total}"
        delays = [abs(lead) for lead in self.leads_s if lead <= 0]
        leads = [lead for lead in self.leads_s if lead > 0]
        after = ahead = ""
        if delays:
            lasted = "while it lasted" if len(delays) == 1 else "while they lasted"
            after = f" {lasted}, typically after {_spoken(median(delays))}"
        if leads:
            ahead = f" announced, typically {_spoken(median(leads))} ahead"
        if after and ahead:
            return f"{whole} found: {len(delays)}{after}, {len(leads)}{ahead}"
        return f"{whole}{ahead}" if ahead else f"{whole} found{after}"


def spoken_days(weeks: float) -> str:
    """Return weeks as days: `5.6 days`, `1 day`, `290 days`."""
    days = f"{7 * weeks:.2g}" if weeks < _MANY_WEEKS else f"{7 * weeks:,.0f}"
    return f"{days} day{'' if days == '1' else 's'}"


def _spoken(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))


def align_horizon(champion: ModelT | None, challenger: ModelT) -> ModelT | None:
    """Return the champion with the spacing of the challenger, so that both are compared by the same
    horizon, and are the same if their fitted parts are."""
    return None if champion is None else replace(champion, spacing_ms=challenger.spacing_ms)


def count_unseen(
    definition: NormalDefinition,
    model: NormalModel[Any],
    histories: Iterable[History | LongHistory],
    count_on: Callable[[Any, Any, Any], EvidenceT],
    nothing: EvidenceT,
) -> EvidenceT:
    """Return the evidence on a model, summed over its assets, beginning with `nothing`. `count_on`:
    gives that on one asset: by the definition, with the horizon that was measured for the asset,
    the fitted part, and the history."""
    total = nothing
    for history in histories:
        fitted = model.by_asset.get(history.asset.name)
        if fitted is not None:
            stated = model.with_measured_horizon(definition, [history.asset])
            total += count_on(stated, fitted, history)
    return total


class CountedAlarms(NamedTuple):
    """The false alarms on unseen time; and the problems there, as in `UnseenEvidence`."""

    false: Sequence[OpenAlarm]
    problems: int
    leads_s: tuple[float, ...]


def count_alarms(
    definition: NormalDefinition,
    hold: timedelta,
    clear_for: timedelta,
    intervals: Sequence[StatusInterval],
    problems: Sequence[tuple[int, int]],
    start: datetime,
    period: NormalTime,
) -> CountedAlarms:
    """Count the alarms that live evaluation raises after `start` for these status intervals.

    `problems`: start and end (ms). An alarm is false if it is neither raised within a problem nor
    announces one, as outcomes of episodes are determined. False alarms are counted up to the end of
    normal operation, found problems up to the end of the period. `clear_for`: the off-delay by
    default.
    """
    off_delay = definition.off_delay(clear_for)
    after, steps = advance(
        ConditionState(start), intervals, hold, off_delay, definition.severities()
    )
    closed = {step.raised_at: step.at for step in steps if step.kind == "closed"}
    last = max((interval.end for interval in intervals), default=after.watermark)
    raised = [
        OpenAlarm(*map(to_millis, (at, closed.get(at, last), at + definition.window.until)))
        for at in (step.at for step in steps if step.kind == "raised")
    ]
    normal_end = to_millis(period.normal_end or period.end)
    false = [
        alarm
        for alarm in raised
        if alarm.raised <= normal_end
        and not any(
            begin <= alarm.raised <= end or alarm.raised < begin <= alarm.until
            for begin, end in problems
        )
    ]
    unseen = [
        problem for problem in problems if to_millis(start) < problem[0] <= to_millis(period.end)
    ]
    firsts = [lead_of_first(begin, end, raised) for begin, end in unseen]
    leads = tuple(first[1] / 1000 for first in firsts if first is not None)
    return CountedAlarms(false, len(unseen), leads)


def propose_more_time(
    definition: NormalDefinition,
    data: LearningData,
    evidence: UnseenEvidence,
    champion: NormalModel[Any] | None,
) -> str:
    """Return a sentence on what would give enough unseen time, as `propose_end`."""
    seen = None if champion is None else champion.training_cutoff
    return propose_end(data.period, evidence.allowed, seen, last_break(definition, data))


def conclude(
    family: str,
    counted: Sequence[UnseenEvidence],
    objections: Mapping[Objection, bool],
    values: Mapping[str, Value],
    evidence: UnseenEvidence,
    record: Mapping[str, Any],
    details: str,
    note: str = "",
    model: NormalModel[Any] | None = None,
) -> Comparison:
    """Return the decision on the challenger of a family, as `decide`.

    `counted`: the evidence on it, and on the champion, if there is one, on the assets that both
    have; `evidence`: on all of its assets, and its `record`. `model`: to register in place of the
    challenger.
    """
    compared = compared_rows(evidence.titles, *(side.texts for side in counted))
    shares = {
        "in_alarm": Styled(evidence.in_alarm, "share"),
        "most_in_alarm": Styled(MOST_IN_ALARM, "share"),
    }
    record = {"compared": [*compared], **record}
    decision = decide(objections, {**shares, **values}, "as_allowed", record, details, note)
    return Comparison(family, decision, evidence.metrics, model)
