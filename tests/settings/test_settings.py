import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.settings.environment import SettingsRefused, read_settings
from alerting.settings.machine import read_memory, read_time

pytestmark = pytest.mark.fast


def test_an_empty_environment_means_the_embedded_platform_in_the_current_folder():
    settings = read_settings({})
    assert settings.home == Path.cwd() / ".alerting"
    assert (settings.mongodb_uri, settings.mlflow_uri) == (None, None)
    assert settings.ports == {
        "mlflow_port": 5050,
        "airflow_port": 8080,
        "api_port": 8000,
        "mongodb_port": 27027,
    }


def test_an_empty_variable_means_the_default():
    assert read_settings({"ALERTING_API_PORT": " ", "ALERTING_MONGODB_URI": ""}) == read_settings(
        {}
    )


def test_all_faults_are_reported_together_with_their_variables():
    environ = {
        "ALERTING_API_PORT": "eighty",
        "ALERTING_MLFLOW_PORT": "70000",
        "ALERTING_MONGODB_URI": "localhost:27017",
        "ALERTING_DEMO_SPEED": "nan",
        "ALERTING_MAX_TRAINING_ROWS": "lots",
        "ALERTING_TIMEZONE": "Berlin",
        "ALERTING_WEBHOOK_SHIFT": "ftp://shift",
    }
    with pytest.raises(SettingsRefused) as refused:
        read_settings(environ)
    assert {fault.path for fault in refused.value.faults} == set(environ)
    assert "'eighty' is not a port: give a whole number from 1 to 65535" in str(refused.value)


def test_two_parts_cannot_have_the_same_port():
    with pytest.raises(
        SettingsRefused,
        match="ALERTING_API_PORT: port 8080 is already given to ALERTING_AIRFLOW_PORT",
    ):
        read_settings({"ALERTING_API_PORT": "8080"})


def test_the_port_of_a_server_of_ones_own_is_not_ours_to_check():
    settings = read_settings(
        {
            "ALERTING_MONGODB_URI": "mongodb://db.example:27017",
            "ALERTING_MLFLOW_URI": "http://mlflow.example",
        }
    )
    assert set(settings.ports) == {"airflow_port", "api_port"}


def test_a_refused_database_address_is_not_repeated_since_it_may_hold_a_password():
    with pytest.raises(SettingsRefused) as refused:
        read_settings({"ALERTING_MONGODB_URI": "postgres://anna:secret@db.example"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["ALERTING_WEBHOOK_A", "ALERTING_MLFLOW_URI", "ALERTING_PUBLIC_URL"]
)
@pytest.mark.parametrize(
    "address", ["http://anna:secret@[db", "http://anna:secret\u2100@db.example"]
)
def test_an_address_that_cannot_be_split_is_a_fault_like_others_and_is_not_repeated(name, address):
    with pytest.raises(SettingsRefused) as refused:
        read_settings({name: address, "ALERTING_API_PORT": "0"})
    assert {fault.path for fault in refused.value.faults} == {name, "ALERTING_API_PORT"}
    assert "address" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://plant.example",
        "file:///etc/passwd",
        "plant.example/hook",
        "https:///hook",
        "http://h:99999999/",
        "http://h:0",
    ],
)
def test_the_address_of_a_webhook_that_is_not_http_is_refused_without_repeating_it(url):
    with pytest.raises(SettingsRefused, match="not a webhook address") as refused:
        read_settings({"ALERTING_WEBHOOK_A": url})
    assert url not in str(refused.value)


def test_webhooks_are_named_by_their_variables_and_secrets_belong_to_them():
    settings = read_settings(
        {
            "ALERTING_WEBHOOK_NIGHT_SHIFT": "https://hooks.example/x",
            "ALERTING_WEBHOOK_NIGHT_SHIFT_SECRET": "whsec_abc",
        }
    )
    assert dict(settings.webhook_urls) == {"night-shift": "https://hooks.example/x"}
    assert dict(settings.webhook_secrets) == {"night-shift": "whsec_abc"}
    assert "whsec_abc" not in repr(settings)


