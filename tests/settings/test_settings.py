"""Settings from the environment: defaults, every fault with its variable, no secret repeated."""

import re
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.definitions.faults import UserError
from alerting.settings.environment import SettingsRefused, read_settings
from alerting.settings.machine import check_ports, free_port, read_memory, read_time

pytestmark = pytest.mark.fast

MAIL = {
    "ALERTING_SMTP_HOST": "mail.plant.example",
    "ALERTING_SMTP_FROM": "Alerting <alerting@plant.example>",
    "ALERTING_EMAIL_NIGHT_SHIFT": "night@plant.example",
}
HOST = "ALERTING_SMTP_HOST"
SERVERS = {
    "ALERTING_MONGODB_URI": "mongodb://db.example:27017",
    "ALERTING_MLFLOW_URI": "http://mlflow.example",
}


def refusal_of(environ):
    """Return the variables with a fault, and what is said."""
    try:
        read_settings(environ)
    except SettingsRefused as refusal:
        return {fault.path for fault in refusal.faults}, str(refusal)
    return set(), ""


FAULTY = [
    {
        "ALERTING_API_PORT": "eighty",
        "ALERTING_MLFLOW_PORT": "70000",
        "ALERTING_MONGODB_URI": "localhost:27017",
        "ALERTING_DEMO_SPEED": "nan",
        "ALERTING_MAX_TRAINING_ROWS": "lots",
        "ALERTING_TIMEZONE": "Berlin",
        "ALERTING_WEBHOOK_SHIFT": "ftp://shift",
        "ALERTING_READINGS_LAST": "1d",
        "ALERTING_AUDIT_LAST": "long",
        "ALERTING_SOURCE_STALE": "1s",
    },
    {
        HOST: "mail",
        "ALERTING_SMTP_FROM": "nobody",
        "ALERTING_SMTP_TLS": "maybe",
        "ALERTING_SMTP_PORT": "0",
        "ALERTING_EMAIL_A": "a@b.c,d@e.f",
        "ALERTING_PUBLIC_URL": "alerting.plant",
    },
]


def test_all_faults_are_reported_together_with_their_variables():
    assert [refusal_of(environ)[0] | {HOST} for environ in FAULTY] == [
        {*environ, HOST} for environ in FAULTY
    ]
    said = refusal_of(FAULTY[0])[1]
    assert "'eighty' is not a port: give a whole number from 1 to 65535" in said


SECRET = "t0ps3cret"
CANNOT_BE_SPLIT = [f"http://anna:{SECRET}@[db", f"http://anna:{SECRET}\u2100@db.example"]
# variables, that which has a fault, and what is said without repeating the secret
REFUSED = [
    (
        {"ALERTING_API_PORT": "8080"},
        "ALERTING_API_PORT",
        "port 8080 is already given to ALERTING_AIRFLOW_PORT",
    ),
    ({"ALERTING_LATENCY": "2h"}, "ALERTING_LATENCY", "'2h': evaluation waits 1h at most"),
    *(
        ({f"ALERTING_{name}": "90d"}, f"ALERTING_{name}", instead)
        for name, instead in (
            ("ARCHIVE_AFTER", "no setting any more: say by ALERTING_READINGS_LAST"),
            ("NOTIFICATIONS_LAST", "90 days after the end of their episode; save older ones"),
            ("PREDICTIONS_LAST", "stay 14 days; copy the folder predictions"),
        )
    ),
    ({"ALERTING_EMAIL_A": "a@b.example"}, "ALERTING_SMTP_HOST", ""),
    (
        {
            **MAIL,
            "ALERTING_SMTP_TLS": "none",
            "ALERTING_SMTP_USER": "u",
            "ALERTING_SMTP_PASSWORD": SECRET,
        },
        "ALERTING_SMTP_TLS",
        "",
    ),
    (
        {"ALERTING_MONGODB_URI": f"postgres://anna:{SECRET}@db.example"},
        "ALERTING_MONGODB_URI",
        "",
    ),
    *(
        ({name: address}, name, "address")
        for name in ("ALERTING_WEBHOOK_A", "ALERTING_MLFLOW_URI", "ALERTING_PUBLIC_URL")
        for address in CANNOT_BE_SPLIT
    ),
    *(
        ({"ALERTING_WEBHOOK_A": url}, "ALERTING_WEBHOOK_A", "not a webhook address")
        for url in (
            f"ftp://{SECRET}.example",
            f"file:///etc/{SECRET}",
            f"{SECRET}.example/hook",
            f"https:///{SECRET}",
            f"http://{SECRET}:99999999/",
            f"http://{SECRET}:0",
        )
    ),
    *(
        ({name: url}, name, said)
        for name, url, said in (
            ("ALERTING_SLACK_A", f"slack://{SECRET}", "as in https://"),
            ("ALERTING_TEAMS_A", SECRET, "as the workflow"),
            ("ALERTING_NTFY_A", f"ntfy://{SECRET}", "as in https://"),
            ("ALERTING_NTFY_A", f"https://{SECRET}.example/", "as in https://"),
            ("ALERTING_NTFY_A", f"https://ntfy.sh/{SECRET}?auth=x", "as in https://"),
            ("ALERTING_NTFY_A_TOKEN", f"{SECRET} x", "begins with"),
        )
    ),
]


def test_a_fault_is_said_with_its_variable_and_without_a_secret():
    found = [(name, words, *refusal_of(environ)) for environ, name, words in REFUSED]
    assert [
        (name, said)
        for name, words, faults, said in found
        if faults != {name} or words not in said or SECRET in said
    ] == []


