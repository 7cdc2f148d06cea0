"""Rule of the addresses that messages may reach: hosts on the list, or any public address.

The rule keeps messages from reaching a host inside the plant's network by accident. It checks the
addresses that the connection then uses, so that a name cannot change its meaning in between.
"""

import socket
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import Any

from alerting.adapters.channels.public_addresses import Address, is_public, meant
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import DeliveryFailed

SETTING = "ALERTING_EGRESS_ALLOW"
Resolve = Callable[..., Sequence[tuple[Any, ...]]]


class EgressRefused(DeliveryFailed):
    """Error: the address may not be reached; a retry is useless until it is allowed."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(
            translatable(
                "{host} may not be reached: {why}; allow it with {setting}",
                host=host,
                why=why,
                setting=SETTING,
            ),
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
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as fault:
            raise DeliveryFailed(
                translatable("{host} is not known to the name service", host=host)
            ) from fault
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:
            self.check(host, address)
        if not addresses:
            raise DeliveryFailed(translatable("{host} has no address", host=host))
        return addresses[0]

    def check(self, host: str, address: str) -> None:
        """Check one address of a host. Raises EgressRefused if it may not be reached."""
        try:
            reached = [where for where in meant(address) if not self._has(where)]
        except ValueError:
            raise EgressRefused(host, translatable("it is not an address")) from None
        if not reached:
            return
        name = host.lower().rstrip(".")
        if name in self._names:
            return
        listed = any(fnmatchcase(name, pattern) for pattern in self._names)
        if (self._names or self._networks) and not listed:
            raise EgressRefused(host, translatable("it is not on the list"))
        for where in reached:
            if not is_public(where):
                raise EgressRefused(
                    host, translatable("{address} is not a public address", address=str(where))
                )

    def _has(self, where: Address) -> bool:
        return any(
            where.version == network.version and where in network for network in self._networks
        )


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True
