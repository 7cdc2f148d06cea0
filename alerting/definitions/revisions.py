"""Revisions: immutable, numbered versions of a definition, the changes from one to the next, and
the question that a model answers, whatever else the document says."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerting.definitions.alert_definition import Definition, ModelDefinition, Revision
from alerting.definitions.fields.modes import with_problem_of_modes
from alerting.definitions.fields.shared_fields import Schedule, Suppression
from alerting.definitions.wording.language import translatable


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


def definition_document(definition: Definition) -> dict[str, Any]:
    """Return a definition's document as people would write it: without default fields, but with the
    zone of its clock times, so that it means the same in a plant of another zone."""
    document = definition.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if document.get("modes"):
        alike = with_problem_of_modes({"modes": document["modes"]})["problem"]
        if document["problem"] == alike:  # a copy would stay when a mode changes
            del document["problem"]
    for group, times in _clock_times(definition).items():
        document[group] = {**document.get(group, {}), "timezone": times.timezone}
    return document


def in_plant_zone(
    definition: Definition, zone: str, before: Definition | None = None
) -> Definition:
    """Return a definition whose clock times without a zone are in this zone, or in the zone that
    the same times have in `before`, an earlier revision."""
    earlier = {} if before is None else _clock_times(before)
    changes = {}
    for group, times in _clock_times(definition).items():
        group_zone = earlier[group].timezone if group in earlier else zone
        if "timezone" not in times.model_fields_set and times.timezone != group_zone:
            changes[group] = times.model_copy(update={"timezone": group_zone})
    return definition.model_copy(update=changes) if changes else definition


def _clock_times(definition: Definition) -> dict[str, Schedule | Suppression]:
    """Return the groups of fields that hold times of the clock: quiet hours, and the schedule of
    trainings, also for limits by the hour of the day."""
    times: dict[str, Schedule | Suppression] = {}
    if isinstance(definition, ModelDefinition):
        times["schedule"] = definition.schedule
    if definition.suppression is not None and definition.suppression.windows:
        times["suppression"] = definition.suppression
    return times


def definition_fields(definition: Definition) -> dict[str, Any]:
    """Return all fields of a definition, defaults included, as its revision stores them."""
    return definition.model_dump(mode="json", by_alias=True)


def definition_hash(definition: Definition) -> str:
    """Return the identity of the content, defaults included, independent of the order of fields."""
    whole = json.dumps(definition_fields(definition), sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def flat_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ between two documents by dotted path, sorted, each with its
    value before and after; None where the field is not written."""
    old = _flat(before)
    new = _flat(after)
    return {
        path: (old.get(path), new.get(path))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    }


def next_revision(
    definition: Definition,
    latest: Revision | None,
    author: str,
    at: datetime,
    reason: str,
    last_number: int = 0,
) -> Revision:
    """Return the revision that follows the latest one.

    `last_number`: the highest number of the stored revisions, readable or not.
    """
    return Revision(
        name=definition.name,
        number=max(last_number, 0 if latest is None else latest.number) + 1,
        hash=definition_hash(definition),
        author=author,
        at=at,
        reason=reason,
        question=question_after(definition, latest),
        definition=definition,
    )


def question_after(definition: Definition, latest: Revision | None) -> str | None:
    """Return the hash of the question: that of the latest revision if it asks the same, even where
    today's hash differs."""
    if not isinstance(definition, ModelDefinition):
        return None
    question = question_hash(definition)
    before = latest.definition if latest is not None else None
    same = isinstance(before, ModelDefinition) and question_hash(before) == question
    return question_of(latest) if same and latest is not None else question


def in_force(revisions: Sequence[Revision], at: datetime) -> Revision | None:
    """Return the revision in force at an instant; None before. `revisions`: oldest first."""
    return next((r for r in reversed(revisions) if r.at <= at), None)


def out_of_service(revision: Revision) -> str:
    """Describe why a definition is not in service: since when it is retired, or a draft."""
    since = revision.at
    if revision.definition.state == "retired":
        return translatable("the definition is retired since {since}", since=since)
    return translatable("the definition is a draft since {since}", since=since)


def does_not_name(revision: Revision, asset: str) -> str:
    """Describe why a definition in service is not evaluated on an asset."""
    return translatable(
        "the definition does not name {asset} any more, since revision {number} of {since}",
        asset=asset,
        number=str(revision.number),
        since=revision.at,
    )


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
