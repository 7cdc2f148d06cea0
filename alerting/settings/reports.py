"""Settings of the report on the whole plant."""

from alerting.definitions.fields.common import REPORT_PERIODS
from alerting.reporting.base.periods import PlantReportSettings
from alerting.settings.variables import Variables, listed, one_of


def read_plant_report(variables: Variables) -> PlantReportSettings:
    """Return `ALERTING_REPORT_PERIOD` and `ALERTING_REPORT_RECIPIENTS` (by commas)."""
    usual = PlantReportSettings()
    return PlantReportSettings(
        period=variables.read("ALERTING_REPORT_PERIOD", one_of(REPORT_PERIODS), usual.period),
        recipients=variables.read("ALERTING_REPORT_RECIPIENTS", listed, usual.recipients),
    )
