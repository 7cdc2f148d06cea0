"""`alerting access …`: people, tokens of programs, and who did what."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.cli.printing.output import console, print_json, show, show_result
from alerting.cli.support import (
    End,
    Json,
    Start,
    command,
    command_group,
    instant,
    platform,
    user,
    writes,
)
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import UserError

if TYPE_CHECKING:
    from alerting.operators.actions import Role
    from alerting.operators.people import AccountKind

access_group = command_group("People, tokens of programs, and who did what.")
person_group = command_group("People who sign in to the console.")
device_group = command_group("Devices that people share, and sign on with a PIN.")
token_group = command_group("Tokens of programs.")
access_group.add_typer(person_group, name="person")
access_group.add_typer(device_group, name="device")
access_group.add_typer(token_group, name="token")

PersonName = Annotated[str, typer.Argument(metavar="NAME", help="Name to sign in with.")]
TokenKey = Annotated[str, typer.Argument(metavar="KEY", help="Key in the list.")]
Scope = Annotated[
    list[str] | None,
    typer.Option(metavar="ASSET", help="Asset to see, with all below it; may be repeated."),
]
WholePlant = Annotated[
    bool, typer.Option("--whole-plant", help="No limit; of a token, that of its owner.")
]
ENTRIES = 50


@person_group.command("add")
@writes
def add(
    name: PersonName,
    role: Annotated[str, typer.Option(help="viewer, operator, engineer or admin.")] = "operator",
    display_name: Annotated[str, typer.Option("--shown", help="Name for other people.")] = "",
    scope: Scope = None,
    as_json: Json = False,
) -> None:
    """Add a person, and print the one-time link that sets the password. Without --scope, the person
    sees the whole plant."""
    from alerting.usecases.access.people import add_person

    with platform() as p:
        account, code = add_person(
            p,
            name.lower(),
            _role(role),
            user(),
            _now(),
            display_name.strip(),
            scope=scope or None,
        )
    _print_link(account.id, code, as_json)


@person_group.command("link")
@writes
def link(name: PersonName, as_json: Json = False) -> None:
    """Print a new one-time link that sets a person's password or PIN, or starts a shared device."""
    from alerting.usecases.access.people import find_account, make_link

    with platform() as p:
        code = make_link(p, name, user(), _now())
        kind = find_account(p, name).kind
    _print_link(name, code, as_json, kind)


@person_group.command("role")
@writes
def role(
    name: PersonName,
    role: Annotated[str, typer.Argument(help="viewer, operator, engineer or admin.")],
    as_json: Json = False,
) -> None:
    """Change the role of a person, at once also where they are signed in."""
    _change("change_person", name, f"has the role {role}", as_json, _role(role))


@person_group.command("scope")
@writes
def scope(
    name: PersonName,
    scope: Scope = None,
    whole_plant: WholePlant = False,
    as_json: Json = False,
) -> None:
    """Limit a person or service to parts of the plant, at once also where they are signed in."""
    from alerting.usecases.access.people import set_scope

    _require_one(scope, whole_plant)
    with platform() as p:
        account = set_scope(p, name, scope or None, user(), _now())
    show_result(
        {"name": name, "scope": account.scope},
        as_json,
        f"{name} sees {_describe_scope(account.scope)}",
    )


@person_group.command("disable")
@writes
def disable(name: PersonName, as_json: Json = False) -> None:
    """Refuse a person, a device or a service from now on; sessions and tokens end."""
    _change("disable_account", name, "is disabled", as_json)


@person_group.command("enable")
@writes
def enable(name: PersonName, as_json: Json = False) -> None:
    """Accept a disabled person, device or service again."""
    _change("enable_account", name, "is enabled", as_json)


@person_group.command("remove")
@writes
def remove(name: PersonName, as_json: Json = False) -> None:
    """Delete a person or a shared device with tokens and sessions; the audit stays."""
    _change("remove_person", name, "is removed", as_json)


def _change(change: str, name: str, done: str, as_json: bool, *values: object) -> None:
    """Apply a use case of people to an account, and print the account as it is then."""
    from alerting.usecases.access import people

    with platform() as p:
        getattr(people, change)(p, name, user(), _now(), *values)
        account = p.accounts.get(name)
    fields = people.public_fields(account) if account else {"id": name}
    show_result(fields, as_json, f"{name} {done}")


@person_group.command("list")
@command
def list_people(as_json: Json = False) -> None:
    """List people, shared devices and services with role and state."""
    from alerting.usecases.access.people import public_fields

    with platform() as p:
        accounts = p.accounts.all()
    rows = [
        {
            **public_fields(account),
            "name": account.id,
            "state": "disabled"
            if account.disabled_at
            else "tokens file"
            if account.kind == "service"
            else "shared device"
            if account.kind == "device"
            else "directory"
            if account.identity
            else "active"
            if account.password
            else "PIN alone"
            if account.pin
            else "without password",
            "sees": _describe_scope(account.scope),
            "signed in": account.signed_in_at,
        }
        for account in accounts
    ]
    columns = ["name", "display_name", "role", "sees", "state", "signed in"]
    show(rows, columns, as_json, "no account yet: alerting access person add NAME --role admin")


@device_group.command("add")
@writes
def add_device(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as tablet-line-1.")],
    role: Annotated[
        str, typer.Option(help="operator: people answer on it with a PIN; viewer: it only shows.")
    ] = "operator",
    as_json: Json = False,
) -> None:
    """Add a device that people share, and print the one-time link that starts it."""
    from alerting.usecases.access.people import add_person

    with platform() as p:
        account, code = add_person(p, name.lower(), _role(role), user(), _now(), kind="device")
    _print_link(account.id, code, as_json, "device")


