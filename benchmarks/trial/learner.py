"""Training inside a trial, by the training of the platform in memory; and the models that it
made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition, Revision
from alerting.demo.asset import EVENT_TYPES
from alerting.episodes.episode import Episode
from alerting.kinds.registry import trained_kind_of
from alerting.learning.models.trained import TrainedModel
from alerting.ports import BacktestPorts, Files, FixedClock, ModelUnavailable, Progress, Readings
from alerting.usecases.training.train import train

NewPlatform = Callable[[], BacktestPorts]


@dataclass
class TrialModels:
    """Port `Models` of an evaluation: the models of a trial by their version, from 1 on."""

    definition: Definition
    files: list[Files] = field(default_factory=list)
    _loaded: dict[int, TrainedModel] = field(default_factory=dict)

    def add(self, files: Files) -> int:
        """Add the files of a model and return its version."""
        self.files.append(files)
        return len(self.files)

    def get(self, definition: Definition, version: int) -> TrainedModel:
        """Return a model. Raises ModelUnavailable for an unknown version."""
        if not 1 <= version <= len(self.files):
            raise ModelUnavailable(f"there is no version {version} of {definition.name!r}")
        if version not in self._loaded:
            self._loaded[version] = trained_kind_of(self.definition).load(self.files[version - 1])
        return self._loaded[version]


def plant_view(
    platform: BacktestPorts, asset: Asset, readings: Readings, revision: Revision, at: datetime
) -> BacktestPorts:
    """Return an empty platform in memory with this line, its readings and its definition, at an
    instant."""
    view = replace(platform, readings=readings, clock=FixedClock(at))
    view.assets.store_assets([asset])
    view.assets.put_event_types(EVENT_TYPES)
    view.definitions.add_revision(revision)
    return view


def train_model(
    view: BacktestPorts, name: str, episodes: Sequence[Episode], at: datetime, progress: Progress
) -> tuple[Files, str]:
    """Train on everything known at an instant, with the feedback on these episodes. Return the
    model's files and the verdict.

    Each training begins without a champion, so that its model serves if it exceeds chance: the
    trial measures what a model has learned, not whether promotion would have refused it. Raises
    UserError if no model could be trained.
    """
    for episode in episodes:
        view.episodes.insert(episode)
    decided = train(view, name, at, progress)
    if decided.challenger_version is None:
        raise UserError(f"no model could be trained at {at.isoformat()}: {decided.reason}")
    return view.models.model_files(name, decided.challenger_version), decided.reason
