"""Libraries that are loaded at their first use, which may be on any thread."""

import subprocess
import sys

PROGRAM = """
import io
from threading import Thread
from alerting.deferred import arrow_csv, pd

def read():
    table = arrow_csv.read_csv(io.BytesIO(b"a;b"))
    assert table.num_rows == 0
    assert len(pd.DataFrame({"a": [1]})) == 1

for _ in range(20):
    thread = Thread(target=read)
    thread.start()
    thread.join()
print("done")
"""


def test_tables_are_read_after_the_thread_that_loaded_the_library_has_ended():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"done\n"), done.stderr[-2000:]
