"""Operators' work on the episodes of a period: answers, acknowledgements, actions, advice. And
money: the costs of problems, alarms and interventions, as far as `costs` states them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from alerting.definitions.alert_definition import Costs
from alerting.definitions.wording.language import Styled, template, templates, translatable
from alerting.episodes.episode import Episode, fold_reasons, reasons_by_variable
from alerting.episodes.lifecycle import consensus
from alerting.reporting.estimates import Cases, Estimate, share
from alerting.reporting.phrases import number
from alerting.reporting.sentences import last_taken

_NOTIFIED = Cases(
    templates("{number} alarm with a notification", "{number} alarms with a notification"),
    templates(
        "{count} of {number} alarm with a notification",
        "{count} of {number} alarms with a notification",
    ),
    template("no alarms with a notification"),
)
_CHECKABLE = Cases(
    templates("{number} verdict that data can check", "{number} verdicts that data can check"),
    templates(
        "{count} of {number} verdict that data can check",
        "{count} of {number} verdicts that data can check",
    ),
    template("no verdicts that data can check"),
)
_FOLLOWED_KNOWN = Cases(
    templates(
        "{number} followed recommendation with an outcome",
        "{number} followed recommendations with an outcome",
    ),
    templates(
        "{count} of {number} followed recommendation with an outcome",
        "{count} of {number} followed recommendations with an outcome",
    ),
    template("no followed recommendations with an outcome"),
)
_UNFOLLOWED_KNOWN = Cases(
    templates(
        "{number} recommendation without a change, with an outcome",
        "{number} recommendations without a change, with an outcome",
    ),
    templates(
        "{count} of {number} recommendation without a change, with an outcome",
        "{count} of {number} recommendations without a change, with an outcome",
    ),
    template("no recommendations without a change, with an outcome"),
)
_SCORED_AGAIN = Cases(
    templates(
        "{number} followed recommendation scored again",
        "{number} followed recommendations scored again",
    ),
    templates(
        "{count} of {number} followed recommendation scored again",
        "{count} of {number} followed recommendations scored again",
    ),
    template("no followed recommendations scored again"),
)


@dataclass(frozen=True)
class Spread:
    """A distribution of durations. `missing`: alarms that have none yet."""

    count: int
    median: timedelta | None
    p90: timedelta | None
    longest: timedelta | None
    missing: int


@dataclass(frozen=True)
class Action:
    """An action in operators' words. `helped`, `came`: episodes without and with the problem."""

    action: str
    times: int
    helped: int
    came: int


@dataclass(frozen=True)
class AdviceOutcomes:
    """Recommendations of the period, by what operators did with them.

    `given`: number of episodes with advice that lowers the risk. `taken`: number by answer.
    `prevented`: share of followed recommendations after which the problem did not come;
    `not_followed`: the same share if the operator changed nothing. `took_effect`: number of
    followed recommendations after which the risk fell below the threshold.
    """

    given: int
    taken: dict[str, int]
    prevented: Estimate
    not_followed: Estimate
    took_effect: Estimate


@dataclass(frozen=True)
class VerdictMetrics:
    """Verdicts of operators. `to_acknowledge`: time from notification to acknowledgement."""

    notified: int
    response: Estimate
    counts: dict[str, int]
    acted: int
    against_data: Estimate
    among_themselves: int
    taken: dict[str, int] = field(default_factory=dict)
    agreement: Estimate | None = None
    to_acknowledge: Spread | None = None
    actions: tuple[Action, ...] = ()
    advice: AdviceOutcomes | None = None

    @property
    def answered(self) -> int:
        """Return how many of the notified episodes an operator answered."""
        return round((self.response.value or 0.0) * self.notified)


