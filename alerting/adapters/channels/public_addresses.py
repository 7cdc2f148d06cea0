"""Test for public addresses: outside the ranges that IANA has reserved, and not a form of such an
address.

The ranges are listed here because `ipaddress.is_global` differs between versions of Python and
omits unregistered ranges (deprecated site-local addresses, metadata services of clouds). Sources:
the IANA special-purpose address registries of IPv4 (RFC 6890 and its successors) and IPv6, the
multicast and future-use blocks, and the unicast block 2000::/3 of IPv6.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

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


def meant(address: str) -> tuple[Address, ...]:
    """Return the addresses that packets to this one reach: itself, or the IPv4 addresses that are
    written into an IPv6 address.

    Mapped, compatible and translated addresses, NAT64, 6to4 and Teredo (server and client) mean
    IPv4; an ISATAP address means itself and the IPv4 address in it. Raises ValueError if the text
    is no address.
    """
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return (found,)
    low = IPv4Address(int(found) & 0xFFFFFFFF)
    is_compatible = found in _COMPATIBLE and int(found) > 1
    if is_compatible or any(found in block for block in (_MAPPED, _TRANSLATED, _NAT64)):
        return (low,)
    if found.sixtofour is not None:
        return (found.sixtofour,)
    if found.teredo is not None:
        return found.teredo
    return (found, low) if int(found) >> 32 & 0xFFFFFFFF in _ISATAP else (found,)


def is_public(address: Address) -> bool:
    """Return whether this address itself is public; for each that `meant` returns."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _SPECIAL_V4)
    return address in _PUBLIC_V6 and not any(address in block for block in _SPECIAL_V6)
