"""Settings of delivery: mail server, addresses, chats, permitted targets, lifetime of links."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args
from urllib.parse import urlsplit

from alerting.settings.secrets import read_private_file
from alerting.settings.variables import Variables, address, listed, one_of, port_number

EMAIL_PREFIX = "ALERTING_EMAIL_"
NTFY_PREFIX = "ALERTING_NTFY_"
TOKEN_SUFFIX = "_TOKEN"  # noqa: S105 - the ending of a variable's name, not a secret
Tls = Literal["starttls", "tls", "none"]
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_TLS: tuple[Tls, ...] = get_args(Tls)
_PORTS: dict[Tls, int] = {"starttls": 587, "tls": 465, "none": 25}
_nothing: Callable[[], Mapping[str, str]] = partial(MappingProxyType, {})
_slack_url = address(
    {"http", "https"},
    "not an incoming webhook of Slack: it starts with https:// and names a host, as in "
    "https://hooks.slack.com/services/…",
)
_teams_url = address(
    {"http", "https"},
    "not the address of a workflow of Teams: it starts with https:// and names a host, as the "
    'workflow "When a Teams webhook request is received" shows it',
)


@dataclass(frozen=True)
class Smtp:
    """The mail server. The password, in a private file or the environment, needs TLS."""

    host: str
    port: int
    tls: Tls
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None

    def read_password(self) -> str | None:
        """Return the password, as given or from its file.

        Raises UserError if the file cannot be read, or others may read it.
        """
        if self.password_file is None:
            return self.password
        named = f"ALERTING_SMTP_PASSWORD_FILE {self.password_file}"
        return read_private_file(self.password_file, named)


@dataclass(frozen=True)
class Delivery:
    """Settings of messages, with their variables.

    `ALERTING_SMTP_HOST`, `_PORT`, `_TLS`, `_FROM`, `_USER`, `_PASSWORD_FILE` or `_PASSWORD`,
    `_CA_FILE`; one address per `ALERTING_EMAIL_<NAME>`, `ALERTING_SLACK_<NAME>`,
    `ALERTING_TEAMS_<NAME>` and `ALERTING_NTFY_<NAME>` (with `_TOKEN`);
    `ALERTING_EGRESS_ALLOW`; `ALERTING_PUBLIC_URL` and
    `ALERTING_LINK_KEY_FILE` for feedback links.
    """

    smtp: Smtp | None = None
    emails: Mapping[str, str] = field(default_factory=_nothing)
    slack_urls: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    teams_urls: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    ntfy_urls: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    ntfy_tokens: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    egress_allow: tuple[str, ...] = ()
    public_url: str | None = None
    link_key_file: Path | None = None

    @property
    def has_chats(self) -> bool:
        """Return whether there is a channel of Slack, Teams or ntfy."""
        return bool(self.slack_urls or self.teams_urls or self.ntfy_urls)


def read_delivery(variables: Variables) -> Delivery:
    """Return the settings of messages."""
    smtp = _read_smtp(variables)
    emails = variables.read_group(EMAIL_PREFIX, _address, "")
    if variables.names(EMAIL_PREFIX) and smtp is None:
        variables.add_fault(
            "ALERTING_SMTP_HOST", "is missing: e-mail needs the mail server and ALERTING_SMTP_FROM"
        )
    return Delivery(
        smtp=smtp,
        emails=emails,
        slack_urls=variables.read_group("ALERTING_SLACK_", _slack_url, ""),
        teams_urls=variables.read_group("ALERTING_TEAMS_", _teams_url, ""),
        ntfy_urls=variables.read_group(NTFY_PREFIX, _ntfy_url, "", leave_out=TOKEN_SUFFIX),
        ntfy_tokens=variables.read_group(NTFY_PREFIX, _token, "", TOKEN_SUFFIX),
        egress_allow=variables.read("ALERTING_EGRESS_ALLOW", lambda text: listed(text.lower()), ()),
        public_url=variables.read("ALERTING_PUBLIC_URL", _public_url, None),
        link_key_file=variables.read("ALERTING_LINK_KEY_FILE", Path, None),
    )


def _read_smtp(variables: Variables) -> Smtp | None:
    host = variables.text("ALERTING_SMTP_HOST")
    if not host:
        return None
    tls: Tls = variables.read("ALERTING_SMTP_TLS", one_of(_TLS), "starttls")
    sender = variables.text("ALERTING_SMTP_FROM")
    if not _is_address(sender):
        variables.add_fault(
            "ALERTING_SMTP_FROM", "not an e-mail address: give the address of the sender"
        )
    user = variables.text("ALERTING_SMTP_USER") or None
    if user and tls == "none":
        variables.add_fault(
            "ALERTING_SMTP_TLS",
            "a password needs TLS: choose starttls or tls, or leave the user out",
        )
    return Smtp(
        host=host,
        port=variables.read("ALERTING_SMTP_PORT", port_number, _PORTS[tls]),
        tls=tls,
        sender=sender,
        user=user,
        password=variables.environ.get("ALERTING_SMTP_PASSWORD") or None,  # blanks may belong to it
        password_file=variables.read("ALERTING_SMTP_PASSWORD_FILE", Path, None),
        ca_file=variables.read("ALERTING_SMTP_CA_FILE", Path, None),
    )


def _address(text: str) -> str:
    if not _is_address(text):
        raise ValueError("not an e-mail address; give one address, e.g. shift@plant.example")
    return text


def _is_address(text: str) -> bool:
    _, address = parseaddr(text)
    name, _, host = address.rpartition("@")
    return bool(name and host) and text.isprintable() and "," not in text


def _ntfy_url(text: str) -> str:
    refusal = "not a topic of ntfy: give server and topic, as in https://ntfy.sh/line-3-x7Gq2"
    parts = urlsplit(address({"http", "https"}, refusal)(text))
    if not parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(refusal)
    return text


def _token(text: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("not a token: give an access token of ntfy, which begins with tk_")
    return text


def _public_url(text: str) -> str:
    refusal = "not an address: give the address of the console, e.g. https://alerting.plant.example"
    parts = urlsplit(address({"http", "https"}, refusal)(text))
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise ValueError(refusal)
    return text.rstrip("/")
