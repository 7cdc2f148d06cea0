"""The document of the plant's directory: its OpenID provider, and what its groups may do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from alerting.definitions.faults import DocumentRefused
from alerting.definitions.wording.fault_messages import model_faults
from alerting.operators.directory import GroupRule

MOST_GROUPS = 1000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_safe_address(address: str) -> bool:
    """Return whether requests to an address cannot be read on their way: HTTPS, or this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    )


def _issuer(address: str) -> str:
    if not is_safe_address(address) or not address.isprintable() or " " in address:
        raise ValueError("not the address of a provider: it starts with https:// and names a host")
    return address


class _DirectoryPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MappedGroup(_DirectoryPart):
    """The rights of the members of a group of the directory."""

    group: str = Field(min_length=1, max_length=400)
    role: Literal["viewer", "operator", "engineer", "admin"]
    scope: tuple[str, ...] | None = Field(None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.role == "admin" and self.scope is not None:
            raise ValueError("an administrator has no scope: leave it out, or give engineer")
        return self


def _groups(groups: tuple[MappedGroup, ...]) -> tuple[MappedGroup, ...]:
    if not 1 <= len(groups) <= MOST_GROUPS:
        raise ValueError(f"name 1 to {MOST_GROUPS} groups")
    return groups


class DirectorySettings(_DirectoryPart):
    """The provider, this platform as its client, and the rules of groups.

    `title`: of the link on the page of the login. `ca_file`: authorities of the provider's
    certificate (PEM), in place of those of the machine. `oauth_scopes`: asked of the provider.
    `groups_claim`: field of the identity token with the names of groups.
    """

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(max_length=500)
    title: str = Field(min_length=1, max_length=60)
    client_id: str = Field(min_length=1, max_length=200)
    client_secret_file: Path
    ca_file: Path | None = None
    oauth_scopes: tuple[str, ...] = ("openid", "profile")
    groups_claim: str = Field("groups", min_length=1, max_length=200)
    groups: Annotated[tuple[MappedGroup, ...], AfterValidator(_groups)]

    @property
    def rules(self) -> tuple[GroupRule, ...]:
        """Return the rules of groups."""
        return tuple(GroupRule(one.group, one.role, one.scope) for one in self.groups)


def parse_directory(document: Mapping[str, Any], origin: str) -> DirectorySettings:
    """Return the settings in a document. Raises DocumentRefused with every fault."""
    try:
        return DirectorySettings.model_validate(document)
    except ValidationError as error:
        raise DocumentRefused(
            origin, model_faults(error.errors(), DirectorySettings.model_fields)
        ) from error
