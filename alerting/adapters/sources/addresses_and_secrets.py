"""Addresses of the servers of sources and sinks, certificates of connections to these servers, and
their secrets: from the environment, or from files that only their owner may read."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from alerting.definitions.faults import UserError, shown
from alerting.definitions.source_fields import Secret, Tls
from alerting.definitions.wording.language import ENGLISH
from alerting.settings.environment_variables import SecretRules

CONNECT_S = 10


class Unusable(UserError):
    """Refusal of a source or a sink as it is written: its name, and why."""

    def __init__(self, subject: str, why: str) -> None:
        self.why = why
        super().__init__(f"{subject}: {why}")


class Encrypted(Protocol):
    """A source or a sink with a broker. `word`: "source" or "sink"."""

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
    not valid.

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
        raise Unusable(
            f"{ENGLISH.say(source.word)} {source.name}",
            f"its url is not the address of a broker; "
            f"write for example {encrypted}://user@broker, in a password %2F for /, %23 for # "
            "and %3F for ?",
        )
    if source.tls is not None and url.scheme == plain:
        raise Unusable(
            f"{ENGLISH.say(source.word)} {source.name}",
            f"it has `tls`, but its url is not encrypted: write {encrypted}://",
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
        raise Unusable(
            f"{ENGLISH.say(source.word)} {source.name}", f"tls: {file!s} cannot be read: {reason}"
        ) from error
    return context


Resolve = Callable[[Secret], str]


def resolver(environ: Mapping[str, str], connection: Callable[[str], str] | None = None) -> Resolve:
    """Return the function that finds secrets: all, or for a source its `allowed_secrets`.
    `connection`: returns a connection of Airflow by its id, in a DAG.

    The function raises UserError, without the secret, if the secret does not exist.
    """

    def resolve(secret: Secret) -> str:
        if secret.env is not None:
            text = environ.get(secret.env, "")
            if not text:
                raise UserError(
                    f"the environment variable {secret.env} is not set; the process that connects "
                    "needs "
                    "it"
                )
            return text
        if secret.file is not None:
            return _read_secret(Path(secret.file))
        if connection is None:
            name = secret.airflow_connection
            raise UserError(
                f"the connection {shown(name)} is known to Airflow only: the DAG of the source "
                "reads it"
            )
        return connection(str(secret.airflow_connection))

    return resolve


def allowed_secrets(
    environ: Mapping[str, str], rules: SecretRules, connection: Callable[[str], str] | None = None
) -> Resolve:
    """Return the function that finds secrets. It raises UserError for those not allowed."""
    resolve = resolver(environ, connection)

    def find(secret: Secret) -> str:
        refusal = rules.name_refusal(secret.env) if secret.env is not None else None
        refusal = rules.file_refusal(secret.file) if secret.file is not None else refusal
        if refusal is not None:
            raise UserError(refusal)
        return resolve(secret)

    return find


def _read_secret(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise UserError(
            f"the file of the secret, {path!s}, cannot be read: {fault.strerror!s}"
        ) from fault
    except UnicodeDecodeError:
        raise UserError(f"the file of the secret, {path!s}, is no text in UTF-8") from None
    require_private(path)
    return text.strip()


def require_private(path: Path) -> None:
    """Raise UserError if others than its owner may read a file, OSError if the file does not
    exist."""
    if path.stat().st_mode & 0o077:
        raise UserError(
            f"the file of the secret, {path!s}, may be read by others: run `chmod 600` on it"
        )
