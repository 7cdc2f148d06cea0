"""Port for changes that take effect together, or not at all."""

from contextlib import AbstractContextManager
from typing import Protocol


class Conflict(Exception):
    """Error: another process has changed, or is changing, the same documents. The unit of work has
    written nothing."""


class Unit:
    """Changes that take effect together. The adapters of one database extend it with what their
    writes need."""


class UnitOfWork(Protocol):
    """Composes writes of several stores into one unit."""

    def begin(self, attempt: int = 0) -> AbstractContextManager[Unit]:
        """Return a context whose unit takes effect when the context ends, and not at all when it
        raises.

        Everything that is written in it must be computed before it. Raises Conflict if another
        process was faster, after a pause that grows with `attempt`, the number of conflicts before.
        """
