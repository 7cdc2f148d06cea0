from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np

from alerting.detection.evaluation_results_and_texts import Evaluation, StatusInterval
from alerting.episodes.lifecycle import ConditionState, advance
from alerting.kinds.protocol import Charted, Inputs, Raise, RaiseEvidence, ScoredRows
from alerting.learning.features.point_in_time import build_features, grid
from alerting.ports import ModelUnavailable, WantedHistory
from alerting.readings.history import from_millis, to_millis

from .model import from_files

MOMENT = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
NONE = timedelta(0)


class UnlikeKind:
    load = staticmethod(from_files)

    def inputs(self, definition, asset):
        return Inputs()

    def evaluate(self, definition, sources, part, before):
        if part.model_version is None:
            return replace(
                before,
                state=replace(before.state, watermark=part.end),
                unknown="no model is in service yet",
            )
        try:
            model = sources.models.get(definition, part.model_version)
        except ModelUnavailable as unavailable:
            return replace(before, unreadable=str(unavailable))
        stride = timedelta(milliseconds=model.plan.stride_ms)
        history = sources.platform.readings.load(
            WantedHistory(sources.asset, part.start - model.plan.lookback - stride, part.end)
        )
        at = grid(to_millis(part.start - stride), to_millis(part.end), model.plan.stride_ms)
        score = model.score(build_features(model.plan, history, at)).copy()
        score[at <= to_millis(model.training_cutoff)] = np.nan
        intervals = list(
            statuses(at, score, model.threshold, part.start + MOMENT, part.end + MOMENT)
        )
        state, steps = advance(before.state, intervals, NONE, NONE, definition.severities())
        known = dict(zip(at.tolist(), score.tolist(), strict=True))
        raised = [s.at for s in steps if s.kind == "raised"]
        raises = {
            t: Raise(known[to_millis(t)], model=model, model_version=part.model_version)
            for t in raised
        }
        new = at > to_millis(part.start)
        nothing = np.full(new.sum(), np.nan)
        reasons = np.where(np.isnan(score[new]), "no values", "").astype(object)
        return replace(
            before,
            state=replace(state, watermark=part.end),
            steps=[*before.steps, *((step, part) for step in steps)],
            raises={**before.raises, **raises},
            scores=[
                *before.scores,
                ScoredRows(at[new], score[new], nothing, reasons, model, part.model_version),
            ],
            unknown="no values" if intervals[-1].status == "unknown" else None,
        )

    def explain(self, definition, asset, step, at_raise, history):
        reason = f"{definition.watched} is {at_raise.value:.0f} deviations from its usual value"
        limit = at_raise.model.threshold
        return RaiseEvidence(
            Evaluation(step.at, "triggered", reason, at_raise.value, limit, at_raise.model_version)
        )

    def outcome(self, definition, asset):
        return "onset"

    def why(self, definition, question):
        found = question.evaluate(ConditionState(watermark=question.at - HOUR))
        verdict = (
            "unknown" if found.unknown else "normal" if found.state.raised_at is None else "open"
        )
        return replace(question.blank, verdict=verdict, answer=verdict)

    def chart(self, definition, asset, episode):
        return Charted(definition.watched, scored=True)

    def unevaluated_intervals(self, definition, history, start, end):
        return ()


def statuses(at, score, threshold, begin, end):
    """Intervals from `begin` to `end` without a hole; a score holds until the next one."""
    held = [
        (max(from_millis(t), begin), s) for t, s in zip(at.tolist(), score.tolist(), strict=True)
    ]
    for (start, s), (stop, _) in pairwise([*held, (end, None)]):
        if start < stop:
            yield StatusInterval(
                start, stop, "unknown" if np.isnan(s) else "triggered" if s > threshold else "clear"
            )


KIND = UnlikeKind()
