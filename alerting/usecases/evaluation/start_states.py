"""The states from which targets are evaluated: where their last evaluation ended, or before their
late data, or before now if a clock was ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.deferred import np
from alerting.detection.carried_reading import Carried
from alerting.episodes.evaluation_plan import ConditionTable, EvaluationPlan, EvaluationTarget
from alerting.episodes.lifecycle import ConditionState, forget_after
from alerting.ports import ReprocessingRequest
from alerting.readings.history import NO_TIME, Millis, from_millis, to_millis
from alerting.readings.variable_series import SKEW
from alerting.usecases.definitions.faults_and_platform_alerts import record_future_evaluation
from alerting.usecases.evaluation.inputs import Batch, EvaluationRun

_LOOKBACK = timedelta(days=1)
"""Before the instant from which a target is evaluated again: a beginning after that is recent."""
_MOMENT = timedelta(milliseconds=1)


def load_batch(run: EvaluationRun, targets: Sequence[EvaluationTarget]) -> Batch:
    """Return targets with their stored states and the states to evaluate from. Targets that were
    evaluated beyond now get a request in `run`."""
    states = run.platform.states.load_many([target.key for target in targets])
    starts = states.watermark.copy()
    new = np.flatnonzero(starts == NO_TIME).tolist()
    if new:
        for row, first in run.first_instants(targets, new).items():
            starts[row] = to_millis(run.as_of) if first is None else first
    latest = to_millis(run.as_of + SKEW)
    if max(states.watermark.max(initial=NO_TIME), *[t.since for t in targets], NO_TIME) > latest:
        _go_back(run, targets, states, starts)
    base = _base_states(run, targets, states, starts) if run.requests else states
    return Batch(targets, states, starts, base)


def _go_back(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Millis,
) -> None:
    """Let targets that were evaluated beyond now, under a clock that was ahead, be evaluated again
    from their newest reading on, and raise a fault of the platform.

    Their `starts` (ms, one per target) become the last instant before the end of this evaluation.
    """
    now = max(run.as_of, run.platform.clock.now())
    latest = to_millis(now + SKEW)
    ahead = np.flatnonzero(states.watermark > latest).tolist()
    for row in ahead:
        state = states.state(row)
        starts[row] = to_millis(run.as_of) - targets[row].latency - 1
        seen = [state.carried.at + _MOMENT] if state and state.carried else []
        start = min(from_millis(starts[row]), *seen)
        request = run.requests.get(targets[row].key) or ReprocessingRequest(
            *targets[row].key, start
        )
        run.requests[targets[row].key] = replace(request, start=min(start, request.start))
    instants = [int(states.watermark[row]) for row in ahead]
    instants += [target.since for target in targets if target.since > latest]
    if instants:
        # plans in memory have instants that are brought back
        run.platform.evaluation_plans.store_plan("", EvaluationPlan((), ()))
        record_future_evaluation(run.platform.platform_alerts, from_millis(max(instants)), now)


def _base_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Millis,
) -> ConditionTable:
    """Return the states to evaluate from: present states, or earlier ones for targets to reprocess.
    `states` and `starts` (ms) have one row per target.

    A target whose condition has not changed carries its state of one step earlier; for the other
    targets a checkpoint is looked up. Without a checkpoint that is old enough, a target starts at
    its beginning, if that is recent, or at its earliest checkpoint. Without any, a target that was
    evaluated beyond now starts at the last end of its alarm, at most a day before, at its present
    state without what that has of later instants.
    """
    base = states.take(range(len(states)))
    by_checkpoint = dict[int, datetime]()
    by_earlier = []
    for row, target in enumerate(targets):
        request = run.requests.get(target.key)
        if (
            request is None
            or to_millis(request.start) > states.watermark[row]
            or states.watermark[row] == NO_TIME
        ):
            continue
        if NO_TIME != states.earlier.watermark[row] < to_millis(request.start):
            by_earlier.append(row)
        else:
            by_checkpoint[row] = request.start
    base.restore_earlier(by_earlier)
    for row, state in _past_states(run, targets, states, by_checkpoint).items():
        is_in_future = states.watermark[row] > starts[row]
        before = to_millis(by_checkpoint[row]) if is_in_future else starts[row]
        if to_millis(state.watermark) < before:
            base.write_state(row, state)
    for row in np.flatnonzero(base.watermark > starts).tolist():
        if (state_ahead := states.state(row)) is not None:
            at = _last_known(state_ahead, by_checkpoint[row])
            base.write_state(row, forget_after(state_ahead, at))
    # it counts rounds that ended unknown, and evaluating earlier times again is no further round
    base.unknown_count = states.unknown_count.copy()
    return base


def _last_known(state: ConditionState, before: datetime) -> datetime:
    """Return an instant before another one, at which a state that was evaluated further tells
    whether the condition was met: since its last end, at most a day."""
    closed = state.last_closed_at
    earliest = before - _LOOKBACK
    if closed is None:
        return earliest
    return max(earliest, closed) if closed < before else before - _MOMENT


def _past_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Mapping[int, datetime],
) -> dict[int, ConditionState]:
    """Return, by row, the latest checkpoint before an instant, or else the state nearest to the
    instant."""
    checkpoints = run.platform.checkpoints.states_before(
        {targets[row].key: start for row, start in starts.items()}
    )
    nearest = {row: checkpoints.get(targets[row].key) for row in starts}
    missing = [row for row, state in nearest.items() if state is None]
    for row, first in run.first_instants(targets, missing).items():
        lateness = targets[row].allowed_lateness
        lately = states.watermark[row] - 2 * lateness
        if not lateness or states.watermark[row] > to_millis(run.as_of + SKEW):  # no checkpoints
            lately = to_millis(starts[row] - _LOOKBACK)
        if first is not None and first >= lately:  # it waits for its first reading
            at = from_millis(first)
            variable = targets[row].variable
            nearest[row] = ConditionState(
                at, carried=None if variable is None else Carried(variable, at, None)
            )
        else:
            nearest[row] = run.platform.checkpoints.state_after(*targets[row].key, starts[row])
    return {row: state for row, state in nearest.items() if state is not None}
