"""Which role may do what, and what a token may do at most."""

from typing import get_args

import pytest

from alerting.operators.actions import ROLES
from alerting.operators.permissions import (
    LEAST_ROLES,
    PERMISSIONS,
    Permission,
    lesser_role,
    may,
)

pytestmark = pytest.mark.fast

ALLOWED = {
    "sender": {"describe", "send"},
    "viewer": {"describe", "read"},
    "operator": {"describe", "read", "operate"},
    "engineer": {"describe", "send", "read", "operate", "configure"},
    "admin": {"describe", "send", "read", "operate", "configure", "administer"},
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_its_permissions_and_no_other(role):
    assert {p for p in get_args(Permission) if may(role, p)} == ALLOWED[role]


def test_what_is_in_no_table_is_denied():
    assert not may("root", "read")
    assert not may("admin", "delete everything")
    assert set(PERMISSIONS) == set(LEAST_ROLES) == set(get_args(Permission))


@pytest.mark.parametrize("wanted", ROLES)
@pytest.mark.parametrize("owner", ROLES)
def test_a_token_never_may_do_what_its_owner_may_not(wanted, owner):
    role = lesser_role(wanted, owner)
    assert role is None or ALLOWED[role] <= ALLOWED[owner]
    if ALLOWED[wanted] <= ALLOWED[owner]:
        assert role == wanted
