"""Questions that lead to a kind of alert, each with the document to start from."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Start(NamedTuple):
    """A question of an engineer: what is there, and what is wanted.

    `order`: in the list of all, the simplest first. `fields`: returns the fields beside name, kind
    and assets, for a variable and a limit of it, which is None where none is known.
    """

    order: int
    given: str
    wanted: str
    fields: Callable[[str, float | None], dict[str, Any]]
