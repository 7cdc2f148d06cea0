"""Alarms and tiles of a screen on the wall, dealt out to pages of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

from alerting.definitions.model import SEVERITIES
from alerting.operators.causes import Cause
from alerting.operators.tiles import PartTiles, Tile, TileState

CARDS = 4
"""Alarms on one page. Of more, the most urgent one stands on every page."""
TILES_BELOW_CARDS = 4
TILES_ALONE = 20
MOST_PAGES = 12
_One = TypeVar("_One")
_RANKS: tuple[TileState, ...] = get_args(TileState)
_QUIET = frozenset({"normal", "not watched", "muted"})


@dataclass(frozen=True)
class WallPage:
    """What one page shows: alarms by cause, and tiles of assets."""

    causes: tuple[Cause, ...]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Wall:
    """The pages that follow each other, at least one; `more`: alarms on none of them; `normal`:
    assets without anything to tell, which stand on a page only where there is room."""

    pages: tuple[WallPage, ...]
    more: int
    normal: int


def make_wall(causes: Sequence[Cause], parts: Iterable[PartTiles]) -> Wall:
    """Return the pages of a wall. `causes`: the most urgent first; `parts`: of the plant.

    All alarms stand on one page if there are few. While there are any, of the tiles only those
    that are not normal get pages of their own.
    """
    if len(causes) <= CARDS:
        cards = [tuple(causes)]
    else:
        first, *others = causes
        cards = [(first, *some) for some in _deal(others, CARDS - 1)]
    parts = list(parts)
    tiles = sorted((tile for part in parts for tile in part.tiles), key=_urgency)
    loud = [tile for tile in tiles if tile.state not in _QUIET]
    silent_first = sorted(tiles, key=lambda tile: tile.silenced is None)
    quiet = [tile for tile in silent_first if tile.state in _QUIET]
    size = TILES_BELOW_CARDS if causes else TILES_ALONE
    spare = (-len(loud) % size if loud else size) if causes else None
    rows = _deal([*loud, *quiet[:spare]], size)
    count = min(MOST_PAGES, max(len(cards), len(rows)))
    shown = {id(one) for group in cards[:count] for one in group}
    return Wall(
        tuple(WallPage(cards[n % len(cards)], rows[n % len(rows)]) for n in range(count)),
        sum(cause.size for cause in causes if id(cause) not in shown),
        sum(tile.state == "normal" for tile in tiles) + sum(part.normal for part in parts),
    )


def _urgency(tile: Tile) -> tuple[int, int]:
    severity = -1 if tile.severity is None else SEVERITIES.index(tile.severity)
    return _RANKS.index(tile.state), -severity


def _deal(things: Sequence[_One], size: int) -> list[tuple[_One, ...]]:
    """Return the things in groups of at most this size; one empty group of none."""
    return [tuple(things[n : n + size]) for n in range(0, len(things), size)] or [()]
