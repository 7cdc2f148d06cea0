"""Names and passwords of accounts, and until when their sessions are good."""

import pytest

from alerting.definitions.faults import UserError
from alerting.operators.actions import ROLES
from alerting.operators.people import (
    Account,
    check_account_name,
    check_password_rules,
    is_reserved,
)
from tests.builders import at

pytestmark = pytest.mark.fast
ANNA = Account("anna", "operator", at(0), "ada", at(0), display_name="Anna Bauer")


@pytest.mark.parametrize("name", ["anna", "a", "anna.bauer-2", "7up", "a" * 60])
def test_a_name_is_written_with_few_characters(name):
    check_account_name(name)


@pytest.mark.parametrize(
    "name", ["", "Anna", "anna bauer", "-anna", ".a", "a" * 61, "ann\u0430", "anna\n", "a/b"]
)
def test_a_name_that_could_be_taken_for_another_is_refused(name):
    with pytest.raises(UserError, match="is not possible"):
        check_account_name(name)


@pytest.mark.parametrize(
    "name", ["admin", "mongodb", "platform", "directory", "database", "demo", *ROLES]
)
def test_no_person_has_a_name_by_which_the_platform_acts(name):
    with pytest.raises(UserError, match="by which the platform itself acts"):
        check_account_name(name)


@pytest.mark.parametrize("name", ["MongoDB", " Admin ", "ADMIN", "\uff2dongoDB", "Platform"])
def test_such_a_name_is_known_however_it_is_written(name):
    assert is_reserved(name)
    assert not is_reserved(f"{name}-2")


@pytest.mark.parametrize("password", ["correct horse battery", "größer als 4,5 %", "x7-qQ2!p0Zk_"])
def test_a_long_password_is_taken(password):
    check_password_rules(password, ANNA)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "12 to 200"),
        ("x" * 201, "12 to 200"),
        ("aaaaaaaaaaaaaaaa", "too easy"),
        ("annaannaannaanna", "too easy"),
        ("Anna Bauer123", "too easy"),
        ("passwordpassword", "too easy"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password, why):
    with pytest.raises(UserError, match=why):
        check_password_rules(password, ANNA)
