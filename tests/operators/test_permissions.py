"""Which role may do what, and what a token may do at most."""

from itertools import product
from typing import get_args

import pytest

from alerting.operators.account_rules import (
    LEAST_ROLES,
    PERMISSIONS,
    Permission,
    lesser_role,
    may,
)
from alerting.operators.actions_and_mutes import ROLES

pytestmark = pytest.mark.fast

ALLOWED = {
    "sender": {"describe", "send"},
    "viewer": {"describe", "read"},
    "operator": {"describe", "read", "operate"},
    "engineer": {"describe", "send", "read", "operate", "configure"},
    "admin": {"describe", "send", "read", "operate", "configure", "administer"},
}


def test_each_role_has_its_permissions_and_no_other():
    assert {role: {p for p in get_args(Permission) if may(role, p)} for role in ROLES} == ALLOWED


def test_what_is_in_no_table_is_denied():
    assert not may("root", "read")
    assert not may("admin", "delete everything")
    assert set(PERMISSIONS) == set(LEAST_ROLES) == set(get_args(Permission))


def test_a_token_never_may_do_what_its_owner_may_not():
    found = {(wanted, owner): lesser_role(wanted, owner) for wanted, owner in product(ROLES, ROLES)}
    assert found == {
        (wanted, owner): wanted
        if ALLOWED[wanted] <= ALLOWED[owner]
        else (None if owner == "sender" else owner)
        for wanted, owner in found
    }
    assert all(ALLOWED.get(role, set()) <= ALLOWED[owner] for (_, owner), role in found.items())