@token_group.command("create")
@writes
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    owner: Annotated[str, typer.Option(help="Account that it speaks for.")],
    role: Annotated[str, typer.Option(help="What it may do; sender for data.")] = "sender",
    lasting: Annotated[
        str, typer.Option("--for", help="How long it is good.", metavar="DURATION")
    ] = "365d",
    scope: Scope = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it, this one time. Without --scope it sees what its owner sees."""
    from alerting.usecases.access.tokens import create_token, token_fields

    try:
        duration: timedelta = parse_duration(lasting)
    except ValueError as fault:
        raise typer.BadParameter(str(fault), param_hint="--for") from fault
    with platform() as p:
        now = _now()
        token, secret = create_token(
            p, name, owner, _role(role), now + duration, user(), now, scope or None
        )
    if as_json:
        print_json({**token_fields(token), "token": secret})
    else:
        console.print("the token, stored nowhere and not shown again:")
        console.print(secret, soft_wrap=True)


@token_group.command("list")
@command
def list_tokens(as_json: Json = False) -> None:
    """List tokens with owner, role, end and last use."""
    from alerting.usecases.access.tokens import token_fields

    with platform() as p:
        rows = [
            {**token_fields(token), "sees": _describe_scope(token.scope, "all of the owner")}
            for token in p.access_tokens.all()
        ]
    columns = ["key", "name", "owner", "role", "sees", "ends_at", "used_at"]
    show(rows, columns, as_json, "no token yet: alerting access token create NAME --owner ACCOUNT")


@token_group.command("scope")
@writes
def token_scope(
    key: TokenKey,
    scope: Scope = None,
    whole_plant: WholePlant = False,
    as_json: Json = False,
) -> None:
    """Limit a token to parts of the plant, at once."""
    from alerting.usecases.access.tokens import set_token_scope, token_fields

    _require_one(scope, whole_plant)
    with platform() as p:
        token = set_token_scope(p, key, scope or None, user(), _now())
    seen = _describe_scope(token.scope, "all that its owner sees")
    done = f"the token {token.name} of {token.owner} sees {seen}"
    show_result(token_fields(token), as_json, done)


@token_group.command("revoke")
@writes
def revoke(
    key: TokenKey,
    as_json: Json = False,
) -> None:
    """Revoke a token at once."""
    from alerting.usecases.access.tokens import revoke_token, token_fields

    with platform() as p:
        token = revoke_token(p, key, user(), _now())
    done = f"the token {token.name} of {token.owner} is revoked"
    show_result(token_fields(token), as_json, done)


@access_group.command("audit")
@command
def audit(
    actor: Annotated[str | None, typer.Option("--by", help="Person or command user.")] = None,
    subject: Annotated[str | None, typer.Option("--about", help="Thing, by its name.")] = None,
    what: Annotated[str | None, typer.Option("--what", help="Action.")] = None,
    start: Start = None,
    end: End = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = ENTRIES,
    as_json: Json = False,
) -> None:
    """List what people, commands and the platform did, newest first."""
    from alerting.ports import AuditFilter
    from alerting.usecases.access.audit import changed_fields

    wanted = AuditFilter(actor, subject, what, instant(start, "--from"), instant(end, "--to"))
    with platform() as p:
        found = p.audit.find(wanted, limit)
    if as_json:
        return print_json(found)
    rows = [
        {
            "at": entry.at,
            "by": entry.actor,
            "what": entry.what,
            "about": entry.subject,
            "from where": entry.origin,
            "changes": "; ".join(
                [
                    *([entry.why] if entry.why else []),
                    *(f"{n}: {a or '-'} → {b or '-'}" for n, a, b in changed_fields(entry)),
                ]
            )[:200],
        }
        for entry in found
    ]
    return show(
        rows, ["at", "by", "what", "about", "from where", "changes"], False, "no entry fits"
    )


@access_group.command("certificate")
@command
def certificate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or address of this machine.")],
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the files are written.", metavar="FOLDER")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Make a certificate and a key for a trial of HTTPS; browsers warn of it once."""
    from alerting.adapters.certificate import make_certificate

    cert, key = make_certificate(name, folder.absolute(), _now())
    files = {"ALERTING_TLS_CERT": str(cert), "ALERTING_TLS_KEY": str(key)}
    if as_json:
        print_json(files)
    else:
        for setting, path in files.items():
            console.print(f"{setting}={path}", soft_wrap=True)


def _role(text: str) -> "Role":
    from alerting.operators.actions import ROLES

    for role in ROLES:
        if role == text:
            return role
    raise UserError(f"there is no role {text!r}: {', '.join(ROLES)}")


def _require_one(scope: list[str] | None, whole_plant: bool) -> None:
    if bool(scope) == whole_plant:
        raise typer.BadParameter("name assets with --scope, or give --whole-plant")


def _describe_scope(scope: tuple[str, ...] | None, without: str = "the whole plant") -> str:
    """Return a scope in words."""
    return without if scope is None else ", ".join(scope)


def _now() -> datetime:
    """Return the real time, by which sessions, links and tokens end."""
    return datetime.now(UTC)


def _print_link(name: str, code: str, as_json: bool, kind: "AccountKind" = "person") -> None:
    from alerting.settings.environment import read_settings
    from alerting.wiring import console_address

    address = f"{console_address(read_settings(os.environ))}password/{code}"
    show_result(
        {"name": name, "link": address},
        as_json,
        f"open this link on {name}, once, within three days:"
        if kind == "device"
        else f"{name} sets the password or a PIN with this link, once, within three days:",
        address,
    )
