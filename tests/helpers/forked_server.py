"""The process behind `tests.helpers.forked`: `forked_server.py MODULE:FUNCTION MODULE…` imports
them, then takes requests.

Each line of the standard input is one: arguments, folder, environment, and the files that take the
output. The process that is forked for it calls the function as if it had just been started; its id
and then its exit code are the answer, two lines of the standard output.
"""

import gc
import importlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def serve(answers: int) -> None:
    """Fork for each request; returns in each forked process, and in this one after the last
    request."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
            return
        os.write(answers, b"%d\n" % child)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def _become(request: dict[str, object]) -> None:
    """Take on arguments, folder, environment and files of a request."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    for number, path in enumerate((os.devnull, request["stdout"], request["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv[:] = request["arguments"]


def main() -> None:
    """Import, serve, and in each forked process call the function: the interpreter ends as after
    any script."""
    sys.path[0] = str(ROOT)
    module, _, function = sys.argv[1].partition(":")
    called = getattr(importlib.import_module(module), function)
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.freeze()  # a collection in a forked process would copy all that was imported
    answers = os.dup(1)  # not inheritable
    os.dup2(2, 1)
    serve(answers)
    os.close(answers)
    called()


main()
