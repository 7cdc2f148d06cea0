"""Rule of the addresses that messages may reach: hosts on the list, or any public address.

The rule keeps messages from reaching a host inside the plant's network by accident. It checks the
addresses that the connection then uses, so that a name cannot change its meaning in between.
"""

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from importlib import import_module
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from alerting.adapters.channels.public_addresses import Address, is_public, meant
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed

SETTING = "ALERTING_EGRESS_ALLOW"
Resolve = Callable[..., Sequence[tuple[Any, ...]]]


class EgressRefused(DeliveryFailed):
    """Error: the address may not be reached; a retry is useless until an administrator allows the
    address."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(
            f"{host} may not be reached: {why}; allow it with {SETTING}", permanent=True
        )


class Egress:
    """Rule of the allowed addresses.

    `allow` holds host names, patterns such as `*.office.com`, addresses, and networks such as
    `10.1.0.0/16`. With an empty list every public address may be reached. With a list only its
    entries may be reached. An address that is not public (private, loopback, link-local …) needs
    its network, itself or its host name in the list; a pattern is not enough.
    """

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve = socket.getaddrinfo) -> None:
        """Parse the list. Raises UserError if an entry is neither a host nor a network."""
        self._names = [entry.rstrip(".") for entry in allow if not _is_network(entry)]
        self._networks = [ip_network(entry, strict=False) for entry in allow if _is_network(entry)]
        self._resolve = resolve
        for name in self._names:
            if not name or any(c in name for c in "/:@ "):
                raise UserError(
                    f"{SETTING}: {name!r} is neither a host nor a network; write hooks.example.com "
                    f"or 10.1.0.0/16"
                )

    def address(self, host: str, port: int) -> str:
        """Return an allowed address of the host. Raises EgressRefused if none is allowed,
        DeliveryFailed if the host has none."""
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as fault:
            raise DeliveryFailed(f"{host} is not known to the name service") from fault
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:
            self.check(host, address)
        if not addresses:
            raise DeliveryFailed(f"{host} has no address")
        return addresses[0]

    def check(self, host: str, address: str) -> None:
        """Check one address of a host. Raises EgressRefused if it may not be reached."""
        try:
            reached = [where for where in meant(address) if not self._has(where)]
        except ValueError:
            raise EgressRefused(host, "it is not an address") from None
        if not reached:
            return
        name = host.lower().rstrip(".")
        if name in self._names:
            return
        listed = any(fnmatchcase(name, pattern) for pattern in self._names)
        if (self._names or self._networks) and not listed:
            raise EgressRefused(host, "it is not on the list")
        for where in reached:
            if not is_public(where):
                raise EgressRefused(host, f"{where} is not a public address")

    def _has(self, where: Address) -> bool:
        return any(
            where.version == network.version and where in network for network in self._networks
        )


class Guard:
    """Record of one delivery by a third-party library: resolved addresses, and the reason if it was
    stopped."""

    def __init__(self, egress: Egress) -> None:
        self.egress = egress
        self.host = ""
        self.refusal: EgressRefused | None = None
        self.proxies = _proxies()

    def refuse(self, host: str, why: str) -> None:
        """Stop the current connection. Raises PermissionError, which libraries treat as a failed
        connection."""
        self.refusal = EgressRefused(host, why)
        raise PermissionError(str(self.refusal))


_guard: ContextVar[Guard | None] = ContextVar("guard", default=None)
_hooked: list[bool] = []
_INHERITED = "_alerting_egress_guard"


@contextmanager
def guard_connections(egress: Egress) -> Iterator[Guard]:
    """Block, in the interpreter itself, every connection that the rule forbids, in this thread and
    in threads that it starts.

    Proxies and passwords (.netrc) of the environment are ignored: a proxy would connect in place of
    this process.
    """
    if not _hooked:
        sys.addaudithook(_audit)
        _without_environment()
        _hand_on_to_threads()
        _hooked.append(True)
    guard = Guard(egress)
    token = _guard.set(guard)
    try:
        yield guard
    finally:
        _guard.reset(token)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    guard = _guard.get() or getattr(threading.current_thread(), _INHERITED, None)
    if guard is None:
        return
    if event == "socket.getaddrinfo":
        guard.host = _text(arguments[0])
        if (guard.host, str(arguments[1])) in guard.proxies:
            guard.refuse(
                guard.host,
                "it is the proxy of the environment, behind which this rule cannot check addresses",
            )
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        _check_connection(guard, str(arguments[1][0]).partition("%")[0])


def _check_connection(guard: Guard, address: str) -> None:
    try:
        guard.egress.check(guard.host or address, address)
    except EgressRefused as refusal:
        guard.refusal = refusal
        raise PermissionError(str(refusal)) from None


def _hand_on_to_threads() -> None:
    own_start = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        guard = _guard.get() or getattr(threading.current_thread(), _INHERITED, None)
        if guard is not None:
            setattr(thread, _INHERITED, guard)
        own_start(thread)

    setattr(threading.Thread, "start", start)  # noqa: B010 - replaces the method for all threads


def _without_environment() -> None:
    """Keep `requests`, which most services of Apprise use, from reading proxies and passwords of
    the environment in the guard."""
    try:
        sessions = import_module("requests.sessions")
    except ImportError:
        return
    own_proxies = sessions.resolve_proxies
    in_guard: dict[str, Callable[..., Any]] = {
        "get_environ_proxies": lambda *_, **__: {},
        "get_netrc_auth": lambda *_, **__: None,
        "resolve_proxies": lambda request, proxies, *_: own_proxies(request, proxies, False),
    }
    for name, harmless in in_guard.items():
        setattr(sessions, name, _unless_guarded(getattr(sessions, name), harmless))


def _unless_guarded(usual: Callable[..., Any], harmless: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(*arguments: Any, **named: Any) -> Any:
        guard = _guard.get() or getattr(threading.current_thread(), _INHERITED, None)
        return (usual if guard is None else harmless)(*arguments, **named)

    return chosen


def _proxies() -> frozenset[tuple[str, str]]:
    """Return host and port of every proxy that the environment names."""
    found = set()
    for address in getproxies().values():
        try:
            parts = urlsplit(address if "//" in address else f"//{address}")
            found.add(
                (
                    parts.hostname or "",
                    str(parts.port or {"https": 443, "http": 80}.get(parts.scheme, 1080)),
                )
            )
        except ValueError:
            continue
    return frozenset(found)


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True
