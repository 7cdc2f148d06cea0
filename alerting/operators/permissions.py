"""Permissions of each role: one table, asked by every page, endpoint and command."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from alerting.operators.actions import Role

Permission = Literal["describe", "send", "read", "operate", "configure", "administer"]
PERMISSIONS: Mapping[Permission, frozenset[Role]] = MappingProxyType({
    "describe": frozenset({"sender", "viewer", "operator", "engineer", "admin"}),
    "send": frozenset({"sender", "engineer", "admin"}),
    "read": frozenset({"viewer", "operator", "engineer", "admin"}),
    "operate": frozenset({"operator", "engineer", "admin"}),
    "configure": frozenset({"engineer", "admin"}),
    "administer": frozenset({"admin"}),
})  # fmt: skip
"""The roles with each permission. `describe`: read what the API offers; `send`: readings and
events; `operate`: answer alarms; `configure`: definitions, routes, sources and models;
`administer`: people, tokens, sessions."""
LEAST_ROLES: Mapping[Permission, str] = MappingProxyType({
    "describe": "sender or viewer", "send": "sender or engineer", "read": "viewer",
    "operate": "operator", "configure": "engineer", "administer": "admin",
})  # fmt: skip
"""The least roles with each permission, in words."""


def may(role: Role, permission: Permission) -> bool:
    """Return whether a role has a permission; False for any role or permission that is unknown."""
    return role in PERMISSIONS.get(permission, frozenset())


def lesser_role(wanted: Role, owner: Role) -> Role | None:
    """Return the role that a token works with: the wanted one if all that it may do its owner may
    do as well, else the owner's own; None if the owner's role is `sender` and the wanted one not.
    """
    if all(may(owner, p) for p in get_args(Permission) if may(wanted, p)):
        return wanted
    return None if owner == "sender" else owner
