"""Evaluate a definition over past times in the sandbox, up to its episodes' steps.

The episodes themselves cost a millisecond each: too much for the alarm budget gate, which checks
definitions that may raise thousands a day.
"""

from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition
from alerting.definitions.revisions import next_revision
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.kinds.protocol.evaluation import VersionInterval
from alerting.ports import BacktestPorts
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.registry.registration import ModelCache


class PastSteps:
    """Evaluates past times by one version (None: a threshold); writes nothing live."""

    def __init__(
        self,
        platform: BacktestPorts,
        definition: Definition,
        model_version: int | None,
        at: datetime,
    ) -> None:
        self._models = ModelCache(platform)
        self._model_version = model_version
        self._revision = next_revision(definition, None, "gate", at, "not applied")
        self._sandbox = Sandbox(platform, self._revision)

    def training_cutoff(self) -> datetime | None:
        """Return the model's training cutoff, if any. Raises ModelUnavailable if unread."""
        if self._model_version is None:
            return None
        return self._models.get(self._revision.definition, self._model_version).training_cutoff

    def steps(self, asset: Asset, start: datetime, end: datetime) -> list[Step]:
        """Return the steps that it would have made on an asset in (start, end]."""
        interval = VersionInterval(start, end, self._revision, self._model_version)
        state = ConditionState(watermark=start)
        view = self._sandbox.live_view(end)
        evaluated = evaluate_parts(view, self._models, asset, state, [interval], named=True)
        return [step for step, _ in evaluated.steps]
