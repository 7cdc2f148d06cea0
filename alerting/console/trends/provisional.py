"""Series until the API of series is there."""

import numpy as np

from alerting.readings.cleaning import has_data
from alerting.readings.history import millis


def series_of(platform, asset, variables, start, end, points=800):
    found = []
    for name in variables:
        history = platform.readings.load(asset, start, end, [name])
        there = has_data(history, name)
        t = millis(history.readings.index)[there] / 1000
        v = (
            history.readings[name].to_numpy(float)[there]
            if name in history.readings
            else np.empty(0)
        )
        source = "readings"
        low = high = mean = v
        gaps = []
        if len(t) > 1:
            d = np.diff(t)
            for k in np.flatnonzero(d > 3 * np.median(d)):
                gaps.append([t[k], t[k + 1]])
        if len(t) > 4000:
            source = "minutes"
            b = ((t - t[0]) * points // (t[-1] - t[0] + 1)).astype(int)
            starts = np.flatnonzero(np.r_[True, b[1:] != b[:-1]])
            low = np.minimum.reduceat(v, starts)
            high = np.maximum.reduceat(v, starts)
            mean = np.add.reduceat(v, starts) / np.diff(np.r_[starts, len(v)])
            t = t[starts]
        of = asset.variables[name]
        found.append(
            {
                "variable": name,
                "title": of.title or name,
                "unit": of.unit,
                "source": source,
                "t": t.tolist(),
                "low": low.tolist(),
                "high": high.tolist(),
                "mean": mean.tolist(),
                "gaps": gaps,
                "bad": [],
                "count": len(v),
            }
        )
    return found
