"""How often the alarms of a period named the right mode of the problem."""

from collections.abc import Sequence
from datetime import timedelta

from alerting.deferred import np
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.episodes.mode_shares import ModeAlarm, ModeMetrics, count_modes, probable_mode
from alerting.learning.data.row_labels import modes_between
from alerting.readings.history import to_millis
from alerting.reporting.definition.period_data import Material, ReportedProblem, outcome_of

_MOMENT = timedelta(milliseconds=1)


def compute_modes(m: Material, problems: Sequence[ReportedProblem]) -> tuple[ModeMetrics, ...]:
    """Return the figures of each mode of the definition; none without modes."""
    definition = m.definition
    if not isinstance(definition, TrainedDefinition) or not definition.mode_problems:
        return ()
    records = [(e, e.outcome_record if outcome_of(e) == "hit" else None) for e in m.raised]
    alarms = [ModeAlarm(probable_mode(e.modes), r.modes if r else None) for e, r in records]
    came = [_modes_of(m, definition, problem) for problem in problems]
    missed = [modes for modes, p in zip(came, problems, strict=True) if p.episode is None]
    return count_modes(definition.mode_problems, alarms, came, missed)


def _modes_of(
    m: Material, definition: TrainedDefinition, problem: ReportedProblem
) -> tuple[str, ...]:
    """Return the modes that came in a problem, from its start to its end."""
    window = (problem.start - _MOMENT, max(problem.end or m.as_of, problem.start))
    after, until = (np.array([to_millis(end)]) for end in window)
    history = m.histories[problem.asset]
    [shown] = modes_between(definition, m.predicts, history, after, until)
    return tuple(n for n, is_shown in zip(definition.mode_problems, shown, strict=True) if is_shown)
