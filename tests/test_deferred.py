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


OF_MLFLOW = """
import sys
from threading import Thread, current_thread

threads = []

class Noted:
    def find_spec(self, name, path=None, target=None):
        if name == "pyarrow":
            threads.append(current_thread().name)

sys.meta_path.insert(0, Noted())

from alerting.adapters.mlflow.mlflow_registry import MlflowConnection

def ask():
    with MlflowConnection("sqlite:///" + sys.argv[1], 1).client():
        pass

thread = Thread(target=ask, name="of one answer")
thread.start()
thread.join()
print(threads)
"""


def test_mlflow_loads_pyarrow_on_the_thread_that_lasts(tmp_path):
    """A page that asks MLflow during a training loaded it on a thread of the server, which ended;
    the next import of a file crashed the console."""
    command = [sys.executable, "-c", OF_MLFLOW, str(tmp_path / "mlflow.db")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"['libraries']\n"), done.stderr[-2000:]
