"""Permissions of each role, and the part of the plant in which they hold: one table, asked by every
page, endpoint and command."""

from collections.abc import Mapping
from dataclasses import dataclass
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
OF_THE_WHOLE_PLANT: frozenset[Permission] = frozenset({"administer"})
"""Permissions that an account with a scope never has, for they concern the whole plant."""

Scopes = tuple[tuple[str, ...], ...]
"""Parts of the asset tree, each by the names of its topmost assets. An account sees what lies in
each part; without one (an empty tuple), the whole plant."""
Target = frozenset[str] | Literal["anything", "whole plant"]
"""The names of all assets that something concerns: of an episode its asset, of a definition all of
its assets; `anything`: no certain thing yet, the question is only of the role."""


@dataclass(frozen=True)
class Rights:
    """A role, and the names of the assets for which it holds; None for the whole plant."""

    role: Role
    visible: frozenset[str] | None = None


def may(rights: Rights, permission: Permission, target: Target = "anything") -> bool:
    """Return whether a permission is given for a target; False for any role, permission or asset
    that is unknown, and for something without assets unless the rights are for the whole plant."""
    if not has_permission(rights.role, permission):
        return False
    if rights.visible is None:
        return True
    if permission in OF_THE_WHOLE_PLANT:
        return False
    if isinstance(target, frozenset):
        return in_scope(rights.visible, target)
    return target == "anything"


def in_scope(visible: frozenset[str], target: frozenset[str]) -> bool:
    """Return whether all assets of something are visible; False for something without assets."""
    return bool(target) and target <= visible


def has_permission(role: Role, permission: Permission) -> bool:
    """Return whether a role has a permission; False for any role or permission that is unknown."""
    return role in PERMISSIONS.get(permission, frozenset())


def lesser_role(wanted: Role, owner: Role) -> Role | None:
    """Return the role that a token works with: the wanted one if all that it may do its owner may
    do as well, else the owner's own; None if the owner's role is `sender` and the wanted one not.
    """
    permissions = get_args(Permission)
    if all(has_permission(owner, p) for p in permissions if has_permission(wanted, p)):
        return wanted
    return None if owner == "sender" else owner


def join_scopes(*scopes: tuple[str, ...] | None) -> Scopes:
    """Return what limits an account, and a token of it: every scope that is given."""
    return tuple(scope for scope in scopes if scope is not None)


def visible_assets(scopes: Scopes, parents: Mapping[str, str | None]) -> frozenset[str] | None:
    """Return the known assets that lie in every scope: those that it names, and all below them;
    None without a scope, for the whole plant.

    `parents`: the name of the parent by the name of each known asset. A named asset that is not
    known adds none. An asset whose ancestors form a circle is in a scope only if that names it.
    """
    if not scopes:
        return None
    lines = {name: _line(name, parents) for name in parents}
    roots = [frozenset(scope) for scope in scopes]
    return frozenset(
        name for name, line in lines.items() if all(not root.isdisjoint(line) for root in roots)
    )


def sees_all_of(
    scope: tuple[str, ...] | None,
    other: tuple[str, ...] | None,
    parents: Mapping[str, str | None],
) -> bool:
    """Return whether everything in another scope lies in this one. `parents`: as above."""
    visible = visible_assets(join_scopes(scope), parents)
    wanted = visible_assets(join_scopes(other), parents)
    return visible is None or (wanted is not None and wanted <= visible)


def _line(name: str, parents: Mapping[str, str | None]) -> list[str]:
    """Return an asset and its known ancestors; the asset alone if they form a circle."""
    line = [name]
    while (above := parents[line[-1]]) is not None and above in parents:
        if above in line:
            return [name]
        line.append(above)
    return line
