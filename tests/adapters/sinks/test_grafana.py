"""Grafana's dashboards: each query of each panel on a real PostgreSQL or Prometheus, and what
Grafana demands of the files."""

import importlib.util
import json
import os
import re
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from alerting.adapters.receivers.sql_sink import SqlReceiver
from alerting.adapters.sources.sql import engine_of
from alerting.console.app import create_app
from alerting.definitions.routes_and_sinks import parse_sink
from alerting.settings.environment_variables import SecretRules
from alerting.usecases.access.accounts import BACKUP_MADE
from alerting.usecases.sink_delivery import SINKS
from tests.helpers.console.full_plant import plant
from tests.helpers.console.server import serving_thread
from tests.helpers.grafana import DASHBOARDS, prometheus, targets
from tests.helpers.postgres import postgres_server
from tests.helpers.receivers import surroundings
from tests.helpers.report_tables import sql_sink, week_of_messages
from tools.pages.dashboard_pictures import FOLDER, expand

ROOT = FOLDER.parents[1]
PROVISIONED = FOLDER / "provisioning"
SOURCES = {
    one["uid"]: one["type"]
    for one in yaml.safe_load((PROVISIONED / "datasources" / "alerting.yaml").read_text())[
        "datasources"
    ]
}
TOKEN = "prometheus-token-0123456789"


@pytest.fixture(scope="module")
def now():
    return datetime.now(UTC).replace(second=0, microsecond=0)


def run_script(folder, url):
    folder.mkdir(exist_ok=True)
    for name in ("root_password", "reporting", "reader_password"):
        (folder / name).write_text(f"the-'{name}")
    subprocess.run(
        ["/bin/sh", FOLDER / "database.sh"],
        check=True,
        env={
            "PATH": os.environ["PATH"],
            "ROOT_SECRETS": str(folder),
            "GRAFANA_SECRETS": str(folder),
            "PGHOST": url.host,
            "PGPORT": str(url.port),
            "PGUSER": url.username,
        },
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory, now):
    """Yield an engine of the user `grafana`, of a database that the sink has filled."""
    for address in postgres_server():
        url = sa.make_url(address)
        secrets = tmp_path_factory.mktemp("secrets")
        run_script(secrets, url)
        run_script(secrets, url)  # as at the next start
        owner = url.set(username="reporting", database="reporting")
        sink = sql_sink()
        receiver = SqlReceiver(sink, surroundings(owner.render_as_string(hide_password=False)))
        answers = {answer.verdict for answer in receiver.send(week_of_messages(sink, now))}
        receiver.close()
        assert answers == {"accepted"}
        reader = owner.set(username="grafana")
        engine = engine_of("test", reader.render_as_string(hide_password=False))
        yield engine
        engine.dispose()


def rows(engine, query):
    with engine.connect() as connection:
        return [
            dict(row) for row in connection.exec_driver_sql(query.replace("%", "%%")).mappings()
        ]


@pytest.fixture(scope="module")
def ask(database, now):
    """Return a function that sends a query as Grafana does: all assets, one variable."""

    def send(query, **variables):
        chosen = {"asset": ["oven-1"], "variable": ["temperature"], **variables}
        return rows(database, expand(query, chosen, (now - timedelta(days=7), now + HOUR)))

    return send


HOUR = timedelta(hours=1)
VARIABLES = [
    (name, one["name"], one["query"])
    for name, dashboard in DASHBOARDS.items()
    for one in dashboard["templating"]["list"]
]


def test_each_query_of_each_panel_on_tables_returns_rows(ask):
    assets = {"line-now": ["oven-1"], "alarms": ["oven-1", "oven-2"]}
    found = {
        (name, title): len(ask(query, asset=chosen))
        for name, chosen in assets.items()
        for title, query in targets(name, "rawSql")
    }
    assert len(found) > 12
    assert [key for key, count in found.items() if not count] == []
    assert not targets("platform", "rawSql")


def test_a_dashboard_of_alarms_without_any_asset_is_empty_and_no_fault(ask):
    for title, query in targets("alarms", "rawSql"):
        assert [row for row in ask(query, asset=[]) if any(row.values())] == [], title


def test_the_choices_of_each_dashboard_are_what_is_there(ask):
    found = {
        (name, variable): [row[variable] for row in ask(query)]
        for name, variable, query in VARIABLES
    }
    assert found == {
        ("alarms", "asset"): ["oven-1", "oven-2"],
        ("line-now", "asset"): ["oven-1", "oven-2"],
        ("line-now", "variable"): ["temperature", "moisture", "runs"],  # limits first
    }


def test_values_come_with_their_limits_and_an_open_alarm_reaches_until_now(ask, now):
    queries = dict(targets("line-now", "rawSql"))
    values = ask(queries["$variable"])
    assert {(row["lower limit"], row["upper limit"]) for row in values} == {(200.0, 240.0)}
    assert len(values) == 360
    assert max(row["highest"] for row in values) > 240
    marked = ask(queries["Alarms"])
    assert ["Too moist" in row["text"] for row in marked].count(True) == 1
    assert max(row["timeend"] for row in marked) >= now


def test_the_alarms_are_counted_by_their_last_state(ask):
    queries = dict(targets("alarms", "rawSql"))
    both = {"asset": ["oven-1", "oven-2"]}
    assert ask(queries["Not acknowledged"], **both) == [{"unacknowledged": 1}]
    assert ask(queries["Open by severity"], **both) == [
        {"severity": "critical", "open": 1},
        {"severity": "high", "open": 1},
    ]
    weeks = ask(queries["By week, definition and asset"], **both)
    assert sum(row["false_alarms"] for row in weeks) == 1


