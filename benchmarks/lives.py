"""How far is the estimated remaining life of parts that differ from new? Sixty assets with six
sensors, read every four hours for 240 days. A part lasts 10 to 70 days, then the next one is put
in, whose sensors are offset by more than wear moves them. Peer: LightGBM on the same columns.
"""

from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.kinds.registry import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.lives import mean_by_life
from alerting.learning.selection.life_training import rows_of_lives, spread_rows, train_life
from alerting.readings.history import DAY_MS, History

SEEDS = (11, 12, 13)
FLEET = {"name": "fleet", "kind": "classifier", "assets": ["unit-*"], "horizon": "7d"}
ENDS = {"problem": {"event": "failure"}, "remaining_life": True, "periods": {"test": 0.3}}


def run() -> dict[str, Any]:
    """Return mean errors (days), the peer's first, and the share of the interval, by seed."""
    seeds = np.array([_measure(seed) for seed in SEEDS])
    ratio = float((seeds[:, 0] / seeds[:, 1]).mean())
    met = ratio >= 1 and bool((np.abs(seeds[:, 2] - 0.8) <= 0.05).all())
    return {"benchmark": "lives", "ratio": ratio, "met": met, "seeds": seeds.round(3).tolist()}


def _measure(seed: int) -> list[float]:
    definition: Any = parse_definition(FLEET | ENDS)
    fleet = [_asset(np.random.default_rng([seed, number]), number) for number in range(60)]
    data = build_dataset(definition, 1, fleet, fleet[0].readings.index[-1].to_pydatetime())
    cutoff = int(data.at[data.part == "validation"].max())
    model: Any = train_life(data, definition.life_ends, definition.learning, cutoff)[0]
    rows = rows_of_lives(data)
    seen = spread_rows(rows.select((rows.ends_at <= cutoff) & rows.failed), 20_000)
    new = rows.select((rows.ends_at > cutoff) & rows.is_test & rows.failed)
    low, median, high, _ = model.times(data.matrix[new.row], new.features, None).T
    peer = LGBMRegressor(objective="mae", random_state=0, n_jobs=1, verbose=-1)
    fit, scored = (np.column_stack([data.matrix[of.row], of.features]) for of in (seen, new))
    guess = peer.fit(fit, seen.time_left / DAY_MS, seen.weight).predict(scored)
    own = np.where(np.isnan(median), low, median)
    errors = [np.abs(time - new.time_left) / DAY_MS for time in (guess * DAY_MS, own)]
    held = (low <= new.time_left) & ~(new.time_left > high)
    return [float(mean_by_life(new.life, of).mean()) for of in (*errors, held)]


def _asset(chance: np.random.Generator, number: int) -> History:
    ts = pd.date_range("2025-01-01", periods=1_440, freq="4h", tz="UTC", name="ts").as_unit("ms")
    lasts = (60 * 7 ** chance.random(25)).astype(int)
    parts = []
    for last in lasts:
        wear = (np.arange(last)[:, None] / last) ** chance.uniform(1.5, 3) * [3, -2, 4, 1.5, 0, 0]
        parts.append(chance.normal(0, 4, 6) + wear * chance.uniform(0.8, 1.2, 6))
    values = np.vstack(parts)[: len(ts)] + chance.normal(0, 1, (len(ts), 6))
    ends = ts[[end for end in np.cumsum(lasts) if end < len(ts)]]
    events = pd.DataFrame({"type": "failure", "start": ends, "end": ends})
    readings = pd.DataFrame(values, ts, [f"s{sensor}" for sensor in range(6)])
    asset = Asset(name=f"unit-{number:02}", variables={str(s): Variable() for s in readings})
    return History(asset, readings, events, (EventType(name="failure", duration="instant"),))
