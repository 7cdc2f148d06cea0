"""Settings of upkeep: alerts of the platform about itself, how long it stores what, backups."""

from collections.abc import Callable
from datetime import timedelta

from alerting.definitions.durations import LONGEST
from alerting.definitions.upkeep import (
    HealthLimits,
    Retention,
)
from alerting.settings.variables import Variables, duration, whole_number

lasting = duration(
    timedelta(days=14), LONGEST, "what is older is deleted; give a duration from 14d to 3650d"
)
_duration = duration(timedelta(minutes=1), timedelta(days=365), "give a duration from 1m to 365d")
backup_interval = duration(
    timedelta(hours=1), timedelta(days=31), "a backup is made every 1h to 31d"
)
number_of_backups = whole_number(1, 1000, "is not a number of backups: give one from 1 to 1000")


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


def storage_location(stored: str) -> Callable[[str], str]:
    """Return a parser of the folder or bucket for files. It raises ValueError for neither."""

    def parse(text: str) -> str:
        scheme, _, rest = text.partition("://")
        is_bucket = scheme in ("s3", "gs", "az") and rest and not rest.startswith("/")
        if not (text.startswith("/") or is_bucket) or ".." in text.split("/"):
            raise ValueError(
                f"not a place for {stored}: give an absolute folder, s3://bucket/folder, gs://… or "
                "az://…"
            )
        if "@" in rest or "?" in rest:
            raise ValueError(
                f"a place for {stored} holds no credentials: those of object stores come from "
                "AWS_ACCESS_KEY_ID and others"
            )
        return text

    return parse
