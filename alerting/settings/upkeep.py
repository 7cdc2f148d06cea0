"""Settings of upkeep: alerts of the platform about itself, how long it stores what, backups."""

from collections.abc import Callable
from datetime import timedelta

from alerting.definitions.durations import LONGEST
from alerting.definitions.upkeep import (
    DeclarationBounds,
    DeclarationLimits,
    HealthLimits,
    Retention,
)
from alerting.settings.variables import Variables, duration, whole_number

_GIB = 1 << 30
AIRFLOW_LAST = timedelta(days=30)
_names = whole_number(
    0, 10_000_000, "is not a number of names: give a whole number from 0 to 10000000"
)
lasting = duration(
    timedelta(days=14), LONGEST, "what is older is deleted; give a duration from 14d to 3650d"
)
_duration = duration(timedelta(minutes=1), timedelta(days=365), "give a duration from 1m to 365d")
backup_interval = duration(
    timedelta(hours=1), timedelta(days=31), "a backup is made every 1h to 31d"
)
number_of_backups = whole_number(1, 1000, "is not a number of backups: give one from 1 to 1000")
_gibibytes = whole_number(1, 100_000, "is not a size: give whole GiB from 1 to 100000")


def read_health_limits(variables: Variables) -> HealthLimits:
    """Return `ALERTING_EVALUATION_LATE`, `ALERTING_SOURCE_STALE`, `ALERTING_DISK_LEAST` (GiB)."""
    usual = HealthLimits()
    return HealthLimits(
        evaluation_late=variables.read(
            "ALERTING_EVALUATION_LATE", _duration, usual.evaluation_late
        ),
        source_stale=variables.read("ALERTING_SOURCE_STALE", _duration, usual.source_stale),
        disk_least=variables.read("ALERTING_DISK_LEAST", _gibibytes, usual.disk_least // _GIB)
        * _GIB,
    )


def read_declaration_limits(variables: Variables) -> DeclarationLimits:
    """Return `ALERTING_NEW_ASSETS_PER_DELIVERY` and the settings that are like it."""
    usual = DeclarationLimits()

    def bounds(what: str, default: DeclarationBounds) -> DeclarationBounds:
        return DeclarationBounds(
            variables.read(f"ALERTING_NEW_{what}_PER_DELIVERY", _names, default.delivery),
            variables.read(f"ALERTING_NEW_{what}_PER_SOURCE", _names, default.source),
            variables.read(f"ALERTING_NEW_{what}_IN_ALL", _names, default.in_all),
        )

    return DeclarationLimits(bounds("ASSETS", usual.assets), bounds("VARIABLES", usual.variables))


def read_retention(variables: Variables) -> Retention:
    """Return `ALERTING_READINGS_LAST`, `_SCORES_LAST`, `_NOTIFICATIONS_LAST`, `_REPORTS_LAST`,
    `_AUDIT_LAST`, `_MODELS_LAST`, `_PREDICTIONS_LAST`; readings as long as one may say while
    `ALERTING_ARCHIVE_AFTER`, which left, is set: it had kept them."""
    found = {
        name: variables.read(f"ALERTING_{name.upper()}_LAST", lasting, last)
        for name, last in vars(Retention()).items()
    }
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
