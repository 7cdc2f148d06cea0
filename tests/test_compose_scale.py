"""The compose file for several workers and a database of three members, beside the usual one."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.helpers.compose_files import scaled_services, usual_services

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def services() -> dict:
    return usual_services()


@pytest.fixture(scope="module")
def overlay() -> dict:
    return scaled_services()


def test_every_part_of_airflow_and_every_worker_has_the_settings_of_the_cluster(services, overlay):
    airflow = {name for name, one in services.items() if "airflow" in str(one.get("command"))}
    workers = {
        name
        for name, one in overlay.items()
        if "alerting.local.airflow.worker" in one.get("command", [])
    }
    assert workers == {"evaluator", "trainer"}
    for name in airflow | workers | {"prepare", "clean"}:
        assert overlay[name]["env_file"] == ["config/airflow.env", "config/cluster.env"], name
        assert "ALERTING_EVALUATION_SLOTS" in overlay[name]["environment"], name
    assert all((ROOT / file).is_file() for file in overlay["evaluator"]["env_file"])
    usual = services["airflow-scheduler"]
    for name in workers:
        own = overlay[name]["environment"]
        changed = {"ALERTING_EVALUATION_SLOTS", "ALERTING_BACKGROUND_SLOTS"}
        changed |= {"AIRFLOW__CORE__PARALLELISM", "ALERTING_MONGODB_HOSTS"}
        assert own.items() - {(k, own[k]) for k in changed} <= usual["environment"].items()
        assert overlay[name]["volumes"] == usual["volumes"]


def test_the_workers_take_all_queues_and_have_the_slots_that_a_tick_expects(overlay):
    text = (ROOT / "config" / "compose" / "scale.yml").read_text()
    replicas = dict(re.findall(r"--scale (\w+)=(\d)", text))
    slots = {}
    for name in ("evaluator", "trainer"):
        command = overlay[name]["command"]
        options = dict(pairwise(command))
        slots[options["--queues"]] = int(options["--concurrency"]) * int(replicas[name])
    environ = overlay["evaluator"]["environment"]
    assert slots == {
        queue: int(re.search(r":-(\d+)}$", environ[f"ALERTING_{queue.upper()}_SLOTS"])[1])
        for queue in ("evaluation", "background")
    }


def test_an_added_service_comes_back_publishes_nothing_and_none_can_change_more_than_its_volumes(
    services, overlay
):
    added = {name: one for name, one in overlay.items() if name not in services}
    found = {
        n: (s["restart"], s["healthcheck"]["start_period"], "ports" in s) for n, s in added.items()
    }
    assert found == dict.fromkeys(added, ("unless-stopped", "10m", False))
    assert all(port.startswith("127.0.0.1:") for port in overlay["api"]["ports"])
    every = services | added
    assert [name for name, one in every.items() if one["read_only"] is not True] == []
    in_memory = [folder for one in every.values() for folder in one["tmpfs"]]
    assert [folder for folder in in_memory if "size=" not in folder] == []
    # the job of secrets gives each its own user
    ours = {n: s for n, s in every.items() if s["image"] == "alerting" and n != "secrets"}
    confined = {name: (one["cap_drop"], one["security_opt"]) for name, one in ours.items()}
    expected = ["ALL"], ["no-new-privileges:true"]
    assert confined == dict.fromkeys(ours, expected)


def test_all_members_of_the_database_run_with_the_same_options_and_the_platform_knows_them(
    services, overlay
):
    members = [name for name in overlay if name.startswith("mongodb-")]
    usual = services["mongodb"]
    for name in members:
        for part in ("image", "command", "entrypoint", "tmpfs"):
            assert overlay[name][part] == usual[part], name
        kept = {volume.partition(":")[2] for volume in usual["volumes"]}
        assert {volume.partition(":")[2] for volume in overlay[name]["volumes"]} == kept
        assert "MONGO_INITDB_ROOT_USERNAME" not in overlay[name].get("environment", {})
        assert overlay["prepare"]["depends_on"][name] == {"condition": "service_healthy"}
    hosts = ",".join(f"{name}:27017" for name in ["mongodb", *members])
    parts = {name for name, one in (overlay | services).items() if one["image"] == "alerting"}
    for name in parts - {"secrets", "mlflow"}:  # which keep nothing there
        assert overlay[name]["environment"]["ALERTING_MONGODB_HOSTS"] == hosts, name
