"""The question of a trained definition: what a model answers, whatever else the document says."""

import hashlib
import json

from alerting.definitions.model import TrainedDefinition

_LENGTH = 16


def question_hash(definition: TrainedDefinition) -> str:
    """Hash problem (with the kind of its label), horizon, gap, assets, variables and stride as written; derived values are auto.

    Revisions with the same hash share what was derived from the data, and a champion.
    """
    written = definition.model_dump(mode="json", include={"problem", "horizon", "gap", "assets", "include", "exclude"})
    written["stride"] = definition.model_dump(mode="json")["features"]["stride"] or "auto"
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:_LENGTH]
