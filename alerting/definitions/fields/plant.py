"""Settings of a plant: an asset that has them, with all assets below it, is one."""

from datetime import tzinfo
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from alerting.definitions.fields.names import Closed
from alerting.definitions.hours import TimeZone, time_zone
from alerting.definitions.wording.language import LanguageCode

Channel = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PlantSettings(Closed):
    """Settings that the people of a plant share. A field that is left out is as in the platform."""

    time_zone: TimeZone | None = Field(
        None,
        description="IANA time zone in which its times are written, its days and report periods "
        "begin.",
    )
    language: LanguageCode | None = Field(
        None, description="Language of its reports, and of messages whose route names none."
    )
    report_period: Literal["week", "month", "quarter"] | None = Field(
        None, description="Calendar period of its own report."
    )
    report_recipients: tuple[Channel, ...] = Field(
        (), max_length=100, description="Channels that get its report."
    )
    alarms_per_day: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Most alarms a day at each of its operator positions that has no number of "
        "its own.",
    )
    flood_above: int | None = Field(
        None, ge=1, le=1000, description="More alarms than this in ten minutes are a flood here."
    )

    def zone(self, usual: tzinfo) -> tzinfo:
        """Return the time zone; `usual`: that of the platform."""
        return time_zone(self.time_zone) if self.time_zone else usual
