"""Labels that a person gives to times of an asset: bad values, or a time not to learn from."""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import NotFound, UserError, name_hint
from alerting.definitions.wording.language import translatable
from alerting.readings.buckets import Interval, merge_intervals
from alerting.readings.history import from_millis, to_millis

LabelKind = Literal["bad", "not_to_learn_from"]
LONGEST_LABEL_REASON = 500
MOST_LABELLED_VARIABLES = 100


@dataclass(frozen=True)
class IntervalLabel:
    """A label of [start, end) of an asset.

    `bad`: values of the variables count as of bad quality in that time. `not_to_learn_from`: no
    model that reads one of the variables learns from that time, or is measured by it. `variables`:
    empty for all of the asset. `undone_at`, `undone_by`: None while the label is in force.
    """

    id: str
    asset: str
    variables: tuple[str, ...]
    start: datetime
    end: datetime
    kind: LabelKind
    reason: str
    author: str
    made_at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None

    def in_force(self, at: datetime | None) -> bool:
        """Return whether the label is in force at an instant; for None, whether it is not
        undone."""
        if at is None:
            return self.undone_at is None
        return self.made_at <= at and (self.undone_at is None or at < self.undone_at)

    def is_same(self, label: "IntervalLabel") -> bool:
        """Return whether this label says the same as another one."""
        return self._content() == label._content()

    def concerns(self, asset: Asset, names: Collection[str]) -> bool:
        """Return whether the label is on one of these variables, or on a part of one that is
        computed."""
        if self.asset != asset.name:
            return False
        return not self.variables or not set(self.variables).isdisjoint(asset.with_parts(names))

    def undo(self, by: str, at: datetime) -> "IntervalLabel":
        """Return the label as undone by a person."""
        return replace(self, undone_at=at, undone_by=by)

    def _content(self) -> tuple[object, ...]:
        return self.asset, self.kind, frozenset(self.variables), self.start, self.end


def new_label(
    asset: Asset,
    variables: Iterable[str],
    start: datetime,
    end: datetime,
    kind: LabelKind,
    reason: str,
    author: str,
    now: datetime,
) -> IntervalLabel:
    """Return a label with its identity; its instants are whole milliseconds.

    Raises NotFound for an unknown variable, and UserError for a time that is empty or longer than a
    year, for one after `now`, and without a reason.
    """
    names = tuple(sorted(set(variables)))
    for name in names:
        if name not in asset.variables:
            hint = name_hint(name, asset.variables, "known variables")
            raise NotFound(
                f"{asset.name!r} declares no variable {name!r}" + (hint and f" ({hint})")
            )
    begin = from_millis(to_millis(start))
    stop = from_millis(to_millis(end))
    if begin >= stop:
        raise UserError(translatable("the time must begin before it ends"))
    if stop - begin > timedelta(days=366):
        raise UserError(translatable("mark at most a year at once"))
    if begin > now:
        raise UserError(translatable("a time that has not begun cannot be marked"))
    if len(names) > MOST_LABELLED_VARIABLES:
        raise UserError(translatable("mark at most 100 variables at once, or the whole asset"))
    why = " ".join(reason.split())
    if not why:
        raise UserError(translatable("a reason is needed, for those who look at this time later"))
    if len(why) > LONGEST_LABEL_REASON:
        raise UserError(translatable("the reason has at most 500 characters"))
    made_at = from_millis(to_millis(now))
    content = [asset.name, kind, names, begin.isoformat(), stop.isoformat(), made_at.isoformat()]
    id = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return IntervalLabel(id, asset.name, names, begin, stop, kind, why, author, made_at)


def bad_intervals(labels: Iterable[IntervalLabel], asset: Asset, name: str) -> tuple[Interval, ...]:
    """Return the times (ms) at which values of a variable count as bad, in order."""
    return merge_intervals(
        (to_millis(label.start), to_millis(label.end))
        for label in labels
        if label.kind == "bad" and label.concerns(asset, [name])
    )
