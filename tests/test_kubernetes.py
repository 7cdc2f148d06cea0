"""The manifests of config/kubernetes, built by kustomize and compared with what Compose runs."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[1]
MANIFESTS = ROOT / "config" / "kubernetes"
SIZES = ("base", "small", "large")
VERSIONS = ("1.28.0", "1.37.0")
KUBECTL = shutil.which("kubectl")
OLDEST_KUSTOMIZE = (1, 27)
DEPLOYED = ("Deployment", "StatefulSet", "Job")


def kubectl_version() -> tuple[int, int]:
    if KUBECTL is None:
        return 0, 0
    told = subprocess.run(
        [KUBECTL, "version", "--client", "--output=json"], capture_output=True, check=False
    )
    found = json.loads(told.stdout or b"{}").get("clientVersion", {})
    return int(found.get("major", 0)), int(re.sub(r"\D", "", found.get("minor", "0")))


@pytest.fixture(scope="module")
def built() -> dict[str, list[dict]]:
    """Return the objects of each size."""
    if kubectl_version() < OLDEST_KUSTOMIZE:
        pytest.skip(
            "the manifests are built by `kubectl kustomize` of 1.27 or newer: install kubectl"
        )
    made = {
        size: subprocess.run(
            [KUBECTL, "kustomize", MANIFESTS / size], capture_output=True, check=True
        ).stdout
        for size in SIZES
    }
    return {size: list(yaml.safe_load_all(text)) for size, text in made.items()}


def named(objects: list[dict], kind: str, name: str) -> dict:
    (found,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: list[dict]) -> dict[str, dict]:
    """Return the specification of pods by the name of what starts them."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] in DEPLOYED
    }


def containers(objects: list[dict]) -> list[dict]:
    return [
        one
        for pod in pods(objects).values()
        for one in (*pod.get("initContainers", ()), *pod["containers"])
    ]


def test_every_object_is_valid_for_the_oldest_and_the_newest_version(built):
    kinds = {one["kind"] for objects in built.values() for one in objects}
    assert {"Deployment", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget"} <= kinds
    for version in VERSIONS:
        for objects in built.values():
            for one in objects:  # a kind without a schema raises, too
                kubernetes_validate.validate(one, version, strict=True)


def test_an_unknown_field_is_refused():
    misspelt = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"prots": []},
    }
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, VERSIONS[1], strict=True)


def test_no_container_has_rights_or_writes_its_root_file_system(built):
    for objects in built.values():
        for pod in pods(objects).values():
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["runAsUser"] > 0
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["automountServiceAccountToken"] is False
        for one in containers(objects):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, one["name"]
            assert one["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in one["resources"]["limits"]


def test_no_pod_shares_a_disk_with_another(built):
    for objects in built.values():
        claims = [
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods(objects).values()
            for volume in pod.get("volumes", ())
            if "persistentVolumeClaim" in volume
        ]
        assert claims == ["mlflow-artifacts"]
        assert not [v for pod in pods(objects).values() for v in pod["volumes"] if "hostPath" in v]


def test_secrets_are_named_and_never_written(built):
    for objects in built.values():
        assert not [one for one in objects if one["kind"] == "Secret"]
        mounted = {
            volume["secret"]["secretName"]
            for pod in pods(objects).values()
            for volume in pod["volumes"]
            if "secret" in volume
        }
        assert mounted == {
            "alerting-secrets",
            "mongodb-secrets",
            "postgres-secrets",
            "broker-secrets",
        }
        (settings,) = [
            one["data"] for one in objects if one["metadata"]["name"] == "alerting-settings"
        ]
        assert not [key for key in settings if re.search("PASSWORD|SECRET|KEY|TOKEN", key)]


def test_every_selector_finds_its_pods(built):
    for objects in built.values():
        labels = [
            one["spec"]["template"]["metadata"]["labels"]
            for one in objects
            if one["kind"] in DEPLOYED
        ]
        for one in objects:
            if one["kind"] in ("Service", "PodDisruptionBudget", "Deployment", "StatefulSet"):
                wanted = one["spec"]["selector"]
                wanted = wanted.get("matchLabels", wanted)
                assert [of for of in labels if wanted.items() <= of.items()], one["metadata"][
                    "name"
                ]


def test_parts_run_as_in_compose(built):
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    deployed = pods(built["base"])
    for name in (
        "api",
        "stream",
        "prepare",
        "airflow-api",
        "airflow-scheduler",
        "airflow-dags",
        "clean",
        "mlflow",
    ):
        (main,) = deployed[name]["containers"]
        assert main["args"] == services[name]["command"], name
    mongod = deployed["mongodb"]["containers"][0]["command"][3:]
    assert [option for option in services["mongodb"]["command"] if "keyFile" not in option] == [
        option for option in mongod if "keyFile" not in option
    ]


def test_settings_are_those_of_compose_and_of_a_cluster(built):
    wanted = {}
    for name in ("airflow.env", "cluster.env"):
        for line in (ROOT / "config" / name).read_text().splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.partition("=")
                wanted[key] = value
    for objects in built.values():
        (settings,) = [
            one["data"] for one in objects if one["metadata"]["name"] == "alerting-settings"
        ]
        assert {key: settings.get(key) for key in wanted} == wanted


def test_postgres_makes_the_same_databases(built):
    script = named(built["base"], "ConfigMap", "postgres-databases")["data"]["databases.sh"]
    assert script == (ROOT / "config" / "docker" / "postgres-databases.sh").read_text()


def test_slots_are_those_of_the_workers(built):
    for objects in built.values():
        (settings,) = [
            one["data"] for one in objects if one["metadata"]["name"] == "alerting-settings"
        ]
        for worker, setting in (("evaluator", "EVALUATION"), ("trainer", "BACKGROUND")):
            (deployment,) = [
                one
                for one in objects
                if one["metadata"]["name"] == worker and one["kind"] == "Deployment"
            ]
            (main,) = deployment["spec"]["template"]["spec"]["containers"]
            tasks = int(main["args"][main["args"].index("--concurrency") + 1])
            slots = int(settings[f"ALERTING_{setting}_SLOTS"])
            assert slots == tasks * deployment["spec"]["replicas"]
