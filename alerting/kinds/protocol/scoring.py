"""The part of kinds whose model gives one score to one instant of one asset: what an answer says of
it beside the number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from alerting.deferred import pd
    from alerting.definitions.assets import Asset
    from alerting.episodes.episode import Contribution
    from alerting.kinds.protocol.evaluation import ScoredRows
    from alerting.kinds.protocol.shared_inputs import SharedInputs
    from alerting.learning.features.plan import FeaturePlan
    from alerting.learning.models.trained import TrainedModel
    from alerting.ports import Predicted
    from alerting.readings.history import History


class ScoreDetails(NamedTuple):
    """Contributions to a score, the largest first, and the predicted values of kinds that predict
    any."""

    contributions: tuple[Contribution, ...] = ()
    forecast: tuple[Predicted, ...] = ()


@runtime_checkable
class ScoringKind(Protocol):
    """Methods of a kind whose score at an instant depends on a window of readings alone, and not on
    the scores before it."""

    def plan_of(self, model: TrainedModel, asset: str) -> FeaturePlan | None:
        """Return the plan of the features of an asset; None if the model has learned nothing of
        this asset."""

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the score of each row of features, in one column, with their index. Raises
        UserError if columns are missing."""

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        """Explain the last of these scores. `history`: the readings from which it was computed."""
