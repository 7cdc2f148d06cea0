"""Whether a request may carry a password: over TLS, or within this machine."""

from urllib.parse import urlsplit

from fastapi import Request

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers of requests that a proxy passed on."""


def is_https(request: Request, public_url: str | None) -> bool:
    """Return whether the public address or the request is HTTPS, as proxies may hide it."""
    return (public_url or "").lower().startswith("https://") or request.url.scheme == "https"


def is_confidential(request: Request, public_url: str | None) -> bool:
    """Return whether no other machine can read this request: HTTPS, the public HTTPS address of a
    proxy, or an address of the browser's own machine without a proxy."""
    if request.url.scheme == "https":
        return True
    host = host_name(request)
    public = urlsplit(public_url or "")
    if public.scheme.lower() == "https" and host == public.hostname:
        return True
    return host in _LOOPBACK_NAMES and not is_passed_on(request)


def is_passed_on(request: Request) -> bool:
    """Return whether a proxy says that it passed this request on."""
    return any(name in request.headers for name in PASSED_ON)


def is_loopback_name(request: Request) -> bool:
    """Return whether the browser asked for an address of its own machine."""
    return host_name(request) in _LOOPBACK_NAMES


def host_name(request: Request) -> str:
    """Return the host that the browser asked for, in lower case, without its port."""
    host = request.headers.get("host", "").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host
