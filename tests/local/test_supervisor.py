import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from alerting.local.supervisor import Part, Supervisor, _woken_by_signals, delay_after, ending

pytestmark = pytest.mark.fast


def test_the_delay_doubles_up_to_a_minute():
    assert [delay_after(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delay_after(10_000) == 60


def test_how_a_process_ended_is_said_in_words():
    assert ending(1) == "exit 1"
    assert ending(-9) == "killed by SIGKILL"


def test_a_part_may_need_only_what_is_started(tmp_path):
    part = Part("api", "API", ("true",), {}, needs=("database",))
    with pytest.raises(ValueError, match="database"):
        Supervisor([part], tmp_path, tmp_path, print, print)


def test_a_wait_ends_as_soon_as_a_child_ends_or_a_signal_comes():
    with _woken_by_signals() as wait:
        began = time.monotonic()
        child = subprocess.Popen([sys.executable, "-c", ""])
        wait(120)
        assert child.wait() == 0
        before = signal.signal(signal.SIGUSR1, lambda *_: None)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        wait(120)
        signal.signal(signal.SIGUSR1, before)
        assert time.monotonic() - began < 60
        wait(0.01)  # without a signal it ends after its time
