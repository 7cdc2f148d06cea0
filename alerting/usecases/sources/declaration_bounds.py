"""Bounds of what data may declare by themselves: per delivery, per source and in all.

Existing names stay, and names that an engineer imports are not counted. A row beyond a bound is
refused, with advice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError, shown
from alerting.definitions.platform_limits import DeclarationLimits
from alerting.usecases.sources.message_parts import RowRefused

if TYPE_CHECKING:
    from alerting.stores.deliveries_and_changes import SourceDeliveries


class RowBeyondBounds(RowRefused):
    """Error: a row would declare more than its source may; an engineer decides whether it may."""


class BeyondBounds(UserError):
    """Refusal of a whole file that would declare more than its source may."""


@dataclass(frozen=True)
class NewNames:
    """The names that a delivery declares for the first time: assets, variables as `asset.variable`,
    and event types."""

    assets: Sequence[str] = ()
    variables: Sequence[str] = ()
    event_types: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Return the number of all new names."""
        return len(self.assets) + len(self.variables) + len(self.event_types)


def new_names(before: Mapping[str, Asset | None], after: Sequence[Asset]) -> NewNames:
    """Return the names that changed assets declare and stored assets do not."""
    assets = list[str]()
    variables = list[str]()
    for asset in after:
        stored = before.get(asset.name)
        assets += [asset.name] if stored is None else []
        old = stored.variables if stored is not None else {}
        variables += [f"{asset.name}.{name}" for name in asset.variables if name not in old]
    return NewNames(assets, variables)


class Headroom:
    """Number of names that one delivery may still declare. The counts of earlier deliveries are
    read when the first new name comes.

    `declarer`: the source, or the sender of rows without a source. Event types count as variables.
    """

    def __init__(
        self, limits: DeclarationLimits, deliveries: SourceDeliveries, declarer: str
    ) -> None:
        self._bounds = {"asset": limits.assets, "variable": limits.variables}
        self._deliveries = deliveries
        self._declarer = declarer
        self._taken = {"asset": 0, "variable": 0}

    @cached_property
    def _declared(self) -> Mapping[str, Mapping[str, int]]:
        """Return the numbers of assets and variables so far, by declarer."""
        by_declarer = self._deliveries.declarations()
        return {
            "asset": {name: counts.declared_assets for name, counts in by_declarer.items()},
            "variable": {name: counts.declared_variables for name, counts in by_declarer.items()},
        }

    def take(self, assets: Sequence[str], variables: Sequence[str]) -> None:
        """Count new names. Raises RowBeyondBounds, and counts none of them, if a bound does not
        allow all."""
        new = {noun: n for noun, n in {"asset": assets, "variable": variables}.items() if n}
        for noun, names in new.items():
            self._check(noun, names)
        for noun, names in new.items():
            self._taken[noun] += len(names)

    def _check(self, noun: str, names: Sequence[str]) -> None:
        """Raise RowBeyondBounds if the numbers of names, with the new ones, would break a bound."""
        bounds = self._bounds[noun]
        taken = self._taken[noun]
        of_all = sum(self._declared[noun].values()) + taken
        of_declarer = self._declared[noun].get(self._declarer, 0) + taken
        again = "send the row again, " if len(names) <= bounds.delivery else ""
        for most, already, words, remedy in (
            (bounds.in_all, of_all, f"all sources have declared {of_all}", ""),
            (
                bounds.source,
                of_declarer,
                f"{spoken(self._declarer)} has declared {of_declarer}",
                "",
            ),
            (bounds.delivery, taken, f"this delivery declares {taken} already", again),
        ):
            if already + len(names) > most:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise RowBeyondBounds(
                    f"{shown(names[0])}{more}: would be a new {noun}; {words}, and "
                    f"{most} are allowed: {remedy}declare it first"
                )


def refuse_surplus(headroom: Headroom, names: NewNames, file: str) -> None:
    """Count what a file declares, which is stored whole or not at all. Raises BeyondBounds if a
    bound does not allow it."""
    try:
        headroom.take(names.assets, [*names.variables, *names.event_types])
    except RowBeyondBounds as refusal:
        raise BeyondBounds(f"{file}: {refusal}; nothing of the file is stored") from refusal


def declarer_of(source: str | None, sender: str | None) -> str:
    """Return the name under which declarations are counted: the source, or the sender, whose name
    has a blank."""
    return source if source is not None else f"sender {sender or 'unknown'}"


def spoken(declarer: str) -> str:
    """Return a declarer in words for people."""
    return declarer if " " in declarer else f"source {declarer}"
