"""How far is the estimated remaining life of parts that differ from new?

Sixty assets with six sensors, read every four hours for 240 days; a part lasts 10 to 70 days, then
the next one is put in, whose sensors are offset by more than wear moves them. Peer: LightGBM as it
is by default, for the mean error, on the same columns and lives.
"""

import time

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.kinds.registry import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.lives import mean_by_life
from alerting.learning.selection.life_training import rows_of_lives, spread_rows, train_life
from alerting.readings.history import History

SEEDS = (11, 12, 13)
DAY_MS = 86_400_000
WEAR = np.array([3.0, -2.0, 4.0, 1.5, 0, 0])
LOAD = np.array([0.5, 0.3, 0.5, 0.2, 1, 0])
DOCUMENT = {"name": "fleet", "kind": "classifier", "assets": ["unit-*"], "horizon": "7d"}
DOCUMENT |= {"problem": {"event": "failure"}, "remaining_life": True}
DOCUMENT |= {"periods": {"validation": 0.15, "test": 0.3}}


def run() -> dict[str, object]:
    """Return mean errors in days, beside the peer's, and how often the interval held, by seed."""
    lines = [_measure(seed) for seed in SEEDS]
    ratio = float(np.mean([line["peer_days"] / line["days"] for line in lines]))
    met = ratio >= 1 and all(0.75 <= line["held"] <= 0.85 for line in lines)
    return {"benchmark": "lives", "ratio": round(ratio, 3), "met": met, "seeds": lines}


def _measure(seed: int) -> dict[str, float]:
    definition = parse_definition(DOCUMENT)
    fleet = [_asset(np.random.default_rng([seed, number]), number) for number in range(60)]
    dataset = build_dataset(definition, 1, fleet, fleet[0].readings.index[-1].to_pydatetime())
    cutoff = int(dataset.at[dataset.part == "validation"].max())
    started = time.process_time()
    model, _ = train_life(dataset, definition.life_ends, definition.learning, cutoff)
    seconds = time.process_time() - started
    rows = spread_rows(rows_of_lives(dataset), 20_000)
    seen = rows.select((rows.ends_at <= cutoff) & rows.failed)
    unseen = rows.select((rows.ends_at > cutoff) & rows.is_test & rows.failed)
    fit, new = (np.column_stack([dataset.matrix[of.row], of.features]) for of in (seen, unseen))
    peer = LGBMRegressor(objective="mae", random_state=0, n_jobs=1, verbose=-1)
    guess = peer.fit(fit, seen.time_left / DAY_MS, seen.weight).predict(new)
    low, median, high, _ = model.times(new[:, : -seen.features.shape[1]], unseen.features, None).T
    own = np.where(np.isnan(median), low, median) / DAY_MS
    held = (low <= unseen.time_left) & ~(unseen.time_left > high)
    errors = [np.abs(of - unseen.time_left / DAY_MS) for of in (own, guess)]
    means = [float(mean_by_life(unseen.life, of).mean()) for of in (*errors, held)]
    return dict(zip(("days", "peer_days", "held"), means, strict=True)) | {"cpu_s": seconds}


def _asset(chance: np.random.Generator, number: int) -> History:
    ts = pd.date_range("2025-01-01", periods=1_440, freq="4h", tz="UTC", name="ts").as_unit("ms")
    values = np.zeros((0, 6))
    ends = []
    while len(values) < len(ts):
        lasts = int(6 * 10 * 7 ** chance.random())
        wear = (np.arange(lasts) / lasts) ** chance.uniform(1.5, 3)
        load = np.convolve(chance.normal(0, 0.3, lasts + 60), 0.95 ** np.arange(60))[
            60 : lasts + 60
        ]
        part = chance.normal(0, 4, 6) + wear[:, None] * WEAR * chance.uniform(0.8, 1.2, 6)
        values = np.vstack([values, part + load[:, None] * LOAD + chance.normal(0, 1, part.shape)])
        ends.append(len(values))
    at = ts[ends[:-1]]
    events = pd.DataFrame({"type": "failure", "start": at, "end": at})
    readings = pd.DataFrame(values[: len(ts)], ts, [f"s{sensor}" for sensor in range(6)])
    asset = Asset(name=f"unit-{number:02}", variables={str(s): Variable() for s in readings})
    return History(asset, readings, events, (EventType(name="failure", duration="instant"),))
