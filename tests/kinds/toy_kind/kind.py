from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from alerting.detection.evaluation import Evaluation, StatusInterval
from alerting.episodes.lifecycle import ConditionState, advance
from alerting.kinds.protocol.evaluation import Raise, RaiseEvidence
from alerting.kinds.protocol.kind import Charted, Inputs
from alerting.reporting.figures.episode_chart import ChartLevel

STALE = timedelta(minutes=10)
MOMENT = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
NONE = timedelta(0)


class SpreadKind:
    def inputs(self, definition, asset):
        return Inputs(stale_after=STALE)

    def evaluate(self, definition, sources, part, before):
        names = [definition.one, definition.other]
        history = sources.platform.readings.load(sources.asset, part.start - STALE, part.end, names)
        spread = spreads(definition, history)
        intervals = statuses(definition, spread, part.start + MOMENT, part.end + MOMENT)
        state, steps = advance(before.state, intervals, NONE, NONE, definition.severities())
        raises = {
            s.at: Raise(float(spread.loc[: s.at].iloc[-1])) for s in steps if s.kind == "raised"
        }
        unknown = "no readings" if intervals[-1].status == "unknown" else None
        return replace(
            before,
            state=replace(state, watermark=part.end),
            steps=[*before.steps, *((step, part) for step in steps)],
            raises={**before.raises, **raises},
            unknown=unknown,
        )

    def explain(self, definition, asset, step, at_raise, history):
        reason = (
            f"{definition.one} and {definition.other} differ by {at_raise.value:g}, at most "
            f"{definition.most:g}"
        )
        return RaiseEvidence(
            Evaluation(step.at, "triggered", reason, at_raise.value, definition.most)
        )

    def outcome(self, definition, asset):
        return "onset"

    def why(self, definition, question):
        found = question.evaluate(ConditionState(watermark=question.at - HOUR))
        if found.unknown:
            return replace(
                question.blank, verdict="unknown", answer=f"cannot tell: {found.unknown}"
            )
        since = found.state.raised_at
        answer = "not raised" if since is None else f"open since {since.isoformat()}"
        return replace(question.blank, verdict="normal" if since is None else "open", answer=answer)

    def chart(self, definition, asset, episode):
        return Charted(definition.one, (ChartLevel(definition.most, "most"),), STALE)

    def data_gaps(self, definition, history, start, end):
        found = statuses(definition, spreads(definition, history), start, end)
        return tuple((i.start, i.end) for i in found if i.status == "unknown")


def spreads(definition, history):
    """The difference at each instant at which both variables are read."""
    if not {definition.one, definition.other} <= set(history.readings):
        return history.readings.iloc[:, :0].sum(axis=1).iloc[:0]
    return (history.readings[definition.one] - history.readings[definition.other]).abs().dropna()


def statuses(definition, spread, begin, end):
    """Intervals from `begin` to `end` without a hole; a difference holds until the next one, for
    ten minutes at most."""
    cuts = {begin, end}
    for at in spread.index.to_pydatetime():
        cuts |= {t for t in (at, at + STALE) if begin < t < end}
    found = []
    marks = sorted(cuts)
    for start, stop in pairwise(marks):
        newest = spread.loc[start - STALE + MOMENT : start]
        status = (
            "unknown"
            if newest.empty
            else "triggered"
            if newest.iloc[-1] > definition.most
            else "clear"
        )
        found.append(StatusInterval(start, stop, status))
    return found


KIND = SpreadKind()
