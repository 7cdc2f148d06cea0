"""A connection between a client and a server that a test can break."""

import socket
import threading
from contextlib import suppress

from tests.support import free_port


class Proxy:
    """Passes bytes to a port of this machine until it is cut; `join` lets new connections through
    again."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def join(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        listener = self._listener
        self._listener = None
        for one in [*([listener] if listener else []), *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                ours, _ = listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self._target))
                self._open += [ours, theirs]
                if self._listener is not listener:  # it was cut meanwhile
                    ours.close()
                    theirs.close()
                    return
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=_pass, args=pair, daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while found := source.recv(1 << 16):
            sink.sendall(found)
        sink.shutdown(socket.SHUT_RDWR)
