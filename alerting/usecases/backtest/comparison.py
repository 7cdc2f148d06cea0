"""Alarms of a draft beside those of the revision in service."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alerting.usecases.backtest.past_alarms import PastAlarm

_END = datetime.max.replace(tzinfo=UTC)  # of an alarm that is open


@dataclass(frozen=True)
class PreviewComparison:
    """Numbers of alarms of a draft beside those of the revision in service: of the draft alone, of
    that revision alone, and of both, which overlap on an asset."""

    revision: int
    only_draft: int
    only_served: int
    both: int


@dataclass(frozen=True)
class ComparedAlarms:
    """Alarms of the draft alone, of the revision in service alone, and those of the draft that
    overlap one of that revision on the same asset."""

    only_draft: tuple[PastAlarm, ...]
    only_served: tuple[PastAlarm, ...]
    both: tuple[PastAlarm, ...]

    def count(self, revision: int) -> PreviewComparison:
        """Return the numbers. `revision`: number of that in service."""
        return PreviewComparison(
            revision, len(self.only_draft), len(self.only_served), len(self.both)
        )


def compare_alarms(draft: Sequence[PastAlarm], served: Sequence[PastAlarm]) -> ComparedAlarms:
    """Compare two lists. Alarms of one list do not overlap on an asset."""
    in_both = _overlap(draft, served)
    in_draft = _overlap(served, draft)
    return ComparedAlarms(
        tuple(one for one, is_both in zip(draft, in_both, strict=True) if not is_both),
        tuple(one for one, is_both in zip(served, in_draft, strict=True) if not is_both),
        tuple(one for one, is_both in zip(draft, in_both, strict=True) if is_both),
    )


def _overlap(alarms: Sequence[PastAlarm], others: Sequence[PastAlarm]) -> list[bool]:
    """Return whether each alarm overlaps one of the others on its asset."""
    by_asset: dict[str, list[PastAlarm]] = {}
    for other in sorted(others, key=lambda one: one.raised_at):
        by_asset.setdefault(other.asset, []).append(other)
    found: list[bool] = []
    for one in alarms:
        there = by_asset.get(one.asset, [])
        last = bisect_right(there, one.closed_at or _END, key=lambda other: other.raised_at)
        found.append(bool(last) and (there[last - 1].closed_at or _END) >= one.raised_at)
    return found
