"""Which role may do what, and what a token may do at most."""

from typing import get_args

import pytest

from alerting.operators.actions import ROLES
from alerting.operators.permissions import (
    LEAST_ROLES,
    PERMISSIONS,
    Permission,
    Rights,
    join_scopes,
    lesser_role,
    may,
    visible_assets,
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
    assert {p for p in get_args(Permission) if may(Rights(role), p)} == ALLOWED[role]


def test_what_is_in_no_table_is_denied():
    assert not may(Rights("root"), "read")
    assert not may(Rights("admin"), "delete everything")
    assert set(PERMISSIONS) == set(LEAST_ROLES) == set(get_args(Permission))


@pytest.mark.parametrize("wanted", ROLES)
@pytest.mark.parametrize("owner", ROLES)
def test_a_token_never_may_do_what_its_owner_may_not(wanted, owner):
    role = lesser_role(wanted, owner)
    assert role is None or ALLOWED[role] <= ALLOWED[owner]
    if ALLOWED[wanted] <= ALLOWED[owner]:
        assert role == wanted


LINE_1 = frozenset({"line-1", "oven-1"})


@pytest.mark.parametrize(
    ("role", "visible", "permission", "target", "allowed"),
    [
        ("viewer", LINE_1, "read", frozenset({"oven-1"}), True),
        ("viewer", LINE_1, "read", frozenset({"oven-2"}), False),
        ("viewer", LINE_1, "read", frozenset({"oven-1", "oven-2"}), False),
        ("viewer", LINE_1, "read", frozenset({"unknown"}), False),
        ("viewer", LINE_1, "read", frozenset(), False),
        ("viewer", LINE_1, "read", "anything", True),
        ("viewer", LINE_1, "read", "whole plant", False),
        ("viewer", LINE_1, "read", "oven-1", False),
        ("viewer", LINE_1, "operate", frozenset({"oven-1"}), False),
        ("viewer", frozenset(), "read", frozenset({"oven-1"}), False),
        ("viewer", None, "read", frozenset({"oven-2"}), True),
        ("viewer", None, "read", "whole plant", True),
        ("operator", LINE_1, "operate", frozenset({"oven-1"}), True),
        ("operator", LINE_1, "operate", frozenset({"oven-2"}), False),
        ("engineer", LINE_1, "configure", frozenset({"line-1", "oven-1"}), True),
        ("engineer", LINE_1, "configure", "whole plant", False),
        ("sender", LINE_1, "send", frozenset({"oven-1"}), True),
        ("sender", LINE_1, "send", frozenset({"oven-2"}), False),
        ("admin", LINE_1, "administer", "anything", False),
        ("admin", LINE_1, "administer", frozenset({"oven-1"}), False),
        ("admin", None, "administer", "anything", True),
        ("viewer", None, "administer", "whole plant", False),
    ],
)
def test_a_permission_holds_only_for_what_lies_in_scope(role, visible, permission, target, allowed):
    assert may(Rights(role, visible), permission, target) is allowed


PLANT = {
    "plant": None, "line-1": "plant", "oven-1": "line-1", "belt-1": "oven-1", "line-2": "plant",
    "oven-2": "line-2", "orphan": "gone", "odd-1": "odd-2", "odd-2": "odd-1", "below-odd": "odd-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("scopes", "visible"),
    [
        ([("line-1",)], {"line-1", "oven-1", "belt-1"}),
        ([("oven-1", "line-2")], {"oven-1", "belt-1", "line-2", "oven-2"}),
        ([("plant",)], {"plant", "line-1", "oven-1", "belt-1", "line-2", "oven-2"}),
        ([()], set()),
        ([("unknown",)], set()),
        ([("gone",)], set()),
        ([("orphan",)], {"orphan"}),
        ([("odd-1",)], {"odd-1"}),
        ([("line-1",), ("oven-1", "oven-2")], {"oven-1", "belt-1"}),
        ([("line-1",), ("line-2",)], set()),
    ],
)
def test_a_scope_is_what_lies_below_its_assets_and_no_fault_of_the_tree_widens_it(scopes, visible):
    assert visible_assets(join_scopes(None, *scopes), PLANT) == visible


def test_a_circle_does_not_put_the_rest_of_the_plant_below_a_line():
    assert visible_assets((("line-1",),), {**PLANT, "plant": "line-1"}) == {"line-1"}


def test_without_a_scope_the_whole_plant_is_visible():
    assert visible_assets(join_scopes(None, None), PLANT) is None
