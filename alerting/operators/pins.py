"""PINs with which people sign on a shared device: rules of a PIN, and the limit of guesses.

All that is remembered of wrong PINs is one instant, with the account: each wrong PIN moves it on by
`PinLimit.every`, so the limit is the same for all processes and after a restart, and a right PIN
between two guesses changes nothing.
"""

import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.actions import Role
from alerting.operators.people import Account
from alerting.operators.permissions import lesser_role

SHORTEST_PIN = 4
LONGEST_PIN = 8
LEAST_DIFFERENT_DIGITS = 3
SIGNER_IS_REMEMBERED_FOR = timedelta(minutes=10)
_KEYPAD_COLUMNS = frozenset({"2580", "0852"})


@dataclass(frozen=True)
class PinLimit:
    """Limit of wrong PINs: `at_once` without a wait, later ones only one in each `every`."""

    at_once: int
    every: timedelta


PERSON_LIMIT = PinLimit(10, timedelta(hours=1))
"""Wrong PINs for one person on all devices together: of the PINs with four digits, half have been
tried after half a year."""
DEVICE_LIMIT = PinLimit(20, timedelta(minutes=20))
"""Wrong PINs on one device for all people together."""


class WrongPin(UserError):
    """The PIN is not that of the person."""


class TooManyPins(UserError):
    """No PIN is taken now. `wait`: until the next one is."""

    def __init__(self, message: str, wait: timedelta) -> None:
        super().__init__(message)
        self.wait = wait


def check_pin_rules(pin: str) -> None:
    """Check that a new PIN is not among those guessed first. Raises UserError."""
    if not (SHORTEST_PIN <= len(pin) <= LONGEST_PIN and pin.isascii() and pin.isdecimal()):
        raise UserError(
            translatable(
                "a PIN has {least} to {most} digits",
                least=str(SHORTEST_PIN),
                most=str(LONGEST_PIN),
            )
        )
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(pin)}
    is_year = len(pin) == 4 and pin.startswith(("19", "20"))
    is_repeated = pin in (pin + pin)[1:-1]
    if (
        len(set(pin)) < LEAST_DIFFERENT_DIGITS
        or len(steps) == 1
        or is_year
        or is_repeated
        or pin in _KEYPAD_COLUMNS
    ):
        raise UserError(
            translatable(
                "this PIN is among those that are guessed first: avoid years, sequences like 1234 "
                "and repeated digits"
            )
        )


def may_answer(role: Role) -> bool:
    """Return whether a role holds all rights of an operator, so that a PIN is of use to it."""
    return lesser_role("operator", role) == "operator"


def may_sign(account: Account) -> bool:
    """Return whether this account is of a person who may answer alarms, with a PIN."""
    return (
        account.kind == "person"
        and account.pin is not None
        and account.disabled_at is None
        and may_answer(account.role)
    )


def wait_for_pin(account: Account, limit: PinLimit, now: datetime) -> timedelta | None:
    """Return the time until a PIN is taken again for, or on, this account; None if it is now."""
    if account.wrong_pins_until is None:
        return None
    wait = account.wrong_pins_until - now - (limit.at_once - 1) * limit.every
    return wait if wait > timedelta(0) else None


def count_pin(account: Account, limit: PinLimit, now: datetime) -> datetime:
    """Return `wrong_pins_until` with one more wrong PIN."""
    return max(account.wrong_pins_until or now, now) + limit.every


def forget_pin(account: Account, limit: PinLimit) -> datetime | None:
    """Return `wrong_pins_until` without a PIN that was counted and was right."""
    return None if account.wrong_pins_until is None else account.wrong_pins_until - limit.every


def remembered_signer(device: Account, now: datetime) -> str | None:
    """Return the name of the person who signed last on a device, a few minutes ago at most."""
    if device.signed_at is None or now - device.signed_at >= SIGNER_IS_REMEMBERED_FOR:
        return None
    return device.signer


def minutes_of(wait: timedelta) -> str:
    """Return a wait in whole minutes, rounded up."""
    return str(math.ceil(wait.total_seconds() / 60))
