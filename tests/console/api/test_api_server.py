"""The server as it is started: on this machine only, with tokens or not at all, and stopped by a
signal."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.helpers.console.server import TOKEN, wait_until_healthy
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server


def start(home, port, mode=0o600):
    tokens = home / "tokens.json"
    tokens.write_text(json.dumps({TOKEN: {"name": "otto", "role": "operator"}}))
    tokens.chmod(mode)
    own = {
        "ALERTING_HOME": str(home),
        "ALERTING_API_PORT": str(port),
        "ALERTING_API_TOKENS_FILE": str(tokens),
    }
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("ALERTING_")
    } | own
    if mode == 0o600:
        subprocess.run(
            [Path(sys.executable).parent / "alerting", "prepare"],
            env=environ,
            check=True,
            capture_output=True,
        )
    return subprocess.Popen(
        [sys.executable, "-m", "alerting.console.serve"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_tokens_file_that_others_may_read_stops_it_with_a_message(tmp_path):
    server = start(tmp_path, free_port(), 0o644)
    _, words = server.communicate(timeout=600)
    assert server.returncode == 1
    assert words.startswith("refused: ")
    assert "chmod 600" in words
    assert "Traceback" not in words


def test_it_serves_this_machine_only_until_it_is_told_to_stop(tmp_path):
    require_real_server()
    port = free_port()
    server = start(tmp_path, port)
    try:
        wait_until_healthy(server, port)
        listening = {
            c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}
        answer = httpx.get(
            f"http://127.0.0.1:{port}/api/v1/episodes",
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )
        assert answer.json() == {"items": [], "next": None}
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/episodes", timeout=60).status_code == 401
    finally:
        server.send_signal(signal.SIGTERM)
        _, words = server.communicate(timeout=600)
    assert "Traceback" not in words
