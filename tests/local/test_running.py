import subprocess
import sys

import pytest

from alerting.adapters.mongo.running import hold, running
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast


def nobody_waits():
    raise AssertionError("nothing to wait for")


def test_a_home_has_one_holder_and_commands_see_it(tmp_path):
    assert running(tmp_path) is None
    with hold(tmp_path, "http://127.0.0.1:5050", nobody_waits):
        assert running(tmp_path).mlflow_uri == "http://127.0.0.1:5050"
        with pytest.raises(UserError, match="already runs"), hold(tmp_path, "", nobody_waits):
            pass
    assert running(tmp_path) is None


def test_a_holder_that_was_killed_holds_nothing(tmp_path):
    script = (
        "import os, pathlib, sys; from alerting.adapters.mongo.running import hold\n"
        "with hold(pathlib.Path(sys.argv[1]), '', lambda: None): os.kill(os.getpid(), 9)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == -9
    )
    with hold(tmp_path, "", nobody_waits):
        assert running(tmp_path) is not None


def test_a_holder_that_is_stopping_is_waited_for(tmp_path):
    waited = []
    with hold(tmp_path, "", nobody_waits) as first:
        first.stopping()
        with (
            pytest.raises(UserError),
            hold(tmp_path, "", lambda: waited.append("told"), patience=0.3),
        ):
            pass
    assert waited == ["told"]
