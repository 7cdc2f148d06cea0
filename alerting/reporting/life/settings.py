"""Settings of the report on the whole plant."""

from dataclasses import dataclass

from alerting.definitions.fields.common import ReportPeriod


@dataclass(frozen=True)
class PlantReportSettings:
    """The calendar period of the plant's report, and the names of the channels that get it.

    `subject`: under which it is stored in place of a definition, None of the whole platform.
    """

    period: ReportPeriod = "week"
    recipients: tuple[str, ...] = ()
    subject: str | None = None


PLANT_REPORT = PlantReportSettings()
_MARK = "@"
"""Before the name of a plant: no definition begins with it."""


def report_subject(plant: str) -> str | None:
    """Return the subject of the report on a plant; None for that on the whole platform."""
    return f"{_MARK}{plant}" if plant else None


def plant_of_report(subject: str | None) -> str | None:
    """Return the plant that a report is on, empty for the whole platform; None for a report on a
    definition."""
    if subject is None:
        return ""
    return subject.removeprefix(_MARK) if subject.startswith(_MARK) else None
