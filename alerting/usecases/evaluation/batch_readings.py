"""Readings of a batch of assets, fetched once for all definitions that use them."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import Condition
from alerting.kinds.protocol.evaluation import Read
from alerting.ports import Readings, Wanted
from alerting.readings.history import to_millis
from alerting.readings.ragged import RaggedReadings, pack
from alerting.readings.sample_quality import no_instants
from alerting.readings.series import Series
from alerting.usecases.evaluation.target import stored_series

Name = tuple[str, str | None]  # an asset and a variable


class BatchReadings:
    """Readings fetched for a batch. A request beyond the fetched interval is answered from the
    store."""

    def __init__(self, stored: Readings, wanted: Sequence[Wanted], until: datetime) -> None:
        self._stored = stored
        self._until = until
        self._starts = {w.asset: w.start for w in wanted}
        self._fetched = stored.load_many(wanted, until)

    def pack_series(self) -> tuple[RaggedReadings, dict[Name, int]]:
        """Return all numeric series side by side, and the index of each. A series with samples of
        bad quality is left out."""
        numbers = {
            (asset, variable): (fetched.ts, values)
            for asset, fetched in self._fetched.items()
            for variable, values in fetched.values.items()
            if values.dtype == np.float64 and variable not in fetched.doubts.bad
        }
        return pack(list(numbers.values())), {name: index for index, name in enumerate(numbers)}

    def reader_for(self, asset: Asset) -> Read:
        """Return the function that reads readings of an asset.

        The function raises UserError for a stored value that is not of its variable's type.
        """
        stored = stored_series(self._stored, asset)
        fetched = self._fetched.get(asset.name)

        def read(definition: Condition, start: datetime, end: datetime) -> Series:
            if fetched is None or start < self._starts[asset.name] or end > self._until:
                return stored(definition, start, end)
            if definition.variable in fetched.faults:
                raise UserError(fetched.faults[definition.variable])
            if definition.variable not in fetched.values:
                return stored(definition, start, end)
            first, last = np.searchsorted(
                fetched.ts, [to_millis(start), to_millis(end)], side="right"
            )
            bad = fetched.doubts.bad.get(definition.variable, no_instants())
            return Series(
                fetched.ts[first:last], fetched.values[definition.variable][first:last], bad
            )

        return read
