"""Declare what the rows of a source bring: assets, variables with their types, event types. Rows of
other types are refused.

What data may declare by themselves is bounded, per delivery, per source and in all. What is there
stays, and what an engineer imports is not counted. A row beyond a bound is refused, with what to do
about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from alerting.definitions.asset_documents import MOST_VARIABLES, Asset
from alerting.definitions.faults import UserError, shown
from alerting.definitions.operating_limits import DeclarationBounds, DeclarationLimits
from alerting.usecases.sources.records import RowRefused

if TYPE_CHECKING:
    from alerting.stores.deliveries import SourceDeliveries


class RowBeyondBounds(RowRefused):
    """Error: a row would declare more than its source may; an engineer decides whether it may."""


class BeyondBounds(UserError):
    """Refusal of a whole file that would declare more than its source may."""


@dataclass(frozen=True)
class NewNames:
    """The names that a delivery declares for the first time: assets, variables as `asset.variable`,
    and types of events."""

    assets: Sequence[str] = ()
    variables: Sequence[str] = ()
    event_types: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Return how many there are of all."""
        return len(self.assets) + len(self.variables) + len(self.event_types)


def new_names(before: Mapping[str, Asset | None], after: Sequence[Asset]) -> NewNames:
    """Return what changed assets declare beside the stored ones."""
    assets = list[str]()
    variables = list[str]()
    for asset in after:
        stored = before.get(asset.name)
        assets += [asset.name] if stored is None else []
        known = stored.variables if stored is not None else {}
        variables += [f"{asset.name}.{name}" for name in asset.variables if name not in known]
    return NewNames(assets, variables)


class Headroom:
    """Names that one delivery may still declare. The counts of earlier deliveries are read when the
    first new name comes.

    `declarer`: the source, or the sender of rows that came without one. Types of events count as
    variables.
    """

    def __init__(
        self, limits: DeclarationLimits, deliveries: "SourceDeliveries", declarer: str
    ) -> None:
        self._limits = limits
        self._deliveries = deliveries
        self._declarer = declarer
        self._assets = self._variables = 0

    @cached_property
    def _declared(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the numbers of assets and variables so far: of the declarer, and of all."""
        found = self._deliveries.declarations()
        counts = {
            name: (one.declared_assets, one.declared_variables) for name, one in found.items()
        }
        return counts.get(self._declarer, (0, 0)), (
            sum(n for n, _ in counts.values()),
            sum(n for _, n in counts.values()),
        )

    def take(self, assets: Sequence[str], variables: Sequence[str]) -> None:
        """Count new names. Raises RowBeyondBounds, and counts none of them, if a bound does not
        allow all."""
        if not assets and not variables:
            return
        (own_assets, own_variables), (all_assets, all_variables) = self._declared
        checked = (
            ("asset", assets, self._limits.assets, self._assets, own_assets, all_assets),
            (
                "variable",
                variables,
                self._limits.variables,
                self._variables,
                own_variables,
                all_variables,
            ),
        )
        for what, names, bounds, taken, own, of_all in checked:
            if names:
                self._check(what, names, bounds, taken, own, of_all)
        self._assets += len(assets)
        self._variables += len(variables)

    def _check(
        self,
        what: str,
        names: Sequence[str],
        bounds: DeclarationBounds,
        taken: int,
        own: int,
        of_all: int,
    ) -> None:
        counted = (
            (bounds.in_all, of_all + taken, f"all sources have declared {of_all + taken}"),
            (bounds.source, own + taken, f"{spoken(self._declarer)} has declared {own + taken}"),
            (bounds.delivery, taken, f"this delivery declares {taken} already"),
        )
        for place, (most, already, words) in enumerate(counted):
            if already + len(names) > most:
                is_for_now = place == 2 and len(names) <= most
                again = "send the row again (of a broker: alerting retry), " if is_for_now else ""
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise RowBeyondBounds(
                    f"{shown(names[0])}{more}: would be a new {what}; {words}, and "
                    f"{most} are allowed: {again}declare it with alerting import assets"
                )


def refuse_full(asset: Asset, count: int) -> None:
    """Raise RowBeyondBounds if an asset with `count` variables more would have more than an asset
    may."""
    if len(asset.variables) + count > MOST_VARIABLES:
        raise RowBeyondBounds(
            f"{asset.name} has {len(asset.variables)} variables, and an asset has at most "
            f"{MOST_VARIABLES}: "
            "send variables of another asset, or leave columns out (others: ignore in the source)"
        )


def refuse_surplus(headroom: Headroom, names: NewNames, file: str) -> None:
    """Count what a file declares, which is stored whole or not at all. Raises BeyondBounds if a
    bound does not allow it."""
    try:
        headroom.take(names.assets, [*names.variables, *names.event_types])
    except RowBeyondBounds as refusal:
        raise BeyondBounds(f"{file}: {refusal}; nothing of the file is stored") from refusal


def declarer_of(source: str | None, sender: str | None) -> str:
    """Return the name under which declarations are counted: the source, else the sender, told apart
    by a blank."""
    return source if source is not None else f"sender {sender or 'unknown'}"


def spoken(declarer: str) -> str:
    """Return a declarer for people."""
    return declarer if " " in declarer else f"source {declarer}"
