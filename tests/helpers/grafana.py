"""The dashboards of `config/grafana`, their queries, and a server of Prometheus."""

import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.support import free_port, local_client
from tools.pages.dashboard_pictures import FOLDER, dashboards

DASHBOARDS = dashboards()
INSTALL = "Prometheus is not installed: apt-get install --no-install-recommends prometheus"
STEP_S = 60
HANG_S = 600.0


def targets(name, kind):
    """Return the queries of the panels and annotations of a dashboard, each with its title."""
    dashboard = DASHBOARDS[name]
    found = [(p["title"], t) for p in dashboard["panels"] for t in p["targets"]]
    found += [(one["name"], one["target"]) for one in dashboard["annotations"]["list"]]
    return [(title, target[kind]) for title, target in found if kind in target]


@contextmanager
def prometheus(folder, target, token):
    """Yield a function that returns the series of a query, of a server that has scraped a platform
    twice; skip if no server is installed."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip(INSTALL)
    folder.joinpath("token").write_text(token)
    config = FOLDER.joinpath("prometheus.yml").read_text()
    changes = {
        "scrape_interval: 30s": "scrape_interval: 1s",
        "/run/grafana-secrets/token": str(folder / "token"),
        "api:8000": target,
    }
    for before, after in changes.items():
        assert config.count(before) == 1
        config = config.replace(before, after)
    folder.joinpath("prometheus.yml").write_text(config)
    rules = FOLDER.parent / "prometheus" / "alerts.yaml"
    folder.joinpath("alerts.yaml").write_text(rules.read_text())
    port = free_port()
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with folder.joinpath("out").open("wb") as out:
        server = subprocess.Popen(
            [program, *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=out, stderr=out
        )

    def query(expression, instant=False):
        now = time.time()
        times = {"time": now} if instant else {"start": now - 3600, "end": now, "step": STEP_S}
        text = expression.replace("$__rate_interval", "1m")
        answer = local_client().get(
            f"http://127.0.0.1:{port}/api/v1/query{'' if instant else '_range'}",
            params={"query": text, **times},
        )
        body = answer.json()
        assert body["status"] == "success", (expression, body)
        return body["data"]["result"]

    try:
        until = time.monotonic() + HANG_S
        while True:
            assert server.poll() is None, folder.joinpath("out").read_text()
            try:
                scrapes = query("count_over_time(alerting_database_up[1m])", instant=True)
                if scrapes and float(scrapes[0]["value"][1]) >= 2:
                    break
            except Exception as fault:  # it does not answer yet
                assert time.monotonic() < until, fault
            time.sleep(0.2)
        yield query
    finally:
        server.terminate()
        server.wait(60)
