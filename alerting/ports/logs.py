"""Logs of use cases: standard logging, with the ids of the objects that a line is about.

`with log_context(run=...)` adds its ids to every line that is logged within; a call adds its own:
`log.info("episode raised", definition=..., asset=...)`. The ids end the message, so that they are
also in a log with another format (a task of Airflow), and are fields where lines are JSON.
"""

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from alerting.definitions.wording.clean_text import clean_line

SANDBOX = "sandbox"
"""Id of a sandbox such as a backtest; its log lines have the level debug."""
_LONGEST_ID = 200
_OF_LOGGING = frozenset({"exc_info", "stack_info", "stacklevel", "extra"})
_NO_IDS: Mapping[str, str] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str]] = ContextVar("alerting_log_ids", default=_NO_IDS)


class IdLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose calls take ids as keywords, besides those of the context."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line; in a sandbox at level debug, unless it is a warning or worse."""
        in_sandbox = level == logging.INFO and SANDBOX in _ids.get()
        super().log(logging.DEBUG if in_sandbox else level, msg, *args, **kwargs)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the message with its ids, and for formatters the message and the ids
        separately."""
        own = {key: value for key, value in kwargs.items() if key not in _OF_LOGGING}
        ids = {**_ids.get(), **_as_text(own)}
        shown = " ".join(f"{key}={value}" for key, value in ids.items()).replace("%", "%%")
        given = {key: value for key, value in kwargs.items() if key in _OF_LOGGING}
        extra = {**(given.get("extra") or {}), "ids": ids, "bare": msg}
        return (f"{msg} [{shown}]" if shown else msg), {**given, "extra": extra}


def id_logger(name: str) -> IdLogger:
    """Return the logger of a module."""
    return IdLogger(logging.getLogger(name), {})


@contextmanager
def log_context(**ids: object) -> Iterator[None]:
    """Add these ids to every line logged within; an id that is None is left out. Also a
    decorator."""
    token = _ids.set({**_ids.get(), **_as_text(ids)})
    try:
        yield
    finally:
        _ids.reset(token)


@contextmanager
def log_run() -> Iterator[None]:
    """Add a new run id to every line logged within, unless the context has one. Also a
    decorator."""
    with log_context(run=_ids.get().get("run") or uuid4().hex[:12]):
        yield


def current_ids() -> Mapping[str, str]:
    """Return the ids of the context."""
    return _ids.get()


def _as_text(ids: Mapping[str, object]) -> dict[str, str]:
    return {
        key: clean_line(str(value))[:_LONGEST_ID] for key, value in ids.items() if value is not None
    }
