"""Programs that use the client are checked by mypy: right uses pass, wrong ones are named."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
from datetime import UTC, datetime

from alerting.client import ApiProblem, Client
from alerting.client.shapes import EpisodeSummary, FeedbackBody


def answer(client: Client, episode: EpisodeSummary) -> str | None:
    body: FeedbackBody = {"verdict": "true_alarm", "acted": True, "acted_at": datetime.now(UTC)}
    return client.give_feedback(episode["id"], body)["outcome"]


with Client("https://plant.example", "token") as client:
    for episode in client.iterate_episodes(open=True, from_=datetime.now(UTC)):
        answer(client, episode)
    try:
        applied = client.apply_definition("hot", {"name": "hot"}, if_match=3)
        reveal_type(applied["revision"])
    except ApiProblem as refusal:
        reveal_type(refusal.faults[0].path)
    client.start_preview({"definition": {}, "from": "2026-01-05T00:00Z"})
    client.send_readings([{"ts": "2026-01-05T00:00Z", "asset": "a", "values": {"x": 1.5}}])
    client.give_feedback("x", {"verdict": "perhaps"})  # wrong
    client.list_episodes(limit="50")  # wrong
    episode["titel"]  # wrong
"""


def test_a_program_with_the_client_is_checked(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(tmp_path / "cache")},
    )
    lines = PROGRAM.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    errors = {int(number) for number in re.findall(r":(\d+): error", done.stdout)}
    assert errors == wrong, done.stdout + done.stderr
    assert re.findall('Revealed type is "(.*)"', done.stdout) == ["int", "str"]
