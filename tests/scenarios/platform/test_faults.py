"""A short version of the fault test (`make faults` is the long one): whatever dies, the same
episodes, and everybody told."""

import pytest

from tests.faults.run import run
from tests.support import require_real_server


@pytest.mark.timeout(900)
@pytest.mark.night
def test_killed_and_frozen_every_few_seconds_platform_keeps_the_same_episodes_and_tells_everybody(
    tmp_path,
):
    require_real_server()
    lines = []
    report = run(tmp_path, 0.75, 7, lines.append, speed=12, longest_freeze_s=4.0)
    assert report["wrong"] == [], lines
    assert sum(hits.get("kill", 0) for hits in report["attacks"].values()) >= 5
    assert report["episodes"] >= 10
    assert report["recorded as sent"] >= 20
    assert report["told in summaries of floods"] >= 3
    assert report["mutes that ended"] == 2