def test_the_reader_of_dashboards_can_change_nothing(database):
    for statement in ("DELETE FROM alerting_scores", "CREATE TABLE mine (a int)"):
        with pytest.raises(sa.exc.DBAPIError, match=r"denied|read-only"):
            rows(database, f"{statement} RETURNING 1" if "DELETE" in statement else statement)


def test_each_query_on_metrics_returns_series(tmp_path):
    made = plant("line-1")
    made.audit.add("ada", BACKUP_MADE, "/backups/1", datetime.now(UTC))
    made.platform_alerts.report("disk", "x", "full", made.clock.now())
    document = {"name": "reports", "kind": "sql", "url": {"env": "A_URL"}}
    SINKS.apply(made, [document], "ada", made.clock.now())
    app = create_app(made, {TOKEN: ("prometheus", "viewer")})
    with (
        serving_thread(app) as port,
        prometheus(tmp_path, f"127.0.0.1:{port}", TOKEN) as query,
    ):
        found = {
            (panel["title"], target["refId"]): len(query(target["expr"], target["instant"]))
            for panel in DASHBOARDS["platform"]["panels"]
            for target in panel["targets"]
        }
    assert len(found) > 20
    assert [key for key, count in found.items() if not count] == []


def test_the_dashboards_are_as_grafana_reads_them():
    uids = [dashboard["uid"] for dashboard in DASHBOARDS.values()]
    assert len(uids) == len(set(uids)) == 3
    for name, dashboard in DASHBOARDS.items():
        assert dashboard["schemaVersion"] >= 39, name
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
        assert {"title", "time", "templating", "annotations"} <= dashboard.keys()
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels), name
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            assert place["w"] > 0, panel["title"]
            assert place["x"] + place["w"] <= 24, panel["title"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert taken.isdisjoint(cells), panel["title"]
            taken |= cells
            refs = [target["refId"] for target in panel["targets"]]
            assert refs, panel["title"]
            assert len(refs) == len(set(refs)), panel["title"]
        every = [panel["datasource"] for panel in panels]
        every += [target["datasource"] for panel in panels for target in panel["targets"]]
        every += [one["datasource"] for one in dashboard["templating"]["list"]]
        every += [one["datasource"] for one in dashboard["annotations"]["list"]]
        assert [one for one in every if SOURCES.get(one["uid"]) != one["type"]] == [], name
        known = {one["name"] for one in dashboard["templating"]["list"]}
        used = set(re.findall(r"\$\{(\w+):", str(dashboard)))
        used |= {panel["repeat"] for panel in panels if "repeat" in panel}
        assert used <= known, name


def test_the_files_of_the_services_fit_together():
    services = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
    main = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert main["include"] == [{"path": "config/grafana/compose.yml", "project_directory": "."}]
    assert not services.keys() & main["services"].keys()
    for name, one in services.items():
        assert one["profiles"] == ["grafana"], name
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"]), name
        assert all("size=" in folder for folder in one["tmpfs"]), name
        is_job = one["restart"] == "no"
        assert ("healthcheck" in one) != is_job, name
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", [])), name
        assert re.search(r":v?\d", one["image"]) or one["image"] == "alerting", name
        for need in one["depends_on"]:
            assert need in services or need in main["services"], name
        for volume in one["volumes"]:
            source, _, *mode = volume.split(":")
            if source.startswith("."):
                assert (ROOT / source).exists(), volume
            if source.endswith("-secrets") and name != "grafana-secrets":
                assert mode == ["ro"], volume
        words = ("PASSWORD", "SECRET", "TOKEN")
        secret = [k for k in one.get("environment", {}) if any(w in k for w in words)]
        assert [key for key in secret if not key.endswith("__FILE")] == [], name
    boards = services["grafana"]["volumes"]
    provider = yaml.safe_load((PROVISIONED / "dashboards" / "alerting.yaml").read_text())
    path = provider["providers"][0]["options"]["path"]
    assert f"./config/grafana/dashboards:{path}:ro" in boards
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == path
    assert home.stem in DASHBOARDS


def test_the_sink_may_name_the_secret_that_the_services_get():
    sink = parse_sink(yaml.safe_load((FOLDER / "sink.yaml").read_text()))
    assert sink.table == "alerting_{sends}"
    assert SecretRules().name_refusal(sink.url.env) is None
    entry = (FOLDER.parent / "docker" / "entrypoint.sh").read_text()
    assert f"export {sink.url.env}=" in entry


def test_each_secret_is_made_once_for_the_service_that_reads_it(tmp_path, monkeypatch, capsys):
    file = FOLDER / "make_secrets.py"
    spec = importlib.util.spec_from_file_location("make_grafana_secrets", file)
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    owners = {}
    monkeypatch.setattr(job.os, "chown", lambda path, user, _: owners.update({path.stem: user}))
    monkeypatch.setattr(job, "PLATFORM", tmp_path)
    monkeypatch.setattr(job, "FOLDER", tmp_path / "made")
    tokens = {"first-token": {"name": "operator", "role": "operator"}}
    for token in ("a-token", "another-token"):
        written = {**tokens, token: {"name": "viewer", "role": "viewer"}}
        (tmp_path / "api_tokens.json").write_text(json.dumps(written))
        before = {path.name: path.read_text() for path in (tmp_path / "made").glob("*")}
        job.make()
        made = {path.name: path.read_text() for path in (tmp_path / "made").iterdir()}
        assert made["token"] == token
        assert {**made, "token": ""} == {**made, **before, "token": ""}
    assert owners == {"admin_password": 472, "reader_password": 472, "token": 65534}
    assert made["admin_password"] != made["reader_password"]
    assert {stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "made").iterdir()} == {0o600}
    job.show()
    assert capsys.readouterr().out == f"Grafana  admin / {made['admin_password']}\n"
