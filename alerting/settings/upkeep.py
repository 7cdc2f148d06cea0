"""Settings of upkeep: alerts of the platform about itself, how long it stores what."""

from datetime import timedelta

from alerting.definitions.durations import LONGEST
from alerting.definitions.upkeep import (
    HealthLimits,
    Retention,
)
from alerting.settings.variables import Variables, duration

lasting = duration(
    timedelta(days=14), LONGEST, "what is older is deleted; give a duration from 14d to 3650d"
)
_duration = duration(timedelta(minutes=1), timedelta(days=365), "give a duration from 1m to 365d")


_FIXED = {name: f"ALERTING_{name.upper()}_LAST" for name in ("notifications", "predictions")}


def read_health_limits(variables: Variables) -> HealthLimits:
    """Return `ALERTING_EVALUATION_LATE` and `ALERTING_SOURCE_STALE`."""
    usual = HealthLimits()
    return HealthLimits(
        evaluation_late=variables.read(
            "ALERTING_EVALUATION_LATE", _duration, usual.evaluation_late
        ),
        source_stale=variables.read("ALERTING_SOURCE_STALE", _duration, usual.source_stale),
    )


def read_retention(variables: Variables) -> Retention:
    """Return `ALERTING_READINGS_LAST`, `_SCORES_LAST`, `_REPORTS_LAST`, `_AUDIT_LAST` and
    `_MODELS_LAST`; as long as one may say where a setting that left had kept what is stored."""
    found = {
        name: variables.read(f"ALERTING_{name.upper()}_LAST", lasting, last)
        for name, last in vars(Retention()).items()
        if name not in _FIXED
    }
    found |= {name: LONGEST for name, left in _FIXED.items() if variables.text(left)}
    if variables.text("ALERTING_ARCHIVE_AFTER"):
        found["readings"] = LONGEST
    return Retention(**found)
