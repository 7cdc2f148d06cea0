"""How messages leave: mail server, addresses, chat services, what may be reached, and how long feedback links count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import Fault

EMAIL_PREFIX = "ALERTING_EMAIL_"
APPRISE_PREFIX = "ALERTING_APPRISE_"
Tls = Literal["starttls", "tls", "none"]
_PORTS: dict[Tls, int] = {"starttls": 587, "tls": 465, "none": 25}
T = TypeVar("T")


@dataclass(frozen=True)
class Smtp:
    """The mail server. The password is in a file that only its owner may read, or in the environment; it needs TLS."""

    host: str
    port: int
    tls: Tls
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True)
class Delivery:
    """`ALERTING_SMTP_HOST`, `_PORT`, `_TLS`, `_FROM`, `_USER`, `_PASSWORD_FILE` or `_PASSWORD`, `_CA_FILE`; one address per
    `ALERTING_EMAIL_<NAME>`, one service per `ALERTING_APPRISE_<NAME>`; `ALERTING_EGRESS_ALLOW`; `ALERTING_PUBLIC_URL`,
    `ALERTING_LINK_KEY_FILE` and `ALERTING_LINKS_LAST` for feedback links.
    """

    smtp: Smtp | None = None
    emails: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    apprise_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    egress_allow: tuple[str, ...] = ()
    public_url: str | None = None
    link_key_file: Path | None = None
    links_last: timedelta = timedelta(hours=24)


def read_delivery(environ: Mapping[str, str], faults: list[Fault]) -> Delivery:
    """Read what concerns messages; faults are added to the list."""

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        text = environ.get(name, "").strip()
        try:
            return parse(text) if text else default
        except ValueError as fault:
            faults.append(Fault(name, str(fault)))
            return default

    emails = _named(environ, EMAIL_PREFIX)
    for name, address in emails.items():
        if not _is_address(address):
            faults.append(Fault(EMAIL_PREFIX + name, "no e-mail address; give one address, e.g. shift@plant.example"))
    smtp = _smtp(environ, faults, read)
    if emails and smtp is None and not any(f.path.startswith("ALERTING_SMTP") for f in faults):
        faults.append(Fault("ALERTING_SMTP_HOST", "is missing: e-mail needs the mail server and ALERTING_SMTP_FROM"))
    return Delivery(
        smtp=smtp,
        emails=_channels(emails),
        apprise_urls=_channels(_named(environ, APPRISE_PREFIX)),
        egress_allow=read("ALERTING_EGRESS_ALLOW", _list, ()),
        public_url=read("ALERTING_PUBLIC_URL", _public_url, None),
        link_key_file=read("ALERTING_LINK_KEY_FILE", Path, None),
        links_last=read("ALERTING_LINKS_LAST", _lasting, Delivery.links_last),
    )


def _smtp(environ: Mapping[str, str], faults: list[Fault], read: Callable[..., object]) -> Smtp | None:
    host = environ.get("ALERTING_SMTP_HOST", "").strip()
    if not host:
        return None
    tls = cast(Tls, read("ALERTING_SMTP_TLS", _tls, "starttls"))
    sender = environ.get("ALERTING_SMTP_FROM", "").strip()
    if not _is_address(sender):
        faults.append(Fault("ALERTING_SMTP_FROM", "no e-mail address: give the one that messages come from"))
    user = environ.get("ALERTING_SMTP_USER", "").strip() or None
    if user and tls == "none":
        faults.append(
            Fault("ALERTING_SMTP_TLS", "no password goes out without TLS: choose starttls or tls, or leave the user out")
        )
    return Smtp(
        host=host,
        port=cast(int, read("ALERTING_SMTP_PORT", _port, _PORTS[tls])),
        tls=tls,
        sender=sender,
        user=user,
        password=environ.get("ALERTING_SMTP_PASSWORD") or None,
        password_file=cast(Path | None, read("ALERTING_SMTP_PASSWORD_FILE", Path, None)),
        ca_file=cast(Path | None, read("ALERTING_SMTP_CA_FILE", Path, None)),
    )


def _named(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    given = {key.removeprefix(prefix): environ[key].strip() for key in sorted(environ) if key.startswith(prefix)}
    return {name: text for name, text in given.items() if text}


def _channels(named: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name.lower().replace("_", "-"): value for name, value in named.items()})


def _is_address(text: str) -> bool:
    _, address = parseaddr(text)
    name, _, host = address.rpartition("@")
    return bool(name and host) and text.isprintable() and "," not in text


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


def _tls(text: str) -> Tls:
    if text not in get_args(Tls):
        raise ValueError(f"{text!r} is none of {', '.join(get_args(Tls))}")
    return cast(Tls, text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is no port: give a whole number from 1 to 65535")
    return int(text)


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("no address: give the one at which people reach the pages, e.g. https://alerting.plant.example")
    return text.rstrip("/")


def _lasting(text: str) -> timedelta:
    lasting = parse_duration(text)
    if not timedelta(minutes=1) <= lasting <= timedelta(days=7):
        raise ValueError(f"{text!r}: feedback links last from 1m to 7d")
    return lasting
