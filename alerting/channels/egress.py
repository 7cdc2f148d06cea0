"""What messages may reach: hosts on the list, or any public address; never by surprise something inside the plant's network.

The check is made on the very addresses that are then connected to, so that a name cannot change its meaning in between.
"""

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from alerting.definitions.faults import Refused
from alerting.pipelines.ports import DeliveryFailed

SETTING = "ALERTING_EGRESS_ALLOW"
_NAT64 = IPv6Network("64:ff9b::/96")
Address = IPv4Address | IPv6Address
Resolve = Callable[..., Sequence[tuple[Any, ...]]]


class EgressRefused(DeliveryFailed):
    """The address may not be reached; trying again is useless until somebody allows it."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"{host} may not be reached: {why}; allow it with {SETTING}", permanent=True)


class Egress:
    """The rule. `allow` holds host names, patterns such as `*.office.com`, addresses, and networks such as `10.1.0.0/16`.

    With an empty list every public address may be reached. With a list nothing else may. An address that is not public
    (private, loopback, link-local …) needs its network, itself or its host name in the list; a pattern does not do.
    """

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve = socket.getaddrinfo) -> None:
        """Raises Refused for an entry that is neither a host nor a network."""
        self._names = [entry.rstrip(".") for entry in allow if not _is_network(entry)]
        self._networks = [ip_network(entry, strict=False) for entry in allow if _is_network(entry)]
        self._resolve = resolve
        for name in self._names:
            if not name or any(c in name for c in "/:@ "):
                raise Refused(f"{SETTING}: {name!r} is neither a host nor a network; write hooks.example.com or 10.1.0.0/16")

    def address(self, host: str, port: int) -> str:
        """An address of the host that may be connected to. Raises EgressRefused, or DeliveryFailed when it has none."""
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
        """Raises EgressRefused unless this address of this host may be reached."""
        where = _meant(ip_address(address))
        if any(where.version == network.version and where in network for network in self._networks):
            return
        name = host.lower().rstrip(".")
        if name in self._names:
            return
        listed = any(fnmatchcase(name, pattern) for pattern in self._names)
        if (self._names or self._networks) and not listed:
            raise EgressRefused(host, "it is not on the list")
        if not where.is_global or where.is_multicast:
            raise EgressRefused(host, f"{where} is not a public address")


class Guard:
    """What one delivery by a library of others resolved, and why it was stopped, if it was."""

    def __init__(self, egress: Egress) -> None:
        self.egress = egress
        self.host = ""
        self.refusal: EgressRefused | None = None


_guard: ContextVar[Guard | None] = ContextVar("guard", default=None)
_hooked: list[bool] = []


@contextmanager
def guarded(egress: Egress) -> Iterator[Guard]:
    """Within this block, and in this thread alone, the interpreter itself lets no connection out that the rule forbids."""
    if not _hooked:
        sys.addaudithook(_audit)
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
    guard = _guard.get()
    if guard is None:
        return
    if event == "socket.getaddrinfo":
        guard.host = _text(arguments[0])
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        _check_connection(guard, str(arguments[1][0]).partition("%")[0])


def _check_connection(guard: Guard, address: str) -> None:
    try:
        guard.egress.check(guard.host or address, address)
    except (EgressRefused, ValueError) as refusal:
        guard.refusal = refusal if isinstance(refusal, EgressRefused) else EgressRefused(address, "it is no address")
        raise PermissionError(str(refusal)) from None


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if not isinstance(address, IPv6Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
