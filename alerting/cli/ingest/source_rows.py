"""Rows of `alerting source list`, and the reader of a source in words."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alerting.usecases.sources.status import SourceStatus

COLUMNS = ("kind", "state", "rows", "refused", "rate", "lag", "read", "last")


def row_of(status: "SourceStatus") -> dict[str, Any]:
    """Return a source as a row of the list."""
    lag = "-" if status.lag is None else written(status.lag)
    return {
        **{name: getattr(status, name) for name in ("name", "kind", "state", "rows", "refused")},
        **({"title": status.title} if status.title else {}),
        "rate": f"{status.rate:.1f}/min",
        "lag": lag,
        "read": read_last(status),
        "last": _last(status.last or {}),
    }


def read_last(status: "SourceStatus") -> str:
    """Return who read a polled source last, and how long ago; else who will."""
    if status.unread is None:
        return f"by {status.read_by}" if status.read_by else "-"
    return f"{written(status.unread)} ago by {status.polled_by}"


def _last(last: Any) -> str:
    values = last.get("values") or {"type": last.get("type")}
    shown = ", ".join(
        f"{name} {value}" for name, value in [*values.items()][:2] if value is not None
    )
    return f"{last['asset']}: {shown}" if last else "-"


def written(value: Any) -> str:
    """Return a duration as text."""
    from alerting.definitions.durations import format_duration

    return format_duration(value)
