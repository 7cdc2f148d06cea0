"""Readings in one frame per asset: fast enough for long intervals, for tests that do not depend on
storage."""

import pandas as pd

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingColumns, WantedHistory
from alerting.readings.history import History, has_data, millis, no_events, to_millis


class OneByOne:
    """Readings of many assets, loaded asset by asset."""

    def load_many(self, wanted, end):
        return {
            w.asset: _columns(self.load(WantedHistory(_asset(w), w.start, end, w.types)))
            for w in wanted
        }


def _asset(wanted):
    return Asset(
        name=wanted.asset,
        variables={name: Variable(type=type) for name, type in wanted.types.items()},
    )


def _columns(history):
    frame = history.readings
    return ReadingColumns(
        millis(frame.index), {name: frame[name].to_numpy() for name in frame}, doubts=history.doubts
    )


class FrameReadings(OneByOne):
    """Port `Readings` over fixed histories. `asked_until`: the latest requested end."""

    def __init__(self, *histories):
        self._by_asset = {h.asset.name: h for h in histories}
        self.asked_until = None

    def load(self, request):
        asset = request.asset
        start = request.start
        end = request.end
        self.asked_until = end if self.asked_until is None else max(end, self.asked_until)
        whole = self._by_asset.get(asset.name, History(asset))
        ts = millis(whole.readings.index)
        first = 0 if start is None else int(ts.searchsorted(to_millis(start), side="right"))
        last = len(ts) if end is None else int(ts.searchsorted(to_millis(end), side="right"))
        events = (
            whole.events
            if end is None or whole.events.empty
            else whole.events[whole.events["start"] <= end]
        )
        readings = whole.readings.iloc[first:last].reindex(columns=request.names)
        return History(asset, readings, events if len(events) else no_events(), doubts=whole.doubts)

    def index_newest(self, variables):
        pass

    def newest_values(self, asset, since, until):
        columns = {}
        for name, start in since.items():
            history = self.load(WantedHistory(asset, start, until, [name]))
            columns[name] = history.readings[name][has_data(history, name)].iloc[-1:]
        return pd.DataFrame(columns)

    def span(self, asset, until=None):
        if asset not in self._by_asset:
            return None
        index = self._by_asset[asset].readings.index
        index = index if until is None else index[index <= until]
        return index[0].to_pydatetime(), index[-1].to_pydatetime()
