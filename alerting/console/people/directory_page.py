"""Sign-in by headers of a trusted proxy, which has asked the plant's directory."""

import hmac
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, ValidationError

from alerting.adapters.files.yaml_documents import read_yaml
from alerting.console.access import person_of
from alerting.console.attempts import client_of
from alerting.console.gate import COOKIE, READING
from alerting.console.login import entrance_of, login_page
from alerting.console.problems import is_for_programs
from alerting.console.web.rendering import page_address, render
from alerting.definitions.faults import DocumentRefused, UserError
from alerting.definitions.wording.fault_messages import model_faults
from alerting.definitions.wording.language import translatable
from alerting.operators.people import SESSION_LASTS
from alerting.settings.variables import read_private_file
from alerting.usecases.access.directory import admit_from_directory
from alerting.usecases.access.people import record_sign_in

LEAST_SECRET = 16
_Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]


class Directory(BaseModel):
    """The proxy that signs people in, and what their groups may do.

    `proxies`: addresses or networks from which its requests come; none: nobody signs in by it.
    `secret_file`: what it sends in `secret_header`. `create`: a person without an account gets one.
    `log_out`: where a browser is signed out of the proxy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    proxies: tuple[IPvAnyNetwork, ...] = Field(max_length=100)
    secret_file: Path
    secret_header: _Header = "X-Alerting-Proxy-Secret"  # noqa: S105 - the name of a header
    user_header: _Header = "X-Forwarded-User"
    groups_header: _Header = "X-Forwarded-Groups"
    groups: dict[str, Literal["viewer", "operator", "engineer", "admin"]] = Field(
        min_length=1, max_length=1000
    )
    create: bool = False
    log_out: str | None = Field(None, pattern=r"^(https:/)?/[!-.0-\[\]-~][!-~]{0,400}$")

    def read(self, request: Request) -> tuple[str, list[str]] | None:
        """Return the user whom the proxy names, and their groups; None without one, and for a
        request that does not come from the proxy, of which no header is read.

        Raises UserError without the right secret, and for a header that is there twice.
        """
        peer = getattr(request.state, "peer", None)
        address = ip_address(peer.partition("%")[0]) if peer else None
        address = getattr(address, "ipv4_mapped", None) or address
        if address is None or not any(address in network for network in self.proxies):
            return None
        secret, user, groups = (
            _only(request, name)
            for name in (self.secret_header, self.user_header, self.groups_header)
        )
        if not hmac.compare_digest(secret.encode(), self.read_secret().encode()):
            raise UserError(translatable("the proxy did not send the right secret"))
        return (user, [group.strip() for group in groups.split(",")]) if user else None

    def read_secret(self) -> str:
        """Return the secret of the proxy. Raises UserError if it is too short, cannot be read, or
        others may read it."""
        named = f"ALERTING_DIRECTORY: secret_file {self.secret_file}"
        secret = read_private_file(self.secret_file, named)
        if len(secret) < LEAST_SECRET:
            raise UserError(f"{named}: less than {LEAST_SECRET} characters: openssl rand -hex 24")
        return secret


def open_directory(file: Path) -> Directory:
    """Return the directory of a settings file. Raises UserError with all its faults."""
    try:
        (document,) = read_yaml(file)
        found = Directory.model_validate(document)
    except ValidationError as error:
        faults = model_faults(error.errors(), Directory.model_fields)
        raise DocumentRefused(str(file), faults) from error
    except ValueError as error:
        raise UserError(f"{file}: holds not one document of the directory") from error
    found.read_secret()
    return found


def enter_by_proxy(request: Request) -> Response | None:
    """Take the person whom the proxy names as that of a request, whatever session it has; return
    the page that begins a session for it, or a refusal; None where the request goes on."""
    entrance = entrance_of(request)
    directory = entrance.directory
    if directory is None:
        return None
    found = request.state.person
    now = entrance.now()
    client = client_of(request)
    try:
        named = directory.read(request)
        if named is None:
            if found is not None and found.identity is not None:
                request.state.person = None  # a session of the directory counts behind it alone
            return None
        account = admit_from_directory(
            entrance.platform, *named, directory.groups, now, create=directory.create
        )
    except UserError as fault:
        request.state.person = None
        request.state.refused = ("sign-in refused", "directory", str(fault))
        return HTMLResponse(login_page(request, "/", fault.message), 403)
    if found is not None and found.name == account.id:
        return None
    request.state.person = person_of(account)
    if is_for_programs(request.url.path):
        return None
    session = entrance.access.begin_session(account.id, now, client)
    record_sign_in(entrance.platform, account.id, client, now, "by the directory")
    is_page = request.method in READING and request.url.path != "/login"
    target = page_address(request) if is_page else "/"
    # a redirect would still count as coming from the login of the proxy, without the cookie
    answer = HTMLResponse(render("sign_in.html", request, done=True, target=target))
    entrance.set_cookie(answer, request, COOKIE, session, SESSION_LASTS)
    return answer


def _only(request: Request, header: str) -> str:
    """Return the value of a header, empty without it. Raises UserError for two of them."""
    found = request.headers.getlist(header)
    if len(found) > 1:
        raise UserError(translatable("the proxy sent the header {name} twice", name=header))
    return found[0].strip() if found else ""
