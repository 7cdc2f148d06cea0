"""Logs of the platform's processes: text or JSON lines on standard error, without secrets or
control characters.

Tasks of Airflow use Airflow's handlers and format instead.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TextIO

from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean_line, clean_text
from alerting.ports.use_cases import current_ids

VARIABLE = "ALERTING_LOG_FORMAT"
TEXT = "text"
JSON = "json"
HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|TOKEN|_KEY$|_URI$|CONN$|^ALERTING_(WEBHOOK|SLACK|TEAMS|NTFY)_"
)
_PATTERNS = (
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), HIDDEN),  # user and password of an address
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"(?i)(?<![\w-])([\w-]*(?:password|passwd|secret|token|api[_-]?key|cookie))(\"?'?\s*[=:]\s*\"?'?)[^\s\"'&,;]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    # links that grant permissions
    (
        re.compile(r"/(f|sign-in)/[A-Za-z0-9._~%-]{8,}"),
        rf"/\1/{HIDDEN}",
    ),
)
_LEAST_SECRET = 8  # characters; hiding shorter texts would hide half of every line


def log_format(environ: Mapping[str, str]) -> str:
    """Return `text` or `json` from `ALERTING_LOG_FORMAT`. Raises UserError for any other value."""
    name = environ.get(VARIABLE, "").strip().lower() or TEXT
    if name not in (TEXT, JSON):
        raise UserError(
            f"{VARIABLE}: {clean_line(name)[:50]!r} is not a format of logs: give text or json"
        )
    return name


def configure_logging(environ: Mapping[str, str], secrets: Collection[str] = ()) -> None:
    """Send the logs of this process to standard error: warnings as text, or with `json` all lines
    of the platform from INFO on.

    `secrets`: texts to hide besides those of the environment. Idempotent. Raises UserError if the
    format is unknown.
    """
    format_ = log_format(environ)
    handler = _StandardError()
    handler.setFormatter(
        (JsonLines if format_ == JSON else TextLines)(Redaction({*secrets, *secrets_of(environ)}))
    )
    root = logging.getLogger()
    for earlier in [h for h in root.handlers if isinstance(h, _StandardError)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    logging.getLogger("alerting").setLevel(logging.INFO if format_ == JSON else logging.WARNING)


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """Return the values of environment variables with secrets: passwords, keys, tokens,
    addresses."""
    return {
        value.strip()
        for name, value in environ.items()
        if _SECRET_NAME.search(name.upper()) and value.strip()
    }


class Redaction:
    """Filter that hides known secrets and texts that look like a secret."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        longest_first = sorted(
            {s for s in secrets if len(s) >= _LEAST_SECRET}, key=len, reverse=True
        )
        self._secrets = (
            re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        )

    def __call__(self, text: str) -> str:
        hidden = self._secrets.sub(HIDDEN, text) if self._secrets else text
        for pattern, instead in _PATTERNS:
            hidden = pattern.sub(instead, hidden)
        return hidden


class _RedactedLines(logging.Formatter):
    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redact = redaction


class TextLines(_RedactedLines):
    """Formatter of lines `2026-01-05T06:00:00.000Z WARNING alerting.x: message [id=x]`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of text, with the traceback below it."""
        head = (
            f"{_time(record)} {record.levelname} {record.name}: "
            f"{clean_line(self._redact(record.getMessage()))}"
        )
        below = _exception(record)
        return f"{head}\n{clean_text(self._redact(below))}" if below else head


class JsonLines(_RedactedLines):
    """Formatter of JSON lines: time, level, logger, message, ids of objects, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
        bare = getattr(record, "bare", None)
        message = record.getMessage() if bare is None else str(bare)
        if bare is not None and record.args:
            message = message % record.args
        ids: Mapping[str, str] = getattr(record, "ids", None) or current_ids()
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean_line(self._redact(message)),
            **{
                key: self._redact(clean_line(value))
                for key, value in ids.items()
                if key not in {"time", "level", "logger", "message", "exception"}
            },
        }
        if below := _exception(record):
            line["exception"] = clean_text(self._redact(below))
        return json.dumps(line, ensure_ascii=False)


class _StandardError(logging.StreamHandler[TextIO]):
    """Handler that writes to the current `sys.stderr`."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _exception(record: logging.LogRecord) -> str:
    return (
        "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.exc_info and record.exc_info[0]
        else ""
    )
