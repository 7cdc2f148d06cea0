"""Whether the spacing of readings lets a condition be fulfilled at all, whatever their values are.

A value counts until the next one, for `stale_after` at most. Where the next one comes later, the
state is unknown in between, which begins `for` and `clear_for` anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Condition, Definition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.condition_fields import Combination, Conditions
from alerting.definitions.wording.language import joined
from alerting.detection.threshold import rates_of_change
from alerting.readings.history import Millis, duration_millis

Times = Mapping[str, Millis]
"""The instants (ms, increasing) of the values of each variable."""
LEAST = 4  # values from whose distances the spacing of a variable is known
_LEAST_SPANS = 3  # with fewer stretches of known times, the next one may be longer
_FOREVER = 2**61
D_contra = TypeVar("D_contra", bound=Definition, contravariant=True)
_LONGER = (2, 3, 5, 10, 20, 50)  # usual distances, tried as a longer time


class Spans(NamedTuple):
    """Stretches of time, which do not touch."""

    start: Millis
    end: Millis

    @property
    def longest(self) -> int:
        """Return the length (ms) of the longest stretch; 0 without any."""
        return int((self.end - self.start).max(initial=0))


@dataclass(frozen=True)
class Lasting:
    """A condition of one variable, or several, with the times for which it has to last."""

    condition: Condition | Combination
    hold: timedelta
    clear_for: timedelta
    missing_raises: bool = False

    def leaves(self) -> list[Condition]:
        """Return the conditions of single variables."""
        of = self.condition
        return list(of.leaves()) if isinstance(of, Combination) else [of]

    def lengthened(self, field: str, factor: int, times: Times) -> tuple[Lasting, timedelta]:
        """Return it with a longer time in a field where values come more seldom, and this time."""
        late = [leaf for leaf in self.leaves() if _cut_by(leaf, times) == field]
        longest = max((_usual(times[leaf.variable]) for leaf in late), default=0)
        enough = _round_up(timedelta(milliseconds=factor * longest))

        def change(of: Condition | Combination) -> Condition | Combination:
            if isinstance(of, Combination):
                return replace(of, members=tuple(map(change, of.members)))
            return of.model_copy(update={field: enough}) if of in late else of

        return replace(self, condition=change(self.condition)), enough


@runtime_checkable
class NeedsSpacing(Protocol[D_contra]):
    """A kind of which definitions can ask for what the spacing of readings makes impossible."""

    def spacing_variables(self, definition: D_contra, asset: Asset) -> Sequence[str]:
        """Return the variables whose spacing decides on an asset."""

    def describe_spacing(self, definition: D_contra, times: Times) -> Iterator[str]:
        """Yield what can never be fulfilled with values at these times, and what to write."""


def usual_distance(ts: Sequence[int] | Millis) -> timedelta:
    """Return the usual time between values at these instants (ms); 0 of fewer than two."""
    return timedelta(milliseconds=_usual(np.asarray(ts))) if len(ts) > 1 else timedelta(0)


def lasting_condition(definition: Conditions) -> Lasting:
    """Return what a definition's readings have to fulfil for an alarm to begin and to end."""
    combination = definition.combination
    missing = definition.no_data == "alert"
    return Lasting(combination or definition, definition.hold, definition.clear_for, missing)


def describe_unfulfillable(wanted: Lasting, times: Times) -> Iterator[str]:
    """Yield what can never be fulfilled with values at these times, and what to write instead.

    Nothing where the times are too few to tell.
    """
    if any(len(times.get(leaf.variable, ())) < LEAST for leaf in wanted.leaves()):
        return
    failed = list(_failures(wanted, times))
    if not failed:
        return
    causes = dict.fromkeys(filter(None, (_cause(leaf, times) for leaf in wanted.leaves())))
    remedy = _remedy(wanted, times)
    for sentence in failed:
        cause = joined("; ", *causes) if causes else ""
        what = joined(": ", cause, sentence) if cause else sentence
        yield joined("; ", what, remedy) if remedy else what


def _failures(wanted: Lasting, times: Times) -> Iterator[str]:
    """Yield what can never be fulfilled."""
    raises = _known_spans(wanted.condition, times, raises=True)
    if not wanted.missing_raises and _never_lasts(raises, wanted.hold):
        yield _why_not_raised(wanted, raises)
        return
    if wanted.clear_for and _never_lasts(_known_spans(wanted.condition, times), wanted.clear_for):
        yield (
            f"`clear_for: {format_duration(wanted.clear_for)}` can never be fulfilled, so no "
            "alarm ends"
        )


