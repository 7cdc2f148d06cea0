"""Targets that were evaluated under a clock that was ahead: evaluation goes on by itself."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from alerting.deferred import np
from alerting.episodes.evaluation_plan import ConditionTable, EvaluationPlan, EvaluationTarget
from alerting.ports import ReprocessingRequest
from alerting.readings.history import NO_TIME, Millis, from_millis, to_millis
from alerting.readings.variable_series import SKEW
from alerting.usecases.definitions.faults_and_platform_alerts import record_future_evaluation
from alerting.usecases.evaluation.target import EvaluationRun


def go_back(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Millis,
) -> None:
    """Let targets that were evaluated beyond now, under a clock that was ahead, be evaluated again
    from their newest reading on, and raise a fault of the platform.

    Their `starts` (ms, one per target) become the last instant before the end of this evaluation.
    """
    latest = to_millis(run.as_of + SKEW)
    if max(states.watermark.max(initial=NO_TIME), *[t.since for t in targets], NO_TIME) <= latest:
        return
    now = max(run.as_of, run.platform.clock.now())
    latest = to_millis(now + SKEW)
    ahead = np.flatnonzero(states.watermark > latest).tolist()
    for row in ahead:
        state = states.state(row)
        starts[row] = to_millis(run.as_of) - targets[row].latency - 1
        seen = [state.carried.at + timedelta(milliseconds=1)] if state and state.carried else []
        start = min(from_millis(starts[row]), *seen)
        request = run.requests.get(targets[row].key) or ReprocessingRequest(
            *targets[row].key, start
        )
        run.requests[request.definition, request.asset] = replace(
            request, start=min(start, request.start)
        )
    instants = [int(states.watermark[row]) for row in ahead]
    instants += [target.since for target in targets if target.since > latest]
    if instants:
        # plans in memory have instants that are brought back
        run.platform.evaluation_plans.store_plan("", EvaluationPlan((), ()))
        record_future_evaluation(run.platform.platform_alerts, from_millis(max(instants)), now)
