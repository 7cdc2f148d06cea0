"""Mark a time of an asset, and undo it: each with an entry in the audit."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from alerting.definitions.faults import Conflicting, NotFound
from alerting.definitions.wording.language import template, translatable
from alerting.ports import Audit, LabelPorts
from alerting.readings.interval_labels import IntervalLabel, LabelKind, new_label

MOST_LABELS = 1_000
"""Labels in force of one asset."""
MARKED = template("time marked")
UNDONE = template("mark undone")


class LabelPosition(NamedTuple):
    """The last label of a page: when it was made, and its id."""

    made_at: datetime
    id: str


def mark_interval(
    platform: LabelPorts,
    audit: Audit,
    asset: str,
    variables: Iterable[str],
    start: datetime,
    end: datetime,
    kind: LabelKind,
    reason: str,
    author: str,
    now: datetime,
) -> IntervalLabel:
    """Store a label of [start, end), and return it. Idempotent: the same one in force is returned
    as it is.

    Raises NotFound for an unknown asset or variable, UserError as `new_label`, and Conflicting if
    the asset has a thousand labels.
    """
    found = platform.assets.get(asset)
    if found is None:
        raise NotFound(f"there is no asset {asset!r}")
    label = new_label(found, variables, start, end, kind, reason, author, now)
    in_force = platform.labels.in_force([asset], None)
    same = next((one for one in in_force if one.is_same(label)), None)
    if same is not None:
        return same
    if len(in_force) >= MOST_LABELS:
        raise Conflicting(
            translatable("this asset has 1,000 marked times; undo some that no longer matter")
        )
    if platform.labels.insert(label):
        audit.add(author, MARKED, asset, now, None, _shown(label), label.reason)
    return label


def undo_label(
    platform: LabelPorts, audit: Audit, id: str, by: str, now: datetime, reason: str = ""
) -> IntervalLabel:
    """End a label, and return it; the document stays. Idempotent. Raises NotFound."""
    found = platform.labels.get(id)
    if found is None:
        raise NotFound(f"there is no label {id!r}")
    if found.undone_at is not None:
        return found
    undone = found.undo(by, now)
    if not platform.labels.store_undone(undone):
        return platform.labels.get(id) or undone  # another person was first
    audit.add(by, UNDONE, found.asset, now, _shown(found), None, reason)
    return undone


def list_labels(
    platform: LabelPorts, asset: str, limit: int, before: LabelPosition | None = None
) -> list[IntervalLabel]:
    """Return labels of an asset, undone ones among them, those made last first. Raises NotFound."""
    if platform.assets.get(asset) is None:
        raise NotFound(f"there is no asset {asset!r}")
    return platform.labels.newest(asset, limit, before)


def _shown(label: IntervalLabel) -> dict[str, Any]:
    names = ("id", "variables", "start", "end", "kind")
    return {name: asdict(label)[name] for name in names}
