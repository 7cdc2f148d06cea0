"""Revisions: immutable, numbered versions of a definition, and what changes from one to the next."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.model import DEFINITION, Definition, Revision
from alerting.definitions.validation import definition_document

Action = Literal["create", "change", "unchanged"]


@dataclass(frozen=True)
class Plan:
    """What applying a definition would do: `changes` maps a field to its value before and after."""

    name: str
    action: Action
    definition: Definition
    changes: dict[str, tuple[Any, Any]]


def definition_hash(definition: Definition) -> str:
    """Identity of the content, defaults included, independent of the order of fields."""
    whole = DEFINITION.dump_python(definition, mode="json", by_alias=True)
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def plan_change(definition: Definition, latest: Revision | None) -> Plan:
    """Compare a definition with its latest revision."""
    if latest is None:
        return Plan(definition.name, "create", definition, {})
    if latest.hash == definition_hash(definition):
        return Plan(definition.name, "unchanged", definition, {})
    before, after = _flat(definition_document(latest.definition)), _flat(definition_document(definition))
    changed = {k: (before.get(k), after.get(k)) for k in sorted({*before, *after}) if before.get(k) != after.get(k)}
    return Plan(definition.name, "change", definition, changed)


def next_revision(definition: Definition, latest: Revision | None, author: str, at: datetime, reason: str) -> Revision:
    """The revision that follows the latest one."""
    number = 1 if latest is None else latest.number + 1
    return Revision(
        name=definition.name,
        number=number,
        hash=definition_hash(definition),
        author=author,
        at=at,
        reason=reason,
        definition=definition,
    )


def in_force(revisions: Sequence[Revision], at: datetime) -> Revision | None:
    """The revision that counted at an instant; None before the first. `revisions` are sorted, oldest first."""
    return next((r for r in reversed(revisions) if r.at <= at), None)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
