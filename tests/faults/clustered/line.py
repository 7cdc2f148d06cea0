"""A line that sends its readings to the APIs of a cluster in turn, each until one has stored it."""

import asyncio
from collections.abc import Sequence

from alerting.client import ApiProblem, Client
from tests.faults.streamed.line import Line

AT_ONCE = 400


class SendingLine(Line):
    """Readings of all assets, sent by HTTP. `answered`: how many requests each API answered."""

    hot_every_s = 60.0
    longest_steps = 240

    def __init__(self, apis: Sequence[Client], seed: int) -> None:
        super().__init__("", seed)
        self._apis = apis
        self._turn = 0
        self.answered = [0] * len(apis)

    async def _connect_and_send(self) -> None:
        taken = self._waiting[:AT_ONCE]
        rows = [
            {"ts": ts.isoformat(), "asset": asset, "values": values} for asset, ts, values in taken
        ]
        self._turn = (self._turn + 1) % len(self._apis)
        try:
            answer = await asyncio.to_thread(self._apis[self._turn].send_readings, rows)
        except (ApiProblem, ConnectionError):  # this API is away, or its database
            self.repeated += len(taken)
            return
        assert not answer["refused"], answer
        self.answered[self._turn] += 1
        self.sent |= {(asset, ts): values for asset, ts, values in taken}
        self._waiting = self._waiting[AT_ONCE:]
