"""Whether the spacing of readings allows a condition to be fulfilled at all, whatever their values
are.

A value counts until the next one, for `stale_after` at most. Where the next one comes later, the
state is unknown in between, which begins `for` and `clear_for` anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from statistics import median_low
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Condition, Definition, Severity
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.condition_fields import Combination, Conditions
from alerting.definitions.threshold_limits import level_delays
from alerting.definitions.wording.language import Styled, joined, template, translatable
from alerting.detection.threshold import frozen_millis, stale_millis
from alerting.readings.history import FAR_FUTURE, Millis, duration_millis
from alerting.readings.rates import rates_of_change
from alerting.readings.window_counts import unbroken_since

Times = Mapping[str, Millis]
"""The instants (ms, increasing) of the values of each variable."""
LEAST = 4  # values from whose distances the spacing of a variable is known
_LEAST_SPANS = 3  # with fewer stretches of known times, the next one may be longer
D_contra = TypeVar("D_contra", bound=Definition, contravariant=True)
_LONGER = (2, 3, 5, 10, 20, 50)  # usual distances, tried as a longer time
MOST_WINDOWS = 5
"""Windows in which a variable must come once to be described by windows. On simulated lines of
minutely variables one that came each 3 or 4 windows was worth its false alarms, each 6 was not, and
each 12 made twenty times as many."""


class Spans(NamedTuple):
    """Intervals of time (ms), which do not touch."""

    start: Millis
    end: Millis

    @property
    def longest(self) -> int:
        """Return the length (ms) of the longest interval; 0 without any."""
        return int((self.end - self.start).max(initial=0))


@dataclass(frozen=True)
class Lasting:
    """A condition on one or several variables, with the times for which it has to last (`for`, of
    `levels` by severity) and to be clear (`clear_for`)."""

    condition: Condition | Combination
    hold: timedelta
    clear_for: timedelta
    missing_raises: bool = False
    levels: Mapping[Severity, timedelta] = field(default_factory=dict)

    def leaves(self) -> list[Condition]:
        """Return the conditions of single variables."""
        condition = self.condition
        return list(condition.leaves()) if isinstance(condition, Combination) else [condition]

    def lengthened(self, field: str, factor: int, times: Times) -> tuple[Lasting, timedelta]:
        """Return this condition with a longer time in a field whose time is shorter than the
        distance of values, and the new time."""
        late = [leaf for leaf in self.leaves() if _cut_by(leaf, times) == field]
        longest = max((_usual(times[leaf.variable]) for leaf in late), default=0)
        enough = _round_up(timedelta(milliseconds=factor * longest))

        def change(part: Condition | Combination) -> Condition | Combination:
            if isinstance(part, Combination):
                return replace(part, members=tuple(map(change, part.members)))
            return part.model_copy(update={field: enough}) if part in late else part

        return replace(self, condition=change(self.condition)), enough


@runtime_checkable
class NeedsSpacing(Protocol[D_contra]):
    """A kind whose definitions can state conditions that the spacing of readings makes
    impossible."""

    def spacing_variables(self, definition: D_contra, asset: Asset) -> Sequence[str]:
        """Return the variables whose spacing on an asset matters."""

    def describe_spacing(self, definition: D_contra, times: Times) -> Iterator[str]:
        """Yield a sentence on each condition that can never be fulfilled with values at these
        times, and what to write."""


def usual_distance(ts: Sequence[int] | Millis) -> timedelta:
    """Return the usual time between values at these instants (ms); 0 for fewer than two."""
    return timedelta(milliseconds=_usual(np.asarray(ts))) if len(ts) > 1 else timedelta(0)


def seldom_variables(
    spacings: Mapping[str, timedelta | None], window: timedelta
) -> dict[str, timedelta | None]:
    """Return the variables, with their spacing, that come more seldom than once in `MOST_WINDOWS`
    windows, or usual spacings of all where these are longer. None: the spacing of a single value.
    """
    measured = [spacing for spacing in spacings.values() if spacing is not None]
    if not measured:
        return {}
    most = MOST_WINDOWS * max(window, median_low(measured))
    return {
        name: spacing for name, spacing in spacings.items() if spacing is None or spacing > most
    }


def describe_seldom(
    seldom: Mapping[str, timedelta | None], window: timedelta, include: Collection[str]
) -> Iterator[str]:
    """Describe the variables that come too seldom for a window: those left out, and those that stay
    because `include` names them: `left out: hardness, every 2h`."""
    left_out = template(
        "left out: {names} (more seldom than once in {count} windows of {duration})"
    )
    named = template(
        "used because include names it: {names} (more seldom than once in {count} windows of "
        "{duration}, so false alarms are likely; write longer windows, or leave it out)"
    )
    for text, is_named in ((left_out, False), (named, True)):
        names = [
            translatable("{name}, a single value", name=name)
            if spacing is None
            else translatable(
                "{name}, every {duration}", name=name, duration=format_duration(spacing)
            )
            for name, spacing in seldom.items()
            if (name in include) == is_named
        ]
        if names:
            yield translatable(
                text,
                names=joined("; ", *names),
                count=Styled(MOST_WINDOWS, "count"),
                duration=format_duration(window),
            )


def lasting_condition(definition: Conditions) -> Lasting:
    """Return the condition that a definition's readings have to fulfil, with the times for which it
    must last for an alarm to begin and to end."""
    combination = definition.combination
    levels = level_delays(definition)
    least = min(levels.values(), default=definition.hold)
    missing = definition.no_data == "alert"
    return Lasting(combination or definition, least, definition.clear_for, missing, levels)


def describe_unfulfillable(lasting: Lasting, times: Times) -> Iterator[str]:
    """Yield a sentence on each condition that can never be fulfilled with values at these times,
    and what to write instead.

    Nothing if there are too few times to tell.
    """
    if any(len(times.get(leaf.variable, ())) < LEAST for leaf in lasting.leaves()):
        return
    failed = list(_failures(lasting, times))
    if not failed:
        return
    causes = dict.fromkeys(filter(None, (_cause(leaf, times) for leaf in lasting.leaves())))
    remedy = _remedy(lasting, times)
    for sentence in failed:
        cause = joined("; ", *causes) if causes else ""
        text = joined(": ", cause, sentence) if cause else sentence
        yield joined("; ", text, remedy) if remedy else text


def _failures(lasting: Lasting, times: Times) -> Iterator[str]:
    raises = _known_spans(lasting.condition, times, raises=True)
    if not lasting.missing_raises and _never_lasts(raises, lasting.hold):
        yield _why_not_raised(lasting, raises)
        return
    yield from (
        f"`levels.{severity}.for: {format_duration(hold)}` can never be fulfilled"
        for severity, hold in lasting.levels.items()
        if hold > lasting.hold and _never_lasts(raises, hold)
    )
    if _never_lasts(_known_spans(lasting.condition, times), lasting.clear_for):
        yield f"{_why_not_ended(lasting)}, so no alarm ends"


def _never_lasts(spans: Spans, needed: timedelta) -> bool:
    """Return whether no interval is longer than `needed`; False if there are too few intervals to
    tell."""
    number = len(spans.start)
    if number and number < _LEAST_SPANS:
        return False
    return spans.longest <= duration_millis(needed)


def _why_not_raised(lasting: Lasting, raises: Spans) -> str:
    condition = lasting.condition
    if len(raises.start):
        return f"`for: {format_duration(lasting.hold)}` can never be fulfilled"
    if isinstance(condition, Combination):
        return "its conditions are never known at the same time, so no alarm comes"
    if condition.at_least is not None and condition.rate_per is None:
        count = condition.at_least
        return f"`at_least: {count.readings} of {count.of}` can never be fulfilled"
    return (
        f"no rate per {format_duration(condition.rate_per or timedelta(0))} is ever known, so no "
        "alarm comes"
    )


def _why_not_ended(lasting: Lasting) -> str:
    if lasting.clear_for:
        return f"`clear_for: {format_duration(lasting.clear_for)}` can never be fulfilled"
    if isinstance(lasting.condition, Combination):
        return "its conditions are never known at the same time"
    within = format_duration(lasting.condition.count_within or timedelta(0))
    return f"readings never cover `count_within: {within}` without a gap"


def _cut_by(leaf: Condition, times: Times) -> str:
    """Return the field (`stale_after` or `frozen_after`) whose time is over before the next value
    usually comes; empty if there is none."""
    usual = _usual(times[leaf.variable])
    lengths = {"stale_after": stale_millis(leaf), "frozen_after": frozen_millis(leaf)}
    field = min(lengths, key=lambda name: lengths[name])
    return field if lengths[field] < usual else ""


def _cause(leaf: Condition, times: Times) -> str:
    field = _cut_by(leaf, times)
    if not field:
        return ""
    return (
        f"{leaf.variable} comes every "
        f"{format_duration(usual_distance(times[leaf.variable]))}, longer than {field} "
        f"{format_duration(getattr(leaf, field))}"
    )


def _remedy(lasting: Lasting, times: Times) -> str:
    """Return a change of the definition that makes its condition possible, tried on these times;
    empty if none does."""
    for factor in _LONGER:
        tried = lasting
        written = []
        for name in ("stale_after", "frozen_after"):
            tried, enough = tried.lengthened(name, factor, times)
            written += [f"{name}: {format_duration(enough)}"] if enough else []
        if written and not list(_failures(tried, times)):
            return f"write {', '.join(written)}"
    return ""


def _known_spans(condition: Condition | Combination, times: Times, raises: bool = False) -> Spans:
    """Return the intervals in which it can be known that a condition holds (`raises`), or that it
    does not."""
    if not isinstance(condition, Combination):
        return _spans_alone(condition, times[condition.variable], raises)
    of_members = [_known_spans(member, times, raises) for member in condition.members]
    return _merge(of_members, 1 if (condition.how == "any") == raises else len(of_members))


def _spans_alone(leaf: Condition, ts: Millis, raises: bool) -> Spans:
    following = np.append(ts[1:], ts[-1] + _usual(ts))
    end = np.minimum(following, ts + min(stale_millis(leaf), frozen_millis(leaf)))
    if leaf.no_data == "clear" and not raises:
        end = following
    is_known = np.ones(len(ts), np.bool_)
    if leaf.count_within is not None and not raises:
        since = unbroken_since(ts, stale_millis(leaf))
        ts = np.maximum(ts, since + duration_millis(leaf.count_within))
        is_known = ts < end
    if leaf.rate_per is not None:
        per = duration_millis(leaf.rate_per)
        rates = rates_of_change(ts, np.zeros(len(ts)), is_known, per, stale_millis(leaf), ())
        is_known = ~np.isnan(rates)
    if raises and leaf.at_least is not None:
        is_known &= _counts_since_hole(ts, stale_millis(leaf)) >= leaf.at_least.readings
    spans = _merge([Spans(ts[is_known], end[is_known])], 1)
    # without a hole: also before the oldest of these readings, beside rarer ones of others
    return Spans(spans.start - FAR_FUTURE, spans.end) if len(spans.start) == 1 else spans


def _counts_since_hole(ts: Millis, stale: int) -> npt.NDArray[np.int64]:
    """Return, for each reading, the number of readings since the last hole in the data."""
    number = np.arange(len(ts))
    after_hole = np.append(True, np.diff(ts) > stale)
    first = np.maximum.accumulate(np.where(after_hole, number, 0))
    return np.asarray(number - first + 1)


def _merge(spans: Sequence[Spans], least: int) -> Spans:
    """Return the intervals in which at least so many of several lists have an interval."""
    at = np.concatenate([*(part.start for part in spans), *(part.end for part in spans)])
    step = np.where(np.arange(len(at)) < sum(len(part.start) for part in spans), 1, -1)
    instants, position = np.unique(at, return_inverse=True)
    within = np.cumsum(np.bincount(position, step, len(instants))) > least - 0.5
    starts = instants[within & ~np.append(False, within[:-1])[: len(within)]]
    return Spans(starts, instants[~within & np.append(False, within[:-1])[: len(within)]])


def _usual(ts: Millis) -> int:
    return int(np.median(np.diff(ts)))


def _round_up(duration: timedelta) -> timedelta:
    """Return a duration rounded up as people write it: to whole seconds up to a minute, then to
    minutes, hours and days."""
    units = [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)]
    unit = max((length for length in units if length <= duration), default=units[0])
    return -(-duration // unit) * unit
