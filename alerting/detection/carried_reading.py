"""The last evaluated reading of a target, from which its next evaluation goes on."""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class Carried:
    """The last evaluated reading, which is carried forward until the next one.

    `value`: None while no reading has come since `at`, or for a `bad` reading, which has no value.
    `rate`: its rate of change, for definitions on rates. `beyond`: limits that it is beyond, as
    `severity.side`. `recent`: severity ranks of the earlier readings that still count for
    `at_least`, oldest first. `same_since`: since when the value has not changed. `memory`: a kind's
    state from earlier readings, as plain numbers. `parts`: the last reading of each of several
    conditions, None for a condition without one. `ended`: a person has ended the alarm of what came
    before, so that nothing is known until a reading comes.
    """

    variable: str
    at: datetime
    value: float | str | None
    rate: float | None = None
    beyond: tuple[str, ...] = ()
    recent: tuple[int, ...] = ()
    same_since: datetime | None = None
    bad: bool = False
    memory: tuple[float, ...] = ()
    parts: "tuple[Carried | None, ...]" = ()
    ended: bool = False

    @property
    def last_reading_at(self) -> datetime:
        """Return when the newest reading of all conditions was taken."""
        return max(
            (part.last_reading_at for part in self.parts if part is not None), default=self.at
        )

    @property
    def is_ended(self) -> bool:
        """Return whether a condition waits for a reading because a person has ended the alarm."""
        return self.ended or any(part is not None and part.is_ended for part in self.parts)

    def after_end(self, at: datetime) -> "Carried":
        """Return it without the values of readings up to an instant, at which a person has ended
        the alarm."""
        if not self.parts and self.at > at:
            return self
        parts = tuple(part and part.after_end(at) for part in self.parts)
        plain = replace(self, value=None, rate=None, beyond=(), recent=(), bad=False)
        return replace(plain, parts=parts, ended=True)

    def at_earlier(self, at: datetime) -> "Carried | None":
        """Return what is known to have been carried at an instant; None if nothing is.

        Of a later reading that is its value, if that has been the same since before: one that is
        not old, as readings of it came until that later one.
        """
        if self.at <= at:
            return self
        since = self.same_since
        if since is None or since > at or self.value is None or self.parts or self.memory:
            return None
        return Carried(self.variable, at, self.value, beyond=self.beyond, same_since=since)

    def under_another_revision(self) -> "Carried":
        """Return the carried reading without the parts that depend on the limits of the earlier
        revision.

        The count of `at_least` begins again; the side of a limit is retained.
        """
        return replace(self, recent=(), rate=None)
