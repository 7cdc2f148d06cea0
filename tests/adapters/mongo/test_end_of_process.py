"""A process that has asked MongoDB ends when it is done: it waits for no thread of the driver."""

import subprocess
import sys

ASK = """
import atexit
import sys

waited = []
atexit.register(lambda: print(f"{len(waited)} waits"))  # called last, as the first registered

from pymongo.periodic_executor import PeriodicExecutor

PeriodicExecutor.join = lambda self, timeout=None: waited.append(timeout)

from alerting.adapters.mongo.mongo import connect

print(connect(sys.argv[1]).admin.command("ping")["ok"])
"""


def test_the_end_of_a_process_does_not_wait_for_the_threads_of_the_driver(real_mongod):
    done = subprocess.run(
        [sys.executable, "-c", ASK, real_mongod.uri], capture_output=True, check=True, text=True
    )
    assert done.stdout.splitlines() == ["1.0", "0 waits"]
    assert done.stderr == ""
