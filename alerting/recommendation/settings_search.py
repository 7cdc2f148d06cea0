"""The search for the answer of least effort among all allowed combinations of settings.

Best first: boxes of settings, of all sets of levers, are taken in the order of their least effort,
halved until they are small, and then scored, so that few combinations are scored that need more
effort than the answer. The search ends when every combination of less effort is scored; if that
takes too many scorings, it returns the best answer so far and says so. Contributions decide between
answers of equal effort, and between levers if no answer suffices.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from math import inf, prod

import numpy as np
import numpy.typing as npt

from alerting.episodes.episode import Safety
from alerting.readings.history import Floats
from alerting.recommendation.what_if import AdviceSituation

Ints = npt.NDArray[np.int64]
# Combinations scored in one search; a tenth where all their features are computed anew.
MOST_SCORINGS = 20_000
AT_ONCE = 64  # combinations of a box that is scored at once
MOST_MISSED_AT_ONCE = 16  # combinations
COARSE = 9  # settings of each lever, where only the largest effect is wanted
EQUAL = 1e-9


@dataclass(frozen=True)
class Goal:
    """Conditions of an answer: a risk under `nominal`, and under `missed` if settings are missed.

    `distance`: greatest distance from normal operation. `relief`: least estimated movement of the
    problem variable away from its limit.
    """

    safety: Safety
    nominal: float
    missed: float | None
    distance: float
    relief: float = -inf


@dataclass(frozen=True)
class SearchAnswer:
    """A combination: levers, positions in their grids, effort, risk, and its row of the matrix."""

    members: tuple[int, ...]
    at: tuple[int, ...]
    effort: float
    risk: float
    row: Floats


@dataclass(frozen=True, eq=False)
class _Box:
    """A box of settings: of each of some levers the settings on one side of the present one
    (`sides`), ordered by effort, from `start` to `stop`."""

    members: tuple[int, ...]
    sides: tuple[Ints, ...]
    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def positions(self) -> list[Ints]:
        return [side[a:b] for side, a, b in zip(self.sides, self.start, self.stop, strict=True)]

    @property
    def size(self) -> int:
        return prod(b - a for a, b in zip(self.start, self.stop, strict=True))


class Search:
    """A search in one situation. `order`: order of the levers. `complete`: no combination was left
    out."""

    def __init__(
        self,
        situation: AdviceSituation,
        order: Sequence[int],
        shares: Sequence[float],
        max_changes: int,
    ) -> None:
        self.situation = situation
        self.complete = not any(situation.grids[i].lever.thinned for i in order)
        self._order = [i for i in order if len(situation.grids[i].settings)]
        self._shares = shares
        self._max_changes = max_changes
        self._left = MOST_SCORINGS

    def find_least_effort(
        self, goal: Goal, avoid: Sequence[frozenset[int]] = ()
    ) -> SearchAnswer | None:
        """Return the answer of least effort, of equal ones the one with the fewest changes.
        `avoid`: sets of levers that an answer must not contain."""
        self._left = MOST_SCORINGS
        best = None
        for size in range(1, self._max_changes + 1):
            allowed = [
                m
                for m in combinations(self._order, size)
                if not any(avoided <= set(m) for avoided in avoid)
            ]
            best = self._least_of(allowed, goal, best)
        return best

    def lowest(self, distance: float) -> SearchAnswer | None:
        """Return the answer with the lowest risk on a coarse grid, within a distance from normal
        operation."""
        self._left = MOST_SCORINGS
        best = None
        for members in self._subsets():
            if self._left <= 0:
                break
            grids = [self.situation.grids[i] for i in members]
            coarse = [
                g.settings[
                    np.unique(np.linspace(0, len(g.settings) - 1, COARSE).round().astype(int))
                ]
                for g in grids
            ]
            at = np.array(list(product(*coarse)), np.int64)
            at = at[: self._budget(members, len(at))]
            matrix = self.situation.rows(members, at)
            near = self.situation.distance(matrix) <= distance
            if near.any():
                risk = np.where(near, self.situation.risk(matrix), inf)
                efforts = self._efforts(members, at)
                first = int(np.lexsort((efforts, risk))[0])
                if best is None or risk[first] < best.risk - EQUAL:
                    best = SearchAnswer(
                        members,
                        tuple(at[first].tolist()),
                        float(efforts[first]),
                        float(risk[first]),
                        matrix[first],
                    )
        return best

    def _subsets(self) -> Iterator[tuple[int, ...]]:
        for size in range(1, self._max_changes + 1):
            of_size = list(combinations(self._order, size))
            yield from (
                sorted(of_size, key=lambda members: -sum(self._shares[i] for i in members))
                if size > 1
                else of_size
            )

    def _least_of(
        self, subsets: Sequence[tuple[int, ...]], goal: Goal, best: SearchAnswer | None
    ) -> SearchAnswer | None:
        """Return the answer of least effort that moves exactly one of these sets of levers; `best`
        if no answer needs less effort.

        Boxes of all sets are taken in the order of their least effort, and halved until they are
        small.
        """
        waiting: list[tuple[float, int, _Box]] = []
        count = 0
        for members in subsets:
            for sides in product(*(self._sides(i) for i in members)):
                box = _Box(members, sides, (0,) * len(sides), tuple(map(len, sides)))
                waiting.append((self._least_effort(box), count, box))
                count += 1
        heapq.heapify(waiting)
        while waiting:
            most = inf if best is None else best.effort - EQUAL
            if waiting[0][0] >= most:
                break
            if self._left <= 0:
                self.complete = False
                break
            box = self._clip(heapq.heappop(waiting)[2], most)
            if not box.size or self._most_relief(box) < goal.relief:
                continue
            if box.size <= AT_ONCE:
                best = self._score(box, goal, best)
            else:
                for part in self._halves(box):
                    heapq.heappush(waiting, (self._least_effort(part), count, part))
                    count += 1
        return best

    def _score(self, box: _Box, goal: Goal, best: SearchAnswer | None) -> SearchAnswer | None:
        members = box.members
        at = np.stack(np.meshgrid(*box.positions, indexing="ij"), axis=-1).reshape(-1, len(members))
        at = at[self._reliefs(members, at) >= goal.relief]
        efforts = self._efforts(members, at)
        order = np.argsort(efforts, kind="stable")
        order = order[efforts[order] < (inf if best is None else best.effort - EQUAL)]
        allowed = self._budget(members, len(order))
        self.complete &= allowed == len(order)
        order = order[:allowed]
        if not len(order):
            return best
        matrix = self.situation.rows(members, at[order])
        near = self.situation.distance(matrix) <= goal.distance
        order = order[near]
        matrix = matrix[near]
        risk = self.situation.risk(matrix)
        for k in self._robust(members, at[order], np.flatnonzero(risk < goal.nominal), goal):
            return SearchAnswer(
                members,
                tuple(at[order[k]].tolist()),
                float(efforts[order[k]]),
                float(risk[k]),
                matrix[k],
            )
        return best

    def _robust(self, members: tuple[int, ...], at: Ints, under: Ints, goal: Goal) -> Iterator[int]:
        """Return a mask of the combinations that stay under the goal's risk when settings are
        missed."""
        if goal.missed is None:
            yield from under.tolist()
            return
        first = 0
        several = 1
        while first < len(under):
            group = under[first : first + several]
            missed = [self._misses(members, at[k]) for k in group]
            ends = np.cumsum([0, *map(len, missed)])
            self._left -= int(ends[-1])
            at_risk = (
                self.situation.risk(self.situation.rows(members, np.concatenate(missed)))
                if ends[-1]
                else np.empty(0)
            )
            stays = at_risk < goal.missed
            yield from (
                k
                for k, (a, b) in zip(group.tolist(), pairwise(ends.tolist()), strict=True)
                if stays[a:b].all()
            )
            first = first + several
            several = min(2 * several, MOST_MISSED_AT_ONCE)

    def _misses(self, members: tuple[int, ...], at: Ints) -> Ints:
        grids = [self.situation.grids[i] for i in members]
        choices = [
            sorted({p, *g.misses[p].tolist()}) for g, p in zip(grids, at.tolist(), strict=True)
        ]
        return np.array(
            [c for c in product(*choices) if c != tuple(at.tolist())] or np.empty((0, len(at))),
            np.int64,
        )

    def _budget(self, members: tuple[int, ...], count: int) -> int:
        """Return how many of these combinations may still be scored, and count them, tenfold if
        their features are computed anew."""
        weight = 1 if self.situation.is_glued(members) else 10
        allowed = max(0, min(count, -(-self._left // weight)))
        self._left -= weight * allowed
        return allowed

    def _sides(self, i: int) -> list[Ints]:
        grid = self.situation.grids[i]
        if grid.lever.levels:
            return [grid.settings[k : k + 1] for k in range(len(grid.settings))]
        up = grid.values[grid.settings] > grid.lever.present
        return [side for side in (grid.settings[~up][::-1], grid.settings[up]) if len(side)]

    def _efforts(self, members: tuple[int, ...], at: Ints) -> Floats:
        return np.asarray(
            sum(self.situation.grids[i].efforts[at[:, k]] for k, i in enumerate(members)),
            np.float64,
        )

    def _reliefs(self, members: tuple[int, ...], at: Ints) -> Floats:
        return (
            np.asarray(
                sum(self.situation.grids[i].reliefs[at[:, k]] for k, i in enumerate(members)),
                np.float64,
            )
            + EQUAL
        )

    def _most_relief(self, box: _Box) -> float:
        return EQUAL + sum(
            float(self.situation.grids[i].reliefs[p].max())
            for i, p in zip(box.members, box.positions, strict=True)
        )

    def most_relief(self) -> float:
        """Return the largest estimated relief that any combination gives."""
        largest = [
            float(g.reliefs[g.settings].max())
            for g in (self.situation.grids[i] for i in self._order)
        ]
        return sum(sorted((r for r in largest if r > 0), reverse=True)[: self._max_changes])

    def _least_effort(self, box: _Box) -> float:
        return sum(
            float(self.situation.grids[i].efforts[p[0]])
            for i, p in zip(box.members, box.positions, strict=True)
        )

    def _clip(self, box: _Box, most: float) -> _Box:
        """Return the box without the settings that reach the effort `most` even if all other
        settings have their least effort."""
        least = self._least_effort(box)
        stops = []
        for i, side, start, stop in zip(box.members, box.sides, box.start, box.stop, strict=True):
            efforts = self.situation.grids[i].efforts[side[start:stop]]
            stops.append(
                start
                + int(np.searchsorted(efforts, most - (least - float(efforts[0])), side="left"))
            )
        return _Box(box.members, box.sides, box.start, tuple(stops))

    def _halves(self, box: _Box) -> list[_Box]:
        """Return the halves of a box, cut along the lever whose settings differ most in effort."""
        efforts = [
            self.situation.grids[i].efforts[p]
            for i, p in zip(box.members, box.positions, strict=True)
        ]
        k = max(
            range(len(efforts)),
            key=lambda j: (float(efforts[j][-1] - efforts[j][0]), len(efforts[j])),
        )
        middle = (box.start[k] + box.stop[k] + 1) // 2
        return [
            _Box(box.members, box.sides, box.start, (*box.stop[:k], middle, *box.stop[k + 1 :])),
            _Box(box.members, box.sides, (*box.start[:k], middle, *box.start[k + 1 :]), box.stop),
        ]
