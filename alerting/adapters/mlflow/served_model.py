"""Loader of a registered model for MLflow itself: `mlflow.pyfunc.load_model` and `mlflow models
serve`.

The registry names this module as the loader of every model, so that no pickled file is needed: it
reads the same files as the platform, with the same checks. It cannot compare their hashes with
those in the platform's database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from alerting.deferred import pd
from alerting.kinds.protocol import ScoringKind
from alerting.kinds.registry import trained_kind_named
from alerting.learning.models.trained import ModelRefused, TrainedModel

DESCRIPTION = "MLmodel"


class ServedModel:
    """A model as MLflow serves it. `model`: the whole model, as its kind reads it."""

    def __init__(self, kind: ScoringKind, model: TrainedModel) -> None:
        self._kind = kind
        self.model = model

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return each row's score; unknown features are empty. Raises UserError without columns."""
        return self._kind.score_rows(self.model, data)


def _load_pyfunc(data_path: str) -> ServedModel:
    """Return the model in a folder, by MLflow's name. Raises ModelRefused if damaged."""
    files = {path.name: path.read_bytes() for path in Path(data_path).iterdir() if path.is_file()}
    name = _kind(files.get(DESCRIPTION, b""))
    kind = trained_kind_named(name)
    if not isinstance(kind, ScoringKind):
        raise ModelRefused(
            f"a model of kind {name} has no score of a row of features alone; see it with: "
            "alerting why"
        )
    return ServedModel(kind, kind.load(files))


def _kind(description: bytes) -> str:
    try:
        fields = cast("dict[str, Any]", yaml.safe_load(description) or {})
        return str(fields["flavors"]["alerting"]["kind"])
    except (KeyError, TypeError, yaml.YAMLError) as fault:
        raise ModelRefused(f"{DESCRIPTION} cannot be read: it was changed or damaged") from fault
