"""PINs that are easy to guess are refused, and guesses are limited for months ahead."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.operators.account_rules import (
    DEVICE_LIMIT,
    PERSON_LIMIT,
    Account,
    check_pin_rules,
    count_pin,
    wait_for_pin,
)
from tests.builders import at
from tests.helpers.refusals import lacking, refusal_of

pytestmark = pytest.mark.fast
ANNA = Account("anna", "operator", at(0), "ada", at(0), pin="hash")
TABLET = Account("tablet-1", "operator", at(0), "ada", at(0), kind="device")


GUESSED_FIRST = [
    *("0000", "1111", "1234", "4321", "0123", "7890", "2468", "1357", "1212", "1122", "7770"),
    *("1987", "2026", "2580", "123456", "987654", "11111111", "123123", "48724872"),
]
NO_PINS = [
    *("", "123", "482", "482915603", "48a7", " 4827", "4827\n"),
    *("\uff14\uff18\uff12\uff17", "\u0664\u0668\u0662\u0667"),
]
GOOD = ["4827", "0394", "91735", "19870423", "402817"]


def test_a_pin_that_is_guessed_first_or_is_none_is_refused():
    found = {pin: refusal_of(check_pin_rules, pin) for pin in (*GUESSED_FIRST, *NO_PINS, *GOOD)}
    assert [pin for pin, refused in found.items() if not refused] == GOOD
    expected = dict.fromkeys(GUESSED_FIRST, "guessed first") | dict.fromkeys(NO_PINS, "4 to 8")
    assert lacking(found, expected) == {}


def guesses_taken(account, limit, days, minutes=5):
    """Count the guesses that are taken of one who tries every few minutes."""
    taken = 0
    for n in range(days * 24 * 60 // minutes):
        now = at(n * minutes)
        if not wait_for_pin(account, limit, now):
            account = replace(account, wrong_pins_until=count_pin(account, limit, now))
            taken += 1
    return taken


def test_half_of_all_pins_of_four_digits_take_a_guesser_half_a_year():
    assert guesses_taken(ANNA, PERSON_LIMIT, days=180) < 9_000 / 2
    assert guesses_taken(ANNA, PERSON_LIMIT, days=1) == 10 + 23


def test_one_device_takes_so_few_guesses_for_all_people_that_a_hit_takes_months():
    assert guesses_taken(TABLET, DEVICE_LIMIT, days=60, minutes=1) < 9_000 / 2


def test_a_person_who_mistypes_waits_for_nothing_and_a_guesser_for_an_hour_at_most():
    account = ANNA
    for _ in range(10):
        assert not wait_for_pin(account, PERSON_LIMIT, at(0))
        account = replace(account, wrong_pins_until=count_pin(account, PERSON_LIMIT, at(0)))
    assert wait_for_pin(account, PERSON_LIMIT, at(0)) == timedelta(hours=1)
    assert wait_for_pin(account, PERSON_LIMIT, at(59)) == timedelta(minutes=1)
    assert not wait_for_pin(account, PERSON_LIMIT, at(60))
