"""The modes of an alarm: which of the named problems it probably is, as a sentence; and how often
that was right, counted alike in a training and in a report."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

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
    of the others 7 %`; empty without modes."""
    if not shares:
        return ""
    texts = [_describe(stated, stated is shares[0]) for stated in shares]
    return translatable("probable mode: {modes}", modes=joined(", ", *texts))


def _describe(stated: ModeShare, is_first: bool) -> str:
    share = Styled(stated.share, "share")
    if not stated.is_named and not is_first:
        return translatable("one of the others {share}", share=share)
    modes = join_with_or(*stated.modes)
    if not stated.reasons or not is_first:
        return translatable("{mode} {share}", mode=modes, share=share)
    reasons = join_with_and(*stated.reasons)
    return translatable("{mode} {share} (by {reasons})", mode=modes, share=share, reasons=reasons)


@dataclass(frozen=True)
class ModeAlarm:
    """The mode that an alarm named, None without one; and the modes that came, None if the alarm
    was not right, or that is not known."""

    named: str | None
    came: Collection[str] | None


@dataclass(frozen=True)
class ModeProblem:
    """The modes of a problem, and whether an alarm announced it."""

    modes: Collection[str]
    is_announced: bool


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
    modes: Iterable[str], alarms: Sequence[ModeAlarm], problems: Sequence[ModeProblem]
) -> tuple[ModeMetrics, ...]:
    """Return the figures of each mode. A problem of several modes counts for each of them."""
    figures = []
    for mode in modes:
        named = [alarm for alarm in alarms if alarm.named == mode]
        came = [alarm.came for alarm in named if alarm.came]
        of_mode = [problem for problem in problems if mode in problem.modes]
        figures.append(
            ModeMetrics(
                mode=mode,
                alarms=len(named),
                of_right=len(came),
                right=sum(mode in modes for modes in came),
                problems=len(of_mode),
                missed=sum(not problem.is_announced for problem in of_mode),
            )
        )
    return tuple(figures)
