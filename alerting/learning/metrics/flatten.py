"""Metrics by name, with their 95 % confidence intervals under `intervals`: merged, or flat as a run
stores them."""

from collections.abc import Mapping
from typing import Any


def flatten_metrics(prefix: str, metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Flatten metrics and their `intervals`: `test_ap`, `test_ap_low`, `test_ap_high` for the
    prefix `test`."""
    flat = {f"{prefix}_{name}": value for name, value in metrics.items() if name != "intervals"}
    for name, (low, high) in metrics.get("intervals", {}).items():
        flat |= {f"{prefix}_{name}_low": low, f"{prefix}_{name}_high": high}
    return flat


def merge_metrics(rows: Mapping[str, Any], events: Mapping[str, Any]) -> dict[str, Any]:
    """Merge metrics over rows and over events, with the intervals of both."""
    return {
        **rows,
        **events,
        "intervals": {**rows.get("intervals", {}), **events.get("intervals", {})},
    }
