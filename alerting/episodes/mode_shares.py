"""The modes of an alarm: which of the named problems it probably is, as a sentence; and how often
that was right, counted alike in a training and in a report."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alerting.definitions.wording.language import (
    Styled,
    join_with_and,
    join_with_or,
    joined,
    translatable,
)


@dataclass(frozen=True)
class ModeShare:
    """The share of a mode in the problem that is expected; or of several together, which are not
    told from each other. `reasons`: titles of the variables that speak most for it."""

    modes: tuple[str, ...]
    share: float
    is_named: bool
    reasons: tuple[str, ...] = ()


def probable_mode(shares: Sequence[ModeShare]) -> str | None:
    """Return the mode that is named as the probable one; None if the others are more probable."""
    return shares[0].modes[0] if shares and shares[0].is_named else None


def describe_modes(shares: Sequence[ModeShare]) -> str:
    """Return the modes in a sentence: `probable mode: overstrain 71 % (by Torque), power 22 %, one
    of the others 7 %`, or `mode not certain: ...` if the others come first; empty without modes."""
    if not shares:
        return ""
    texts = joined(", ", *(_describe(stated, stated is shares[0]) for stated in shares))
    if probable_mode(shares) is None:
        return translatable("mode not certain: {modes}", modes=texts)
    return translatable("probable mode: {modes}", modes=texts)


def _describe(stated: ModeShare, is_first: bool) -> str:
    share = Styled(stated.share, "share")
    if not stated.is_named and not is_first:
        return translatable("one of the others {share}", share=share)
    modes = join_with_or(*stated.modes)
    if not stated.reasons or not is_first:
        return translatable("{mode} {share}", mode=modes, share=share)
    reasons = join_with_and(*stated.reasons)
    return translatable("{mode} {share} (by {reasons})", mode=modes, share=share, reasons=reasons)


class ModeAlarm(NamedTuple):
    """The mode that an alarm named, None without one; and the modes that came, None if the alarm
    was not right, or that is not known."""

    named: str | None
    came: Collection[str] | None


@dataclass(frozen=True)
class ModeMetrics:
    """How one mode was named: `alarms`: that named it; `of_right`: of these, whose problem came;
    `right`: of these, whose problem was of this mode. `problems` of it, and how many were
    `missed`."""

    mode: str
    alarms: int
    of_right: int
    right: int
    problems: int
    missed: int


def count_modes(
    modes: Iterable[str],
    alarms: Sequence[ModeAlarm],
    problems: Sequence[Collection[str]],
    missed: Sequence[Collection[str]],
) -> tuple[ModeMetrics, ...]:
    """Return the metrics of each mode. `problems`, `missed`: the modes of each problem; a problem
    of several modes counts for each of them."""
    came = {mode: [a.came for a in alarms if a.named == mode and a.came] for mode in modes}
    return tuple(
        ModeMetrics(
            mode=mode,
            alarms=sum(alarm.named == mode for alarm in alarms),
            of_right=len(of_right),
            right=sum(mode in shown for shown in of_right),
            problems=sum(mode in shown for shown in problems),
            missed=sum(mode in shown for shown in missed),
        )
        for mode, of_right in came.items()
    )
