"""Rule for the addresses that messages may reach: hosts on the list, or any public address.

The rule keeps messages from reaching a host inside the plant's network by accident. It checks the
addresses that the connection then uses, so that a name cannot change its meaning in between.
"""

import socket
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed

SETTING = "ALERTING_EGRESS_ALLOW"
Resolve = Callable[..., Sequence[tuple[Any, ...]]]
Address = IPv4Address | IPv6Address

_SPECIAL_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space of providers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's metadata and name service, on a public number
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocols, and a cloud's metadata service
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private use
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # future use, and broadcast
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
"""All global unicast addresses in use. The addresses outside are special: loopback, unique local,
link-local, site-local (fec0::/10), multicast, discard (100::/64), local translation
(64:ff9b:1::/48), segment routing (5f00::/16) and the rest."""
_SPECIAL_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocols: Teredo, benchmarks, ORCHID, anycast services
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4; see below
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


class EgressRefused(DeliveryFailed):
    """Error: the address may not be reached; a retry is useless until it is allowed."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(
            f"{host} may not be reached: {why}; allow it with {SETTING}",
            permanent=True,
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
                    "or 10.1.0.0/16"
                )

    def address(self, host: str, port: int) -> str:
        """Return an allowed address of the host.

        Raises EgressRefused if one of its addresses may not be reached, DeliveryFailed if the name
        service knows none.
        """
        try:
            entries = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as fault:
            raise DeliveryFailed(f"{host} is not known to the name service") from fault
        addresses = [str(entry[4][0]).partition("%")[0] for entry in entries]
        for address in addresses:
            self.check(host, address)
        if not addresses:
            raise DeliveryFailed(f"{host} has no address")
        return addresses[0]

    def check(self, host: str, address: str) -> None:
        """Check one address of a host. Raises EgressRefused if it may not be reached."""
        try:
            reached = [
                where
                for where in meant(address)
                if not any(
                    where.version == network.version and where in network
                    for network in self._networks
                )
            ]
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
                raise EgressRefused(host, f"{where!s} is not a public address")


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


def meant(address: str) -> tuple[Address, ...]:
    """Return the addresses that packets to this one reach: itself, or the IPv4 addresses that are
    written into an IPv6 address.

    Mapped, compatible and translated addresses, NAT64, 6to4 and Teredo (server and client) mean
    IPv4; an ISATAP address means itself and the IPv4 address in it. Raises ValueError if the text
    is no address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return (parsed,)
    low = IPv4Address(int(parsed) & 0xFFFFFFFF)
    is_compatible = parsed in _COMPATIBLE and int(parsed) > 1
    if is_compatible or any(parsed in block for block in (_MAPPED, _TRANSLATED, _NAT64)):
        return (low,)
    if parsed.sixtofour is not None:
        return (parsed.sixtofour,)
    if parsed.teredo is not None:
        return parsed.teredo
    return (parsed, low) if int(parsed) >> 32 & 0xFFFFFFFF in _ISATAP else (parsed,)


def is_public(address: Address) -> bool:
    """Return whether this address itself is public; for each that `meant` returns."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _SPECIAL_V4)
    return address in _PUBLIC_V6 and not any(address in block for block in _SPECIAL_V6)
