"""The problems of a period: announced in time, missed, or impossible to announce."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerting.deferred import pd
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import template, templates, translatable
from alerting.episodes.episode import Episode
from alerting.learning.metrics.metrics import (
    ProblemIntervals,
    announces,
    occurred_after,
    problem_intervals,
)
from alerting.readings.history import duration_millis, to_millis
from alerting.reporting.base.estimates import Cases, Estimate, median, nothing, share
from alerting.reporting.definition.material import Material, as_counted

_PROBLEMS = Cases(
    templates("{number} problem", "{number} problems"),
    templates("{count} of {number} problem", "{count} of {number} problems"),
    template("no problems"),
)
_ANNOUNCED = Cases(
    templates("{number} announced problem", "{number} announced problems"),
    templates("{count} of {number} announced problem", "{count} of {number} announced problems"),
    template("no announced problems"),
)


@dataclass(frozen=True)
class ReportedProblem:
    """A problem of the period. `lead_s`: seconds from the detection to its start."""

    asset: str
    start: datetime
    end: datetime | None
    episode: str | None
    lead_s: float | None


def find_problems(
    m: Material,
) -> tuple[tuple[ReportedProblem, ...], int, tuple[ReportedProblem, ...]]:
    """Return the period's problems with their episodes, and those without a possible warning.

    The latter are the number of those before which nothing was evaluated, and those that began in
    the recovery of another.
    """
    problems: list[ReportedProblem] = []
    in_recovery: list[ReportedProblem] = []
    unevaluated = 0
    for asset, found in m.problems.sort_values("start", kind="stable").groupby("asset", sort=True):
        spans = problem_intervals(found, onset=m.predicts == "onset")
        warned = _find_warnings(m, str(asset), spans)
        for i, (start, end) in enumerate(found[["start", "end"]].itertuples(index=False)):
            begin = start.to_pydatetime()
            if not m.start <= begin < m.end:
                continue
            episode = warned.get(i)
            ended = None if pd.isna(end) else end.to_pydatetime()
            lead = (
                (
                    begin - (episode.raised_at if episode.backfilled else episode.detected_at)
                ).total_seconds()
                if episode and not m.definition.is_of_unit
                else None
            )
            reported = ReportedProblem(
                str(asset), begin, ended, episode.id if episode else None, lead
            )
            if not spans.counted[i]:
                in_recovery.append(replace(reported, episode=None, lead_s=None))
            elif not _warnable(m, str(asset), begin):
                unevaluated += 1
            else:
                problems.append(reported)
    by_start = (
        tuple(sorted(of, key=lambda p: (p.start, p.asset))) for of in (problems, in_recovery)
    )
    return next(by_start), unevaluated, next(by_start)


def _find_warnings(m: Material, asset: str, spans: ProblemIntervals) -> dict[int, Episode]:
    """Return the first episode that announced each problem in time, as `event_metrics` does."""
    gap, horizon = gap_and_horizon(m.definition)
    first: dict[int, Episode] = {}
    for episode, counted in as_counted(m.definition, [e for e in m.episodes if e.asset == asset]):
        raised = counted.raised
        _, which = occurred_after(raised, spans, gap, horizon, counted.last_high)
        known_from = to_millis(episode.detected_at) if episode.late_data_status else raised
        if which is not None and announces(max(raised, known_from), int(spans.start[which]), gap):
            first.setdefault(which, episode)
    return first


def _warnable(m: Material, asset: str, start: datetime) -> bool:
    """Return whether an instant in [start - gap - horizon, start - gap) was evaluated; of a model
    with scores, whether it had one there, as a training counts."""
    evaluated = m.evaluated.get(asset)
    latest = start - m.definition.window.after
    first = latest - m.definition.window.length
    if evaluated is None or evaluated[0] >= latest or first >= evaluated[1]:
        return False
    scored = m.scores["ts"][m.scores["asset"] == asset]
    is_outside = first < m.start  # the scores are those of the period
    return is_outside or scored.empty or bool(((scored >= first) & (scored < latest)).any())


def gap_and_horizon(definition: Definition) -> tuple[int, int]:
    """Return gap and horizon (ms) as `event_metrics` takes them."""
    return duration_millis(definition.window.after), duration_millis(definition.window.length)


def event_recall(m: Material, problems: Sequence[ReportedProblem]) -> Estimate:
    """Compute the share of the problems that an episode announced."""
    if m.definition.problem is None:
        return nothing("%", translatable("the definition has no problem that data can confirm"))
    return share(sum(p.episode is not None for p in problems), len(problems), _PROBLEMS)


def lead_time(problems: Sequence[ReportedProblem]) -> Estimate:
    """Compute the median time from the announcement to the begin of the announced problems."""
    return median([p.lead_s for p in problems if p.lead_s is not None], "s", _ANNOUNCED)
