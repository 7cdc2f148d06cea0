"""Addresses of brokers, and the certificates of connections to them."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from alerting.adapters.sources.secrets import require_private
from alerting.definitions.faults import UserError
from alerting.definitions.sources.streamed import Tls
from alerting.definitions.wording.language import ENGLISH

CONNECT_S = 10
ADDRESSED = ("source", "sink")
"""Words for a document with an address: marked for translation, used by `word`."""


class Encrypted(Protocol):
    """A source or a sink with a broker. `word`: which of them."""

    word: ClassVar[str]

    @property
    def name(self) -> str: ...

    @property
    def tls(self) -> Tls | None: ...


@dataclass(frozen=True)
class Address:
    """Parts of an address. `path`: without its first /; `tls`: None without encryption."""

    host: str
    port: int
    user: str | None
    password: str | None
    path: str
    tls: ssl.SSLContext | None


def read_address(
    source: Encrypted, address: str, ports: Mapping[str, int], *, has_path: bool = False
) -> Address:
    """Return the parts of an address. Raises UserError, without any part of the address, if it is
    none.

    `ports`: the usual port by scheme, first without and then with TLS. Raises UserError too if a
    certificate cannot be read.
    """
    plain, encrypted = ports
    try:
        url = urlsplit(address)
        is_one = (
            url.scheme in ports
            and url.hostname
            and (has_path or not url.path.strip("/"))
            and not (url.query or url.fragment)
        )
        port = url.port or ports.get(url.scheme, 0)
    except ValueError:  # its text can hold a part of the password
        is_one = False
        port = 0
    if not is_one:
        raise UserError(
            f"{ENGLISH.say(source.word)} {source.name}: its url is not the address of a broker; "
            f"write for example {encrypted}://user@broker, in a password %2F for /, %23 for # "
            "and %3F for ?"
        )
    if source.tls is not None and url.scheme == plain:
        raise UserError(
            f"{ENGLISH.say(source.word)} {source.name}: it has `tls`, but its url is not "
            f"encrypted: write {encrypted}://"
        )
    return Address(
        host=url.hostname or "",
        port=port,
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        path=unquote(url.path.removeprefix("/")),
        tls=tls_context(source) if url.scheme == encrypted else None,
    )


def tls_context(source: Encrypted) -> ssl.SSLContext:
    """Return what a connection trusts, and its certificate. Raises UserError for a bad file."""
    tls = source.tls
    file = tls.ca if tls else None
    try:
        context = ssl.create_default_context(cafile=file)
        if tls is not None and tls.certificate is not None:
            file = tls.certificate
            if tls.key is not None:
                require_private(Path(tls.key))
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "it is no certificate with its key, in PEM"
        raise UserError(
            f"{ENGLISH.say(source.word)} {source.name}: tls: {file!s} cannot be read: {reason}"
        ) from error
    return context