def verdict_metrics(raised: Sequence[Episode]) -> VerdictMetrics:
    """Return the metrics of operators' verdicts on these episodes. Backfilled episodes were sent to
    no operator."""
    notified = [e for e in raised if not e.backfilled]
    answered = [(e, *consensus(e.feedback)) for e in raised if e.feedback]
    checkable = [
        (e, verdict)
        for e, verdict, _ in answered
        if verdict in ("true_alarm", "false_alarm") and occurred_by_data(e) is not None
    ]
    against = sum((verdict == "true_alarm") != occurred_by_data(e) for e, verdict in checkable)
    return VerdictMetrics(
        notified=len(notified),
        response=share(sum(bool(e.feedback) for e in notified), len(notified), _NOTIFIED),
        counts=dict(Counter(verdict or "none" for _, verdict, _ in answered)),
        acted=sum(any(f.acted for f in e.feedback) for e, _, _ in answered),
        against_data=share(against, len(checkable), _CHECKABLE),
        among_themselves=sum(disagree for _, _, disagree in answered),
        taken=_count_taken(e for e, _, _ in answered),
        agreement=share(len(checkable) - against, len(checkable), _CHECKABLE),
        to_acknowledge=spread(
            [e.acknowledged.at - e.detected_at if e.acknowledged else None for e in notified]
        ),
        actions=frequent_actions(raised),
        advice=_advice(raised),
    )


def _count_taken(episodes: Iterable[Episode]) -> dict[str, int]:
    """Return how often each answer on a recommendation is an episode's last one."""
    return dict(Counter(filter(None, map(last_taken, episodes))))


def occurred_by_data(episode: Episode) -> bool | None:
    """Return the outcome by data alone; None if not known, no problem, or acted upon in time."""
    record = episode.outcome_record
    return None if record is None or (record.acted and not record.occurred) else record.occurred


def frequent_actions(raised: Sequence[Episode]) -> tuple[Action, ...]:
    """Return the most frequent actions, each counted once per episode, ignoring case and spaces."""
    by_action: dict[str, list[tuple[str, Episode]]] = defaultdict(list)
    for episode, feedback in ((e, f) for e in raised for f in e.feedback if f.acted):
        text = " ".join((feedback.action or "").split())
        by_action[text.casefold()].append((text, episode))
    by_action.pop("", None)
    actions = []
    for reports in by_action.values():
        wordings = Counter(sorted(text for text, _ in reports))
        occurred = [_occurred(e) for e in {e.id: e for _, e in reports}.values()]
        [(action, _)] = wordings.most_common(1)  # of those as frequent, the first by the alphabet
        actions.append(Action(action, len(occurred), occurred.count(False), occurred.count(True)))
    return tuple(sorted(actions, key=lambda a: (-a.times, a.action.casefold()))[:10])


def _advice(raised: Sequence[Episode]) -> AdviceOutcomes | None:
    """Return the outcomes of the recommendations; None if no episode had one."""
    advised = [e for e in raised if e.recommendation is not None and e.recommendation.helps]
    if not advised:
        return None
    followed = [e for e in advised if last_taken(e) in ("yes", "partly")]
    ignored = [e for e in advised if last_taken(e) == "no"]
    is_low = [
        e.present.risk < e.evaluation.threshold
        for e in followed
        if e.present is not None and e.evaluation.threshold is not None
    ]
    return AdviceOutcomes(
        given=len(advised),
        taken=dict(sorted(_count_taken(advised).items())),
        prevented=_share_prevented(followed, _FOLLOWED_KNOWN),
        not_followed=_share_prevented(ignored, _UNFOLLOWED_KNOWN),
        took_effect=share(sum(is_low), len(is_low), _SCORED_AGAIN),
    )


def _share_prevented(episodes: Sequence[Episode], cases: Cases) -> Estimate:
    occurred = [_occurred(e) for e in episodes if _occurred(e) is not None]
    return share(occurred.count(False), len(occurred), cases)


def _occurred(episode: Episode) -> bool | None:
    return episode.outcome_record.occurred if episode.outcome_record else None