def _never_lasts(spans: Spans, wanted: timedelta) -> bool:
    """Return whether no stretch is longer than this; False where there may be longer ones."""
    number = len(spans.start)
    if number and number < _LEAST_SPANS:
        return False
    return spans.longest <= duration_millis(wanted)


def _why_not_raised(wanted: Lasting, raises: Spans) -> str:
    of = wanted.condition
    if len(raises.start):
        return f"`for: {format_duration(wanted.hold)}` can never be fulfilled"
    if isinstance(of, Combination):
        return "its conditions are never known at the same time, so no alarm comes"
    if of.at_least is not None and of.rate_per is None:
        return f"`at_least: {of.at_least.readings} of {of.at_least.of}` can never be fulfilled"
    return (
        f"no rate per {format_duration(of.rate_per or timedelta(0))} is ever known, so no "
        "alarm comes"
    )


def _cut_by(leaf: Condition, times: Times) -> str:
    """Return the field whose time is over before the next value usually comes; empty if none."""
    usual = _usual(times[leaf.variable])
    lengths = {"stale_after": _stale(leaf), "frozen_after": _frozen(leaf)}
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


def _remedy(wanted: Lasting, times: Times) -> str:
    """Return what makes it possible, tried on these times; empty if nothing does."""
    for factor in _LONGER:
        tried = wanted
        written = []
        for field in ("stale_after", "frozen_after"):
            tried, enough = tried.lengthened(field, factor, times)
            written += [f"{field}: {format_duration(enough)}"] if enough else []
        if written and not list(_failures(tried, times)):
            return f"write {', '.join(written)}"
    return ""


def _known_spans(of: Condition | Combination, times: Times, raises: bool = False) -> Spans:
    """Return when it can be known that a condition holds, or else that it does not."""
    if not isinstance(of, Combination):
        return _spans_alone(of, times[of.variable], raises)
    found = [_known_spans(member, times, raises) for member in of.members]
    return _merge(found, 1 if (of.how == "any") == raises else len(found))


def _spans_alone(leaf: Condition, ts: Millis, raises: bool) -> Spans:
    following = np.append(ts[1:], ts[-1] + _usual(ts))
    end = np.minimum(following, ts + min(_stale(leaf), _frozen(leaf)))
    known = np.ones(len(ts), np.bool_)
    if leaf.rate_per is not None:
        per = duration_millis(leaf.rate_per)
        rates = rates_of_change(ts, np.zeros(len(ts)), known, per, _stale(leaf), ())
        known = ~np.isnan(rates)
    if raises and leaf.at_least is not None:
        known &= _counts_since_hole(ts, _stale(leaf)) >= leaf.at_least.readings
    found = _merge([Spans(ts[known], end[known])], 1)
    # without a hole: also before the oldest of these readings, beside rarer ones of others
    return Spans(found.start - _FOREVER, found.end) if len(found.start) == 1 else found


def _counts_since_hole(ts: Millis, stale: int) -> npt.NDArray[np.int64]:
    """Return, for each reading, how many there are since the last hole in the data."""
    number = np.arange(len(ts))
    after_hole = np.append(True, np.diff(ts) > stale)
    first = np.maximum.accumulate(np.where(after_hole, number, 0))
    return np.asarray(number - first + 1)


def _merge(found: Sequence[Spans], least: int) -> Spans:
    """Return the stretches in which at least so many of several are."""
    at = np.concatenate([*(one.start for one in found), *(one.end for one in found)])
    number = sum(len(one.start) for one in found)
    step = np.where(np.arange(len(at)) < number, 1, -1)
    instants, position = np.unique(at, return_inverse=True)
    within = np.cumsum(np.bincount(position, step, len(instants))) > least - 0.5
    starts = instants[within & ~np.append(False, within[:-1])[: len(within)]]
    ends = instants[~within & np.append(False, within[:-1])[: len(within)]]
    return Spans(starts, ends)


def _stale(leaf: Condition) -> int:
    return _FOREVER if leaf.no_data == "ignore" else duration_millis(leaf.stale_after)


def _frozen(leaf: Condition) -> int:
    return _FOREVER if leaf.frozen_after is None else duration_millis(leaf.frozen_after)


def _usual(ts: Millis) -> int:
    return int(np.median(np.diff(ts)))


def _round_up(duration: timedelta) -> timedelta:
    """Return a duration as people write it that is not shorter: whole seconds up to a minute, then
    minutes, hours and days."""
    units = [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)]
    unit = max((one for one in units if one <= duration), default=units[0])
    return -(-duration // unit) * unit
