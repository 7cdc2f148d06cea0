"""The question of a definition: what a model answers, whatever else the document says."""

import hashlib
import json

from alerting.definitions.model import ModelDefinition, Revision


def question_hash(definition: ModelDefinition) -> str:
    """Hash the fields that a model answers; equal hashes share derived data and a champion."""
    return hashlib.sha256(
        json.dumps(definition.question_fields(), sort_keys=True).encode()
    ).hexdigest()[:16]


def question_of(revision: Revision) -> str | None:
    """Return a revision's question as stored, or its hash; None without a trained model."""
    if not isinstance(revision.definition, ModelDefinition):
        return None
    return revision.question or question_hash(revision.definition)
