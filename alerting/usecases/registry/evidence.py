"""The evidence of a registered model, as its training stored it: curves, calibration, effects."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from alerting.ports import Models, ModelUnavailable, TrainingRuns
from alerting.usecases.registry.registration import search_run

if TYPE_CHECKING:
    from alerting.learning.features.set_point_effects import SetPointEffects

FOLDER = "evidence"
_MOST_EFFECTS = 100
_MOST_BYTES = 1 << 20  # of one file


@dataclass(frozen=True)
class SetPointEffect:
    """The change of `variable`, that of the problem, for one unit of `set_point`; `error`: its
    standard error. `relief`: what one unit surely helps against the limit, 0 if not known."""

    set_point: str
    variable: str
    effect: float
    error: float
    relief: float


@dataclass(frozen=True)
class ModelEvidence:
    """Evidence of a version.

    `curve`: thresholds with their metrics in the validation period, by rising threshold.
    `reliability`: in the test period, the mean score and the observed share of bins of rows.
    `importance`: by variable. `test`: metrics of the test period. A part that was not stored, or
    cannot be read, is empty.
    """

    version: int
    run_id: str
    curve: Sequence[Mapping[str, Any]] = ()
    reliability: Sequence[Mapping[str, float]] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, Any] = field(default_factory=dict)
    effects: Sequence[SetPointEffect] = ()


def load_evidence(
    models: Models, runs: TrainingRuns, name: str, version: int
) -> ModelEvidence | None:
    """Return the evidence of a version; of a refitted one, that of its twin, to which all printed
    figures belong. None without a training, and if the registry cannot be read."""
    try:
        tags = models.version_tags(name, version)
        if "training_run" not in tags:
            return None
        run = search_run(tags)
        files = runs.files(run, FOLDER)
    except (ModelUnavailable, LookupError):
        return None
    return ModelEvidence(
        version,
        run,
        _read(files, "threshold_curve", list),
        _read(files, "reliability", list),
        _read(files, "importance", dict),
        _read(files, "summary", dict),
        _effects(_read(files, "effects", list)),
    )


def _read(files: Mapping[str, bytes], name: str, kind: type) -> Any:
    data = files.get(f"{name}.json", b"")
    try:
        found = json.loads(data) if len(data) <= _MOST_BYTES else None
    except ValueError:
        found = None
    return found if isinstance(found, kind) else kind()


def effects_file(effects: "SetPointEffects | None") -> dict[str, bytes]:
    """Return the effects of set-points as a file by name; none where they are not known."""
    if effects is None:
        return {}
    rows = [
        asdict(SetPointEffect(name, effects.variable, effect, error, effects.relief(name)))
        for name, (effect, error) in sorted(effects.effects.items())
    ]
    return {"effects.json": json.dumps(rows[:_MOST_EFFECTS], indent=1).encode()}


def _effects(rows: Sequence[Any]) -> tuple[SetPointEffect, ...]:
    names = {one.name for one in fields(SetPointEffect)}
    return tuple(
        SetPointEffect(**row) for row in rows if isinstance(row, dict) and row.keys() == names
    )