def test_the_zone_of_the_plant_is_utc_until_it_is_named():
    assert read_settings({}).timezone.key == "UTC"
    assert read_settings({"ALERTING_TIMEZONE": "Europe/Berlin"}).timezone.key == "Europe/Berlin"


def test_the_rows_of_a_training_are_set_or_left_to_the_memory_of_the_machine():
    assert read_settings({}).max_training_rows is None
    assert read_settings({"ALERTING_MAX_TRAINING_ROWS": "50000"}).max_training_rows == 50_000


def test_evaluation_waits_ten_seconds_unless_the_setting_says_otherwise():
    assert read_settings({}).latency == timedelta(seconds=10)
    assert read_settings({"ALERTING_LATENCY": "0s"}).latency == timedelta(0)
    with pytest.raises(
        SettingsRefused, match="ALERTING_LATENCY: '2h': evaluation waits 1h at most"
    ):
        read_settings({"ALERTING_LATENCY": "2h"})


def test_the_memory_of_a_container_counts_where_it_is_less_than_that_of_the_machine(tmp_path):
    machine = read_memory(())
    for text, expected in (("max", machine), (str(machine + 1), machine), (str(1 << 29), 1 << 29)):
        (tmp_path / "memory.max").write_text(text + "\n")
        assert read_memory((tmp_path / "no file", tmp_path / "memory.max")) == expected


def test_the_time_of_a_search_counts_computing_also_in_child_processes_and_not_waiting():
    began = read_time()
    computing = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", computing], check=True)
    computed = read_time()
    time.sleep(0.1)
    waited = read_time()
    assert computed.cpu - began.cpu >= 0.1
    assert waited.cpu - computed.cpu < 0.1 <= waited.clock - computed.clock


def test_retention_and_limits_of_the_platform_itself_are_settings_with_defaults():
    given = {
        "ALERTING_SCORES_LAST": "30d",
        "ALERTING_EVALUATION_LATE": "5m",
    }
    settings = read_settings(given)
    usual = read_settings({})
    assert (settings.retention.scores, usual.retention.scores) == (
        timedelta(days=30),
        timedelta(days=400),
    )
    assert settings.retention.readings == usual.retention.readings == timedelta(days=730)
    assert (settings.health_limits.evaluation_late, usual.health_limits.evaluation_late) == (
        timedelta(minutes=5),
        timedelta(minutes=15),
    )
    wrong = {
        "ALERTING_READINGS_LAST": "1d",
        "ALERTING_AUDIT_LAST": "long",
        "ALERTING_SOURCE_STALE": "1s",
    }
    with pytest.raises(SettingsRefused) as refused:
        read_settings(wrong)
    assert {fault.path for fault in refused.value.faults} == set(wrong)


def test_on_named_servers_no_file_of_one_home_is_taken_for_that_of_all():
    alone = read_settings({"ALERTING_HOME": "/srv/plant"})
    assert alone.has_one_home
    assert alone.notification_file == Path("/srv/plant/logs/notifications.log")
    named = {"ALERTING_HOME": "/srv/plant", "ALERTING_MONGODB_URI": "mongodb://db.example:27017"}
    apart = read_settings(named)
    assert (apart.has_one_home, apart.notification_file) == (False, None)
    chosen = {"ALERTING_SHARED_HOME": "yes", "ALERTING_NOTIFICATION_LOG": "/var/log/alerting"}
    together = read_settings(named | chosen)
    assert (together.has_one_home, together.notification_file) == (True, Path("/var/log/alerting"))


def test_readings_stay_while_a_setting_that_left_says_that_they_go_to_an_archive():
    usual = {"ALERTING_READINGS_LAST": "30d"}
    assert read_settings(usual).retention.readings == timedelta(days=30)
    kept = read_settings({**usual, "ALERTING_ARCHIVE_AFTER": "90d"}).retention
    assert kept.readings >= timedelta(days=3650)