def spread(durations: Sequence[timedelta | None]) -> Spread:
    """Return median, ninth decile and longest, each an observed duration."""
    lengths = sorted(d for d in durations if d is not None)
    n = len(lengths)
    ranks = ((n - 1) // 2, -(-9 * n // 10) - 1, n - 1)
    middle, p90, longest = [lengths[rank] if n else None for rank in ranks]
    return Spread(n, middle, p90, longest, len(durations) - n)


@dataclass(frozen=True)
class Driver:
    """A variable, or several that move together, with the mean size of the contribution (SHAP) over
    the episodes of a period.

    `variable`: the names, joined by commas; `names`: one by one. `episodes`: those with the reason
    among their contributions. `before`: the mean of the period before; None without episodes there.
    The mean is over all episodes with contributions: a reason absent from one counts as 0 in it.
    """

    variable: str
    share: float
    episodes: int
    before: float | None
    names: tuple[str, ...]


def drivers(episodes: Sequence[Episode], earlier: Sequence[Episode] | None) -> tuple[Driver, ...]:
    """Return the strongest drivers, the largest first. `earlier`: of the period before, if any."""
    reasons = reasons_by_variable(
        c for episode in (*episodes, *(earlier or ())) for c in episode.contributions
    )
    now, counts = _mean_sizes(episodes, reasons)
    before, _ = _mean_sizes(earlier or (), reasons)
    return tuple(
        Driver(
            ", ".join(names),
            now[names],
            counts[names],
            before.get(names, 0.0) if before else None,
            names,
        )
        for names in sorted(now, key=lambda names: (-now[names], names))[:10]
    )


def _mean_sizes(
    episodes: Sequence[Episode], reasons: Mapping[str, tuple[str, ...]]
) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], int]]:
    explained = [fold_reasons(e.contributions, reasons) for e in episodes if e.contributions]
    sizes: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for names, reason in (item for folded in explained for item in folded.items()):
        sizes[names].append(abs(reason.share))
    means = {name: sum(shares) / len(explained) for name, shares in sizes.items()}
    return means, {name: len(shares) for name, shares in sizes.items()}


@dataclass(frozen=True)
class Amount:
    """A sum of money between two bounds, which are equal where it is known."""

    low: float
    high: float


def add_amounts(amounts: Iterable[Amount]) -> Amount:
    """Return the sum of amounts of one currency."""
    added = [*amounts]
    return Amount(sum(a.low for a in added), sum(a.high for a in added))


@dataclass(frozen=True)
class CountedCosts:
    """Problems, episodes and actions of a period that cost money.

    `missed`, `announced`: start and end of the problems by whether an episode announced them in
    time (end None: not over, or not known). `false_alarms`, `avoided`: episodes with this outcome.
    `undetermined`, `undetermined_acted`: episodes without an outcome, and those of them on which an
    operator acted. `interventions`: episodes on which an operator acted. `earlier_minutes`:
    durations of problems of the period before.
    """

    missed: Sequence[tuple[datetime, datetime | None]]
    announced: Sequence[tuple[datetime, datetime | None]]
    false_alarms: int
    avoided: int
    undetermined: int
    undetermined_acted: int
    interventions: int
    earlier_minutes: Sequence[float] = ()


@dataclass(frozen=True)
class Money:
    """Sums over a period, in `currency`.

    `missed`, `announced`: cost of the problems that came without and with an alert in time.
    `avoided`: cost of the problems that did not come. `net`: avoided, without the cost of false
    alarms and interventions. `problem`: assumed cost of one avoided problem. `assumptions`:
    sentences on what the bounds assume.
    """

    currency: str
    missed: Amount
    announced: Amount
    false_alarms: Amount
    interventions: Amount
    avoided: Amount
    net: Amount
    problem: float
    assumptions: tuple[str, ...]


def compute_money(costs: Costs | None, counted: CountedCosts, until: datetime) -> Money | None:
    """Return the sums of a period; None for a definition without costs.

    An avoided problem is never seen. The lower bound counts none of the avoided episodes, the upper
    bound all of them, each at the cost of a usual problem: its median duration. An undetermined
    episode is a false alarm in the one bound, and, if an operator acted on it, an avoided problem
    in the other. A problem that is not over costs until `until`, the end of the period, so that the
    same data give the same sum at any later time.
    """
    if costs is None:
        return None
    minutes_now = [
        (end - start).total_seconds() / 60
        for start, end in (*counted.missed, *counted.announced)
        if end is not None
    ]
    durations = [minutes for minutes in (*minutes_now, *counted.earlier_minutes) if minutes > 0]
    usual = float(median(durations)) if durations else None
    problem = costs.miss + costs.miss_per_minute * (usual or 0.0)
    wrong = costs.false_alarm * counted.false_alarms
    false_alarms = Amount(wrong, wrong + costs.false_alarm * counted.undetermined)
    acted = costs.intervention * counted.interventions
    avoided = Amount(0.0, problem * (counted.avoided + counted.undetermined_acted))
    return Money(
        currency=costs.currency,
        missed=_cost_of_problems(costs, counted.missed, until),
        announced=_cost_of_problems(costs, counted.announced, until),
        false_alarms=false_alarms,
        interventions=Amount(acted, acted),
        avoided=avoided,
        net=Amount(
            avoided.low - false_alarms.high - acted,
            avoided.high - false_alarms.low - acted,
        ),
        problem=problem,
        assumptions=tuple(text for holds, text in _assumptions(costs, counted, usual) if holds),
    )


