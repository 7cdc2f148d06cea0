"""Peer of the evaluation benchmark: Debian's Prometheus on loopback, with rules over series that it
scrapes there."""

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

INSTALL = "Prometheus is not installed: apt-get install --no-install-recommends prometheus"
EVERY_S = 5
IDLE_S = 20
BUSY_S = 40


def is_installed() -> bool:
    """Return whether the peer is installed."""
    return shutil.which("prometheus") is not None


def cpu_per_rule(rules: list[str], page: Callable[[], str]) -> dict[str, float]:
    """Return CPU microseconds per evaluation of one rule, without the cost of scraping, and the
    measurements behind it.

    `rules`: expressions. `page`: the metrics to scrape, in the text format, as they are now.
    """
    with _exporter(page) as target:
        with _prometheus(target, []) as idle:
            scraping = _spent(idle, IDLE_S)[0] / IDLE_S
        with _prometheus(target, rules) as busy:
            cpu, evaluations = _spent(busy, BUSY_S)
    return {
        "cpu_us_per_rule": (cpu - scraping * BUSY_S) / evaluations * 1e6,
        "evaluations": evaluations,
        "cpu_s": cpu,
        "scraping_cpu_s": scraping * BUSY_S,
    }


@contextmanager
def _exporter(page: Callable[[], str]) -> Iterator[str]:
    """Serve metrics on loopback and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


@contextmanager
def _prometheus(target: str, rules: list[str]) -> Iterator[str]:
    """Run a server with these alerting rules in ten groups and yield the address of its own
    metrics."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        config = _write_config(Path(folder), target, rules)
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            "--log.level=error",
        ]
        process = subprocess.Popen([*command, f"--web.listen-address={address}"])
        try:
            _wait_until_ready(address)
            time.sleep(2 * EVERY_S)
            yield f"http://{address}/metrics"
        finally:
            process.terminate()
            process.wait(30)


def _write_config(folder: Path, target: str, rules: list[str]) -> Path:
    """Write the configuration as JSON, which is valid YAML."""
    alerts = [{"alert": f"rule_{i}", "expr": expression} for i, expression in enumerate(rules)]
    groups = [{"name": f"group_{i}", "rules": alerts[i::10]} for i in range(10) if alerts[i::10]]
    (folder / "rules.yml").write_text(json.dumps({"groups": groups}))
    config = {
        "global": {"scrape_interval": f"{EVERY_S}s", "evaluation_interval": f"{EVERY_S}s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{"job_name": "plant", "static_configs": [{"targets": [target]}]}],
    }
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))
    return path


def _wait_until_ready(address: str, patience_s: float = 120) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            if httpx.get(f"http://{address}/-/ready", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _spent(metrics: str, seconds: float) -> tuple[float, float]:
    """Return CPU seconds and rule evaluations of the server over the measured interval."""
    before = _read(metrics)
    time.sleep(seconds)
    after = _read(metrics)
    return after[0] - before[0], after[1] - before[1]


def _read(metrics: str) -> tuple[float, float]:
    lines = httpx.get(metrics, timeout=30, trust_env=False).text.splitlines()
    values = [
        (line.split("{")[0].split(" ")[0], float(line.rsplit(" ", 1)[1]))
        for line in lines
        if not line.startswith("#")
    ]
    cpu = sum(value for name, value in values if name == "process_cpu_seconds_total")
    return cpu, sum(value for name, value in values if name == "prometheus_rule_evaluations_total")
