"""Waiting for a server on a port of this machine."""

import socket
import time


def answers(port: int) -> bool:
    """Return whether a server accepts connections on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def await_port(port: int, seconds: float) -> None:
    """Wait until a server accepts connections on a port. Raises TimeoutError if it takes longer."""
    until = time.monotonic() + seconds
    while not answers(port):
        if time.monotonic() > until:
            raise TimeoutError(f"no server answers on port {port} after {seconds:g} s")
        time.sleep(0.05)
