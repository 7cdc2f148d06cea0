"""Shared devices are started by a link that works once, and signed on with name and PIN."""

from datetime import timedelta
from functools import partial

import pytest

from alerting.adapters.passwords_and_links import Argon2Passwords
from alerting.definitions.faults import UserError
from alerting.operators.account_rules import TooManyPins, WrongPin
from alerting.ports import AuditFilter
from alerting.usecases.access import accounts, devices_and_tokens
from alerting.usecases.access.accounts import begin_session, find_session
from alerting.usecases.access.devices_and_tokens import create_token
from tests.builders import at
from tests.in_memory_platform import memory_platform

QUICK = Argon2Passwords(passes=1, memory_kib=8)
PASSWORD = "correct horse battery"


def with_pin(platform, name="anna", pin="4827"):
    _, code = accounts.add_person(platform, name, "operator", "ada", at(0))
    return devices_and_tokens.set_pin(platform, QUICK, code, pin, at(0))


@pytest.fixture
def platform():
    made = memory_platform()
    with_pin(made)
    _, code = accounts.add_person(made, "tablet-1", "operator", "ada", at(0), kind="device")
    devices_and_tokens.start_device(made, code, at(0))
    return made


def sign(platform, name="anna", pin="4827", minute=1, passwords=QUICK):
    return devices_and_tokens.sign_by_pin(platform, passwords, "tablet-1", name, pin, at(minute))


def test_a_person_signs_with_the_pin_and_is_refused_with_another(platform):
    assert sign(platform).id == "anna"
    for name, pin in (("anna", "4828"), ("anna", ""), ("anna", PASSWORD), ("bob", "4827")):
        with pytest.raises(WrongPin):
            sign(platform, name, pin)
    assert "4828" not in str(platform.audit.entries)


@pytest.mark.parametrize(
    "end",
    [
        accounts.disable_account,
        partial(accounts.change_person, role="viewer"),
        devices_and_tokens.remove_pin,
        accounts.remove_person,
    ],
    ids=["disabled", "viewer", "without PIN", "removed"],
)
def test_a_person_who_may_not_sign_is_neither_listed_nor_taken(platform, end):
    assert [one.id for one in devices_and_tokens.list_signers(platform)] == ["anna"]
    end(platform, "anna", "ada", at(2))
    assert devices_and_tokens.list_signers(platform) == []
    with pytest.raises(WrongPin):
        sign(platform, minute=3)


def wrong(platform, n, **options):
    """Return how many of these wrong PINs were checked."""
    checked = 0
    for _ in range(n):
        try:
            sign(platform, pin="9999", **options)
        except TooManyPins:
            continue
        except WrongPin:
            checked += 1
    return checked


def test_after_ten_wrong_pins_a_person_waits_alone_and_a_right_pin_is_not_told_from_a_wrong_one(
    platform,
):
    with_pin(platform, "bob", "7315")
    assert wrong(platform, 50) == 10
    with pytest.raises(TooManyPins, match="60 min"):
        sign(platform)
    assert sign(platform, "bob", "7315").id == "bob"
    assert sign(platform, minute=61).id == "anna"


def test_right_pins_between_give_a_guesser_no_more_attempts(platform):
    checked = 0
    for _ in range(30):
        checked += wrong(platform, 1)
        if checked < 10:
            sign(platform)
    assert checked == 10


def test_a_device_takes_twenty_wrong_pins_whatever_the_name(platform):
    assert sum(wrong(platform, 1, name=f"name{n}") for n in range(30)) == 20
    with pytest.raises(TooManyPins, match="this device"):
        sign(platform)


def test_a_new_pin_forgets_the_wrong_ones(platform):
    wrong(platform, 30)
    devices_and_tokens.change_pin(platform, QUICK, "anna", "", "0394", at(2))
    assert sign(platform, pin="0394").id == "anna"


class Counting(Argon2Passwords):
    """Counts its checks; during each, something happens."""

    def __init__(self, happens=lambda: None):
        super().__init__(passes=1, memory_kib=8)
        self.checked = 0
        self.happens = happens

    def matches(self, stored, password):
        self.checked += 1
        self.happens()
        return super().matches(stored, password)


def test_requests_at_the_same_time_check_no_more_pins_than_one_after_the_other(platform):
    def another_request():
        with pytest.raises((WrongPin, TooManyPins)):
            sign(platform, pin="9999", passwords=passwords)

    passwords = Counting(another_request)
    another_request()
    assert passwords.checked == 10


def test_an_unknown_name_costs_a_check_as_a_wrong_pin_does(platform):
    passwords = Counting()
    for name in ("anna", "bob"):
        with pytest.raises(WrongPin):
            sign(platform, name, "9999", passwords=passwords)
    assert passwords.checked == 2


# Links


def test_the_link_of_a_device_starts_it_once_and_ends_its_session_of_before(platform):
    before = begin_session(platform, "tablet-1", at(1), "10.0.0.7", lasts=timedelta(days=90))
    code = accounts.make_link(platform, "tablet-1", "ada", at(2))
    assert find_session(platform, before, at(2)) is not None
    devices_and_tokens.start_device(platform, code, at(3))
    assert find_session(platform, before, at(3)) is None
    with pytest.raises(UserError, match="no longer valid"):
        devices_and_tokens.start_device(platform, code, at(4))


def test_a_link_does_for_another_kind_of_account_nothing(platform):
    of_device = accounts.make_link(platform, "tablet-1", "ada", at(1))
    of_person = accounts.make_link(platform, "anna", "ada", at(1))
    for use, *given in (
        (devices_and_tokens.start_device, of_person),
        (accounts.set_password, QUICK, of_device, PASSWORD),
        (devices_and_tokens.set_pin, QUICK, of_device, "4827"),
    ):
        with pytest.raises(UserError, match="no longer valid"):
            use(platform, *given, at(2))


@pytest.mark.parametrize("role", ["engineer", "admin", "sender"])
def test_a_device_has_no_role_beyond_that_of_an_operator(platform, role):
    with pytest.raises(UserError):
        accounts.add_person(platform, "tablet-2", role, "ada", at(0), kind="device")
    with pytest.raises(UserError):
        accounts.change_person(platform, "tablet-1", "ada", at(0), role=role)


def test_a_device_has_no_token(platform):
    with pytest.raises(UserError, match="shared device"):
        create_token(platform, "rows", "tablet-1", "viewer", at(60), "ada", at(0))


def test_the_audit_of_pins_and_devices_holds_no_hash(platform):
    found = [(e.actor, e.what, e.subject) for e in reversed(platform.audit.find(AuditFilter(), 9))]
    assert found == [
        ("ada", "person added", "anna"),
        ("anna", "PIN set", "anna"),
        ("ada", "device added", "tablet-1"),
        ("tablet-1", "device started", "tablet-1"),
    ]
    shown = str(platform.audit.entries) + repr(platform.accounts.get("anna"))
    assert "argon2" not in shown
