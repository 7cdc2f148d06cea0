"""Refused sign-ins and requests, joined by address for the audit.

The first of an address is an entry at once; those that follow within ten minutes are counted, and
become one entry when the time is over. So a scan of 100,000 requests is two entries.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

JOINED = timedelta(minutes=10)
"""For how long refusals of an address are joined in one entry."""
MOST_ADDRESSES = 200
"""Addresses counted one by one; those beyond are joined as `OTHERS`."""
OTHERS = "other addresses"
_MOST_NAMES = 5


@dataclass(frozen=True)
class Refusal:
    """A refused sign-in or request, without its secrets.

    `person`: name of the account, empty without one. `what`: the action of its entry;
    `subject`: the name that was typed, or method and path.
    """

    address: str
    person: str
    what: str
    subject: str
    why: str


@dataclass
class RefusalCount:
    """Refusals of one address, person and action that are not an entry yet, since `began`."""

    began: datetime
    last: datetime
    count: int = 0
    subjects: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class JoinedRefusals:
    """An entry of the audit on `count` refusals, the last of them `at`."""

    address: str
    person: str
    what: str
    at: datetime
    since: datetime
    count: int
    subjects: tuple[str, ...]
    reasons: tuple[str, ...]


class RefusalLog:
    """Refusals of the last ten minutes, in bounded memory."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], RefusalCount] = {}

    def add(self, refusal: Refusal, now: datetime) -> list[JoinedRefusals]:
        """Count a refusal; return the entries that are due."""
        due = self.due(now)
        known = {address for address, _, _ in self._counts}
        is_known = refusal.address in known or len(known) < MOST_ADDRESSES
        address = refusal.address if is_known else OTHERS
        key = (address, refusal.person if is_known else "", refusal.what)
        counted = self._counts.get(key)
        if counted is None:
            self._counts[key] = RefusalCount(now, now)
            subjects = (refusal.subject,)
            return [*due, JoinedRefusals(*key, now, now, 1, subjects, (refusal.why,))]
        counted.count += 1
        counted.last = now
        for counter, text in ((counted.subjects, refusal.subject), (counted.reasons, refusal.why)):
            if text in counter or len(counter) < _MOST_NAMES:
                counter[text] += 1
        return due

    def due(self, now: datetime, *, all_of_them: bool = False) -> list[JoinedRefusals]:
        """Return an entry for each count whose time is over, and forget it."""
        over = [
            (key, counted)
            for key, counted in self._counts.items()
            if all_of_them or not timedelta(0) <= now - counted.began < JOINED
        ]
        for key, _ in over:
            del self._counts[key]
        return [
            JoinedRefusals(
                *key, one.last, one.began, one.count, tuple(one.subjects), tuple(one.reasons)
            )
            for key, one in over
            if one.count
        ]
