"""Normal operation of an asset that makes several products: the categories that are known, and
sentences for people on them."""

from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np

from alerting.definitions.faults import format_duration
from alerting.detection.anomalies.category_space import LEAST_ROWS
from alerting.detection.anomalies.threshold import Threshold
from alerting.detection.categories import Labels
from alerting.detection.problems import BoolArray
from alerting.kinds.anomaly.unseen_scores import split_rows
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import Millis

_SHOWN = 20


def known_categories(at: Millis, categories: Labels, window_ms: int) -> frozenset[str]:
    """Return the categories of which every fold has fitted on at least `LEAST_ROWS` rows: also
    without its unseen time."""
    known = frozenset(name for name in categories.tolist() if name is not None)
    while known:
        inside = are_in(categories, known)
        labels = categories[inside]
        fits = [Counter(labels[fit].tolist()) for fit, _ in split_rows(at[inside], window_ms)]
        few = {name for name in known if any(fit[name] < LEAST_ROWS for fit in fits)}
        if not few:
            break
        known -= few
    return known


def are_in(categories: Labels, names: Collection[str]) -> BoolArray:
    """Return which rows are of one of these categories."""
    return np.array([category in names for category in categories.tolist()], np.bool_)


def describe_categories(
    by: str,
    categories: Labels,
    learned: Collection[str],
    plan: FeaturePlan,
    changes: float,
    together: Threshold,
) -> Iterator[str]:
    """Yield sentences on the categories of the rows that were learned from.

    `learned`: those with a level of their own; `changes`: share of normal rows whose windows lie
    over a change; `together`: the threshold of the detector of all rows.
    """
    rows = Counter(name for name in categories.tolist() if name is not None)
    window = format_duration(plan.lookback)
    few = [f"{name}: {count} rows" for name, count in sorted(rows.items()) if name not in learned]
    if not learned:
        seen = f" ({_listed(few)})" if few else ""
        yield (
            f"all rows are compared with each other: no {by} is in force throughout windows of "
            f"{window} in {LEAST_ROWS} rows of "
            f"every fit{seen}; write a longer normal history, or shorter windows"
        )
        return
    own = _listed([f"{name} ({rows[name]} rows)" for name in sorted(learned)])
    yield f"rows are compared with those of their own {by}: {own}"
    others = f"with too little normal time ({_listed(few)}) or never seen" if few else "never seen"
    yield (
        f"a {by} {others} is compared with all rows together: threshold by {together.method}, from "
        f"{7 * together.weeks:.2g} days"
    )
    if changes:
        yield f"unknown in {changes:.0%} of normal time: the {by} changed within the last {window}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
