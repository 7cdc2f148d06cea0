"""The evaluation of one target, reading by reading, and the changes of episodes that it means."""

from dataclasses import dataclass, replace
from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol.evaluation import Refresh, TargetEvaluation
from alerting.ports import EvaluationPorts, ReprocessingRequest
from alerting.usecases.episodes.changes import EpisodeChanges
from alerting.usecases.evaluation.compose import Composed, Composition, compose_live
from alerting.usecases.evaluation.reconcile import compose_reprocessed
from alerting.usecases.evaluation.reprocess import make_outcomes_due


@dataclass(frozen=True)
class EvaluatedTarget:
    """Evaluation of one target, reading by reading.

    `state`: as it is stored. `reprocessed`: from `evaluated_from` to its watermark; `since`: from
    there on. `is_cut`: there were too many raises for one unit of work, and the evaluation ends
    before the next of them.
    """

    revision: Revision
    asset: Asset
    state: ConditionState
    evaluated_from: ConditionState
    reprocessed: TargetEvaluation
    since: TargetEvaluation
    is_cut: bool

    @property
    def is_reprocessed(self) -> bool:
        return self.evaluated_from is not self.state

    @property
    def changes_episodes(self) -> bool:
        """Return whether an episode, or its outcome, may differ from what is stored."""
        return (
            bool(self.since.steps or self.refreshes)
            or self.since.state.last_high_at != self.reprocessed.state.last_high_at
            or self.may_correct
            or self.may_change_outcomes
        )

    @property
    def refreshes(self) -> dict[datetime, Refresh]:
        """Return where to compute reasons and advice again: in the new times, else, after late
        data, at the old watermark."""
        still_open = self.reprocessed.state.raised_at
        earlier = {
            at: refresh
            for at, refresh in self.reprocessed.refreshes.items()
            if at == still_open and self.is_reprocessed
        }
        return earlier | self.since.refreshes

    @property
    def may_change_outcomes(self) -> bool:
        """Return whether late data may change outcomes that come from data."""
        return self.is_reprocessed and self.revision.definition.problem is not None

    @property
    def may_correct(self) -> bool:
        """Return whether reprocessing may differ from what is stored.

        Every step changes the compared values, except severities that change and change back.
        """
        if not self.is_reprocessed:
            return False
        if self.reprocessed.steps or _condition_intervals(
            self.evaluated_from
        ) != _condition_intervals(self.state):
            return True
        return self.state.raised_at is not None and bool(self.state.levels)

    def count_unknown(self, after: ConditionState) -> ConditionState:
        """Return the state with the reason why it is unknown at its end, and how often that was so
        in a row."""
        reason = self.since.unknown
        return replace(
            after,
            unknown_count=self.state.unknown_count + 1 if reason else 0,
            unknown_reason=reason,
        )


def _condition_intervals(state: ConditionState) -> tuple[object, ...]:
    return (
        state.raised_at,
        state.happening_since,
        state.last_raised_at,
        state.last_closed_at,
        state.last_high_at,
        state.severity,
    )


def compose_target(
    platform: EvaluationPorts,
    changes: EpisodeChanges,
    one: EvaluatedTarget,
    request: ReprocessingRequest | None,
    as_of: datetime,
) -> Composed:
    """Add the changed episodes of a target to `changes`: corrected ones, then those of new times.

    `request`: the reprocessing request that the evaluation has answered, if any.
    """
    target = Composition(platform, changes, one.revision, one.asset, as_of, not one.is_cut)
    corrected = Composed(one.reprocessed.state)
    if one.may_correct:
        corrected = compose_reprocessed(target, one.reprocessed, one.since, one.evaluated_from)
    live = compose_live(target, replace(one.since, refreshes=one.refreshes))
    if request is not None and one.may_change_outcomes:
        make_outcomes_due(changes, one.revision, one.asset, request.start, live.state.watermark)
    return Composed(
        one.count_unknown(live.state),
        live.raised + corrected.raised,
        live.closed,
        corrected.withdrawn,
    )
