"""Assets whose level has moved from one estimate of a control chart to the next."""

from collections.abc import Iterator, Mapping

from alerting.kinds.control_chart.model import FittedChart

_MOVED = 1.0  # standard deviations of a reading by which a level has moved


def moved_assets(
    new: Mapping[str, FittedChart], old: Mapping[str, FittedChart]
) -> Iterator[tuple[str, str]]:
    """Yield the assets whose level has moved, each with a sentence."""
    for name in sorted(new.keys() & old.keys()):
        for of, before, after, deviation in _levels(old[name], new[name]):
            by = (after - before) / deviation
            if abs(by) > _MOVED:
                yield (
                    name,
                    f"On {name} the level{of} has moved from {before:.6g} to {after:.6g}, by "
                    f"{by:+.2g} standard deviations of a reading",
                )
                break


def _levels(old: FittedChart, new: FittedChart) -> Iterator[tuple[str, float, float, float]]:
    """Yield common levels: of what, before, after, and the deviation of a reading before."""
    if old.runs is None or new.runs is None:
        yield "", old.chart.centre, new.chart.centre, old.deviation
        return
    for category, level in old.runs.levels.items():
        if category in new.runs.levels:
            yield (
                f" of {old.runs.by} {category}",
                level.centre,
                new.runs.levels[category].centre,
                level.deviation,
            )
