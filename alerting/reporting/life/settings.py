"""Settings of the report on the whole plant."""

from dataclasses import dataclass

from alerting.definitions.fields.common import ReportPeriod


@dataclass(frozen=True)
class PlantReportSettings:
    """The calendar period of the plant's report, and the names of the channels that get it."""

    period: ReportPeriod = "week"
    recipients: tuple[str, ...] = ()


PLANT_REPORT = PlantReportSettings()