def _cost_of_problems(
    costs: Costs, problems: Sequence[tuple[datetime, datetime | None]], until: datetime
) -> Amount:
    total = costs.miss * len(problems) + costs.miss_per_minute * (
        sum(max(((end or until) - start).total_seconds(), 0.0) for start, end in problems) / 60
    )
    return Amount(total, total)


def _assumptions(
    costs: Costs, counted: CountedCosts, usual: float | None
) -> tuple[tuple[bool, str], ...]:
    """Return whether each assumption was made, and its text."""
    is_avoided = counted.avoided + counted.undetermined_acted > 0
    in_minutes = costs.miss_per_minute > 0
    problems = (*counted.missed, *counted.announced)
    return (
        (
            True,
            translatable(
                "The definition states {problem} a problem and {minute} a minute of it, {alarm} a "
                "false alarm and {action} an intervention.",
                problem=_price(costs.miss, costs),
                minute=_price(costs.miss_per_minute, costs),
                alarm=_price(costs.false_alarm, costs),
                action=_price(costs.intervention, costs),
            ),
        ),
        (
            is_avoided,
            translatable(
                "An operator acted and no problem came: the lower bound assumes that none would "
                "have come, the upper bound that one would have come each time."
            ),
        ),
        (
            is_avoided and in_minutes and usual is not None,
            translatable(
                "An avoided problem counts with the median duration of the problems seen: {usual}.",
                usual=Styled(usual or 0.0, ".0f min"),
            ),
        ),
        (
            is_avoided and in_minutes and usual is None,
            translatable(
                "No problem was seen to its end, so an avoided one counts without its minutes."
            ),
        ),
        (
            counted.undetermined > 0,
            translatable(
                "Alarms without an outcome yet: {number}. The lower bound of false alarms counts "
                "none of them, the upper bound all.",
                number=counted.undetermined,
            ),
        ),
        (
            in_minutes and any(end == start for start, end in problems),
            translatable(
                "A problem without a duration, as one that only an operator reported, counts "
                "without minutes."
            ),
        ),
        (
            any(end is None for _, end in problems),
            translatable("A problem that is not over counts until the end of the period."),
        ),
        (
            bool(counted.announced),
            translatable(
                "Minutes that an alarm may have saved from a problem that came nevertheless are "
                "not counted."
            ),
        ),
    )


def _price(amount: float, costs: Costs) -> str:
    """Return a cost as it is stated, with all its digits: `EUR 900`, `EUR 0.4`."""
    shown = number(round(amount)) if amount == round(amount) else Styled(amount, ".15g")
    return translatable("{currency} {amount}", currency=costs.currency, amount=shown)


@dataclass(frozen=True)
class DefinitionNumbers:
    """Numbers of one definition over a period.

    `weeks`: evaluated asset-weeks. `problems`: those that could be announced. `announced`: how many
    of them were.
    """

    name: str
    title: str
    weeks: float
    episodes: int
    hits: int
    avoided: int
    false_alarms: int
    problems: int
    announced: int
    money: Money | None = None

    @property
    def decided(self) -> int:
        """Return the number of alarms with a known outcome."""
        return self.hits + self.avoided + self.false_alarms


_ADAPTER = TypeAdapter(DefinitionNumbers)


def read_summary(document: Any) -> DefinitionNumbers:
    """Return the numbers of a stored report. Raises pydantic.ValidationError if it is damaged."""
    return _ADAPTER.validate_python(document)
