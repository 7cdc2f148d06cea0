"""Times of previews of a threshold over four weeks of readings a second, by the API."""

import time
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import Platform, ReadingBatch, SampleColumn
from alerting.readings.history import to_millis

WEEKS = timedelta(weeks=4)
KILN = Asset(name="kiln-1", variables={"temperature": Variable(unit="°C")})
LIMITS = (208.0, 208.5, 209.0, 209.5, 207.5, 207.0, 206.0, 205.0, 203.0, 201.0)
SECOND = 1000
_BATCH = 10_000 * SECOND


def fill(platform: Platform, end: datetime) -> None:
    """Store four weeks of a temperature that swings by 10 °C in six hours, with noise of 0.2 °C."""
    platform.assets.store_assets([KILN])
    rng = np.random.default_rng(3)
    first = to_millis(end - WEEKS)
    for start in range(first, to_millis(end), _BATCH):
        at = np.arange(start, min(start + _BATCH, to_millis(end)), SECOND)
        values = np.round(200 + 10 * np.sin(at / 3.6e6) + rng.normal(0, 0.2, len(at)), 2)
        column = SampleColumn(values, np.ones(len(at), np.bool_))
        names = np.array([KILN.name] * len(at), object)
        platform.reading_writes.insert(ReadingBatch(names, at, {"temperature": column}), end)


def measure(browser: TestClient, end: datetime) -> dict[str, Any]:
    """Return seconds of the first preview and of each change of its limit, and what is held."""
    first, alarms = _preview(browser, LIMITS[0], end)
    changes = [_preview(browser, limit, end) for limit in LIMITS[1:]]
    return {
        "first_s": round(first, 2),
        "changed_limit_s": [round(seconds, 2) for seconds, _ in changes],
        "alarms": [alarms, *(count for _, count in changes)],
        "held_MB": round(browser.app.state.previews.cache.bytes_used / 1e6, 1),  # type: ignore[attr-defined]
    }


def _preview(browser: TestClient, limit: float, end: datetime) -> tuple[float, int]:
    draft = {"name": "hot", "kind": "threshold", "assets": [KILN.name], "for": "10s"}
    body = {
        "definition": {**draft, "variable": "temperature", "above": limit, "clear_for": "5m"},
        "from": (end - WEEKS).isoformat(),
        "to": end.isoformat(),
    }
    started = time.perf_counter()
    found = browser.post("/api/v1/definitions:preview", json=body).json()
    while found["ended_at"] is None:
        found = browser.get(f"/api/v1/previews/{found['id']}?wait=10").json()
    assert found["state"] == "done", found["fault"]
    return time.perf_counter() - started, found["result"]["episodes"]
