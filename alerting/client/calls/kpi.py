"""Calls about kpi. Made by `python -m tools.client`."""

from typing import Literal

from alerting.client.shapes.kpi import AlarmQuality, QualityByGroup
from alerting.client.transport import Transport
from alerting.client.values import Instant


class KpiCalls(Transport):
    """Calls about kpi."""

    def show_alarm_metrics(
        self,
        *,
        from_: Instant | None = None,
        to: Instant | None = None,
        asset: str | None = None,
        by: Literal["position", "line", "shift"] | None = None,
        past: bool | None = None,
        in_plant: str | None = None,
    ) -> AlarmQuality | QualityByGroup:
        """Return alarm metrics after ISA-18.2 / EEMUA 191. Durations are ISO 8601."""
        answer: AlarmQuality | QualityByGroup = self.call(
            "GET",
            "/kpi",
            query={
                "from": from_,
                "to": to,
                "asset": asset,
                "by": by,
                "past": past,
                "in_plant": in_plant,
            },
        )
        return answer
