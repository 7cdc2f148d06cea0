"""Names and passwords of accounts, and until when their sessions are good."""

import pytest

from alerting.operators.account_rules import (
    Account,
    check_account_name,
    check_password_rules,
    is_reserved,
)
from alerting.operators.actions_and_mutes import ROLES
from tests.builders import at
from tests.helpers.refusals import lacking, refusal_of

pytestmark = pytest.mark.fast
ANNA = Account("anna", "operator", at(0), "ada", at(0), display_name="Anna Bauer")


NAMES = {
    "": ["anna", "a", "anna.bauer-2", "7up", "a" * 60],
    # which could be taken for another
    "is not possible": [
        *("", "Anna", "anna bauer", "-anna", ".a", "a" * 61, "ann\u0430", "anna\n", "a/b")
    ],
    "by which the platform itself acts": [
        *("admin", "mongodb", "platform", "directory", "database", "demo", *ROLES)
    ],
}
PASSWORDS = {
    "": ["correct horse battery", "größer als 4,5 %", "x7-qQ2!p0Zk_"],
    "12 to 200": ["short", "x" * 201],
    "too easy": ["a" * 16, "annaannaannaanna", "Anna Bauer123", "passwordpassword"],
}


def judged(check, table):
    """Return the refusals of each text of a table, and those that it expects."""
    expected = {text: words for words, texts in table.items() for text in texts}
    found = {text: refusal_of(check, text) for text in expected}
    taken = {text for text, words in found.items() if not words}
    return lacking(found, expected), taken


def test_a_name_is_of_few_characters_and_none_by_which_the_platform_acts():
    assert judged(check_account_name, NAMES) == ({}, {*NAMES[""]})
    written = ["MongoDB", " Admin ", "ADMIN", "\uff2dongoDB", "Platform"]
    assert [is_reserved(name) for name in written] == [True] * 5
    assert [is_reserved(f"{name}-2") for name in written] == [False] * 5


def test_a_long_password_is_taken_and_one_that_is_guessed_first_is_not():
    found = judged(lambda password: check_password_rules(password, ANNA), PASSWORDS)
    assert found == ({}, {*PASSWORDS[""]})
