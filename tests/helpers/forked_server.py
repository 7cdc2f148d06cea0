"""The process behind `tests.helpers.forked`: `forked_server.py SOCKET MODULE:FUNCTION MODULE…`
imports them, then takes requests.

Without a socket (`-`) each line of the standard input is one: arguments, folder, environment, and
the files that take the output. The process that is forked for it calls the function as if it had
just been started; its id and then its exit code are the answer, two lines of the standard output.
With one, a connection is a request, which brings its three files itself; its exit code is the
answer.
"""

import gc
import importlib
import json
import os
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def serve(answers: int) -> None:
    """Fork for each request; returns in each forked process, and in this one after the last
    request."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            request = json.loads(line)
            paths = (os.devnull, request["stdout"], request["stderr"])
            _become(
                request, [os.open(p, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600) for p in paths]
            )
            return
        os.write(answers, b"%d\n" % child)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def serve_at(address: str) -> None:
    """Fork for each connection until this process is ended; returns in each forked process."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    while True:
        connection, _ = listening.accept()
        sent, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        while not sent.endswith(b"\n"):
            sent += connection.recv(1 << 20)
        child = os.fork()
        if child == 0:
            listening.close()
            connection.close()
            _become(json.loads(sent), files)
            return
        for file in files:
            os.close(file)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(b"%d" % code)
        connection.close()


def _become(request: dict[str, object], files: list[int]) -> None:
    """Take on arguments, folder and environment of a request, and its three files."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.argv[:] = request["arguments"]


def main() -> None:
    """Import, serve, and in each forked process call the function: the interpreter ends as after
    any script."""
    sys.path[0] = str(ROOT)
    address = sys.argv[1]
    module, _, function = sys.argv[2].partition(":")
    called = getattr(importlib.import_module(module), function)
    for name in sys.argv[3:]:
        importlib.import_module(name)
    gc.freeze()  # a collection in a forked process would copy all that was imported
    if address == "-":
        answers = os.dup(1)  # not inheritable
        os.dup2(2, 1)
        serve(answers)
        os.close(answers)
    else:
        serve_at(address)
    called()


main()