def test_no_secret_shows_in_the_settings():
    settings = read_settings(
        {
            **MAIL,
            "ALERTING_SMTP_USER": "u",
            "ALERTING_SMTP_PASSWORD": SECRET,
            "ALERTING_WEBHOOK_NIGHT_SHIFT": "https://hooks.example/x",
            "ALERTING_WEBHOOK_NIGHT_SHIFT_SECRET": SECRET,
            "ALERTING_SLACK_A": f"https://hooks.slack.com/{SECRET}",
            "ALERTING_TEAMS_A": f"https://x.logic.azure.com/{SECRET}",
            "ALERTING_NTFY_A": f"https://ntfy.sh/{SECRET}",
            "ALERTING_NTFY_A_TOKEN": SECRET,
        }
    )
    assert SECRET not in repr(settings)
    assert dict(settings.webhook_urls) == {"night-shift": "https://hooks.example/x"}
    assert dict(settings.webhook_secrets) == {"night-shift": SECRET}


def read_of(*names, **environ):
    """Return settings by their names, of these variables without their prefix."""
    found = read_settings({f"ALERTING_{name}": value for name, value in environ.items()})
    values = []
    for name in names:
        value = found
        for part in name.split("."):
            value = getattr(value, part)
        values.append(value)
    return values


def test_settings_have_defaults_and_are_read():
    ports = {"mlflow_port": 5050, "airflow_port": 8080, "api_port": 8000, "mongodb_port": 27027}
    usual = read_settings({})
    assert (usual.home, usual.ports) == (Path.cwd() / ".alerting", ports)
    assert read_settings({"ALERTING_API_PORT": " ", "ALERTING_MONGODB_URI": ""}) == usual
    # of a server of one's own the port is not ours to check
    assert {*read_settings(SERVERS).ports} == {"airflow_port", "api_port"}
    names = (
        "mongodb_uri",
        "mlflow_uri",
        "timezone.key",
        "max_training_rows",
        "latency",
        "retention.scores",
        "retention.readings",
        "health_limits.evaluation_late",
    )
    changed = {
        "TIMEZONE": "Europe/Berlin",
        "MAX_TRAINING_ROWS": "50000",
        "LATENCY": "0s",
        "SCORES_LAST": "30d",
        "READINGS_LAST": "60d",
        "EVALUATION_LATE": "5m",
    }
    day = timedelta(days=1)
    late = timedelta(minutes=5)
    found = [None, None, "UTC", None, timedelta(seconds=10), 400 * day, 730 * day, 3 * late]
    assert read_of(*names) == found
    found = [None, None, "Europe/Berlin", 50_000, timedelta(0), 30 * day, 60 * day, late]
    assert read_of(*names, **changed) == found


def test_deliveries_are_read():
    delivery = read_settings(
        {
            **MAIL,
            "ALERTING_SLACK_LINE_3": "https://hooks.slack.com/services/T0/B0/x",
            "ALERTING_TEAMS_LINE_3": "https://x.logic.azure.com/workflows/1?sig=2",
            "ALERTING_NTFY_LINE_3": "https://ntfy.sh/line-3",
            "ALERTING_NTFY_LINE_3_TOKEN": "tk_1",
            "ALERTING_EGRESS_ALLOW": "Hooks.Slack.com, 10.0.0.0/8,",
            "ALERTING_PUBLIC_URL": "https://alerting.plant.example/",
            "ALERTING_LINK_KEY_FILE": "/run/key",
        }
    ).delivery
    assert dict(delivery.emails) == {"night-shift": "night@plant.example"}
    assert dict(delivery.slack_urls) == {"line-3": "https://hooks.slack.com/services/T0/B0/x"}
    assert dict(delivery.teams_urls) == {"line-3": "https://x.logic.azure.com/workflows/1?sig=2"}
    assert dict(delivery.ntfy_urls) == {"line-3": "https://ntfy.sh/line-3"}
    assert dict(delivery.ntfy_tokens) == {"line-3": "tk_1"}
    assert delivery.egress_allow == ("hooks.slack.com", "10.0.0.0/8")
    assert delivery.public_url == "https://alerting.plant.example"
    assert delivery.link_key_file == Path("/run/key")
    ports = {"tls": 465, "none": 25, "starttls": 587}
    smtp = {tls: read_settings(MAIL | {"ALERTING_SMTP_TLS": tls}).delivery.smtp for tls in ports}
    assert {tls: one.port for tls, one in smtp.items()} == ports
    usual = read_settings(MAIL).delivery.smtp
    assert (usual.port, usual.tls) == (587, "starttls")


def test_on_named_servers_no_file_of_one_home_is_taken_for_that_of_all():
    named = {"HOME": "/srv/plant", "MONGODB_URI": "mongodb://db.example:27017"}
    log = "/srv/plant/logs/notifications.log"
    assert read_of("notification_file", HOME="/srv/plant") == [Path(log)]
    assert read_of("notification_file", **named) == [None]
    chosen = named | {"NOTIFICATION_LOG": "/var/log/alerting"}
    assert read_of("notification_file", **chosen) == [Path("/var/log/alerting")]


def test_every_taken_port_is_named_with_the_setting_that_moves_it():
    check_ports({"api_port": free_port()})
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("", 0)) as of_all_addresses,
    ):
        taken = [server.getsockname()[1] for server in (one, of_all_addresses)]
        ports = {"api_port": taken[0], "airflow_port": taken[1], "mlflow_port": free_port()}
        with pytest.raises(UserError) as refused:
            check_ports(ports)
    named = re.findall(r"port (\d+) is taken .*? set (\w+) to a free one", str(refused.value))
    assert named == [
        (str(taken[0]), "ALERTING_API_PORT"),
        (str(taken[1]), "ALERTING_AIRFLOW_PORT"),
    ]


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
