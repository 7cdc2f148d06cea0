"""The question of a trained definition: what a model answers, whatever else the document says."""

import hashlib
import json

from alerting.definitions.model import Revision, TrainedDefinition

_LENGTH = 16


def question_hash(definition: TrainedDefinition) -> str:
    """Hash problem (with the kind of its label), horizon, gap, assets, variables and stride as written; derived values are auto.

    Revisions with the same hash share what was derived from the data, and a champion.
    """
    fields = {"problem", "horizon", "gap", "assets", "include", "exclude"}
    written = definition.model_dump(mode="json", include=fields, exclude_none=True)  # a field that is added later changes no hash
    written["stride"] = definition.model_dump(mode="json")["features"]["stride"] or "auto"
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:_LENGTH]


def question_of(revision: Revision) -> str | None:
    """Return the question of a revision as it was stored, or its hash where none was stored; None without a trained model."""
    if not isinstance(revision.definition, TrainedDefinition):
        return None
    return revision.question or question_hash(revision.definition)
