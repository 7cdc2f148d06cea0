"""The API against its own description, by schemathesis: what it says is allowed is taken, what it
forbids is refused, and every answer is one that it describes. Requests are generated from the
description, for every operation; what each role is answered is compared by `test_whole_api.py`."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alerting.adapters.receivers.log import LogChannel
from alerting.adapters.scored_files import PredictFolder
from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from tests.helpers.console.api import TOKENS
from tests.helpers.console.rubbish import ADMIN_TOKEN, filled, no_messages, takes_all
from tests.helpers.console.server import serving_thread
from tests.helpers.reports import store_report
from tests.in_memory_platform import in_memory_platform

pytest.importorskip("schemathesis", reason="install the extra dev")
pytestmark = pytest.mark.usefixtures("streams_end")
UNREADABLE = (
    "not a legal character|is no name of a field|is not YAML|cannot be read|too deeply|digits"
)
BY_STATE = {
    "GET /api/v1/events": "must lie after start|a shorter span",
    "GET /api/v1/kpi": r"must lie before|days are too many",
    "GET /api/v1/series": "must lie after start|a shorter span|is a category|is a boolean",
    "POST /api/v1/definitions/{name}/predict": "has no model|has no champion|there is no asset|"
    r"row \d+: |has no variable",
    "POST /api/v1/definitions/{name}/predict-batch": "has no model|has no champion",
    "GET /api/v1/occurrences": "give above",
    "POST /api/v1/labels": "must begin before|at most a year|has not begun|a reason is needed",
    "POST /api/v1/definitions/{name}/predict-jobs": "has no model|has no champion",
    "POST /api/v1/definitions/{name}/models:rollback": "has no champion|was never in service",
    "POST /api/v1/definitions/{name}/trainings": "is not in service",
    "POST /api/v1/definitions:check": UNREADABLE,
    "POST /api/v1/definitions:test": "is not a scenario file|has faults",
    "POST /api/v1/definitions:preview": "has faults|needs a model|must lie before|after now|"
    "at most",
    "POST /api/v1/definitions/{name}:activate": "is already active|was changed by",
    "POST /api/v1/definitions/{name}:restore": "was changed by",
    "POST /api/v1/definitions/{name}:retire": "is already retired|was changed by",
    "PUT /api/v1/definitions/{name}": f"{UNREADABLE}|has faults|of another definition|"
    "was changed by|has another|already one of this name|send If-Match",
    "POST /api/v1/episodes/{id}/close": (
        "only an alert whose predicted problem has come|no episode is open"
    ),
    "POST /api/v1/episodes/{id}/confirm": "lies after now",
    "POST /api/v1/episodes/{id}/feedback": "lies after now",
    "POST /api/v1/misses": "lies in the future|is not evaluated on|did raise an alert",
    "POST /api/v1/readings": "Idempotency-Key was used for another body",
    "POST /api/v1/events": "Idempotency-Key was used for another body",
    "POST /api/v1/mutes": "say what is muted|an end is required|is not after the begin|at most|"
    "name both|cannot ",
    "POST /api/v1/mutes/{id}/prolong": "is not after the begin|at most|is over already",
    "POST /api/v1/sources:test": f"{UNREADABLE}|has faults|on the host|give a file",
    **{
        f"{method} /api/v1/{kind}{path}": text
        for kind in ("assets", "routes", "sinks", "sources")
        for method, path, text in (
            ("POST", ":check", UNREADABLE),
            ("POST", "/{name}:restore", "was changed by|has faults"),
            ("DELETE", "/{name}", "was changed by|has another content"),
            (
                "PUT",
                "/{name}",
                f"{UNREADABLE}|has faults|of another|was changed by|has another|already one of "
                "this name|send If-Match|at most 100 sinks",
            ),
            *(
                ("POST", f"/{{name}}:{act}", "was changed by")
                for act in ("pause", "resume", "retire")
            ),
        )
    },
}
"""What a description cannot say: refusals that follow from the time, from the state, or from two
parameters together."""
# a row that is refused does not refuse the others: 200
DELIVERIES = (
    "POST /api/v1/readings",
    "POST /api/v1/events",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server of this process; a prediction, a report, a route and two episodes are there."""
    made = filled(in_memory_platform(LogChannel(lambda line: None)))
    store_report(made, trust="yes", tables={"episodes": {"columns": ["id"], "rows": [["a"]]}})
    app = create_app(
        made,
        TOKENS,
        predict_files=PredictFolder(tmp_path_factory.mktemp("predictions")),
        source_readers=no_messages,
        sink_opener=takes_all,
        import_files=Imports(tmp_path_factory.mktemp("imports")),
    )
    with serving_thread(app) as port:
        yield f"http://127.0.0.1:{port}", app


def failures(address, folder, phases, most):
    """Return every failure as operation, check and what was answered."""
    url, app = address
    described = folder / "openapi.json"
    described.write_text(json.dumps(app.openapi()))
    words = (
        f"run {described} --url {url} --phases {phases} --max-examples {most} --seed 25 "
        "--checks all --exclude-checks ignored_auth --no-shrink --no-color --continue-on-failure "
        "--generation-database none --request-timeout 20 --workers 1 "
        f"--report ndjson --report-ndjson-path {folder / 'report'}"
    )
    program = Path(sys.executable).parent / "schemathesis"
    command = [program, *words.split(), "-H", f"Authorization: Bearer {ADMIN_TOKEN}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode in (0, 1), done.stdout[-4000:] + done.stderr[-2000:]
    return found(folder / "report")


def found(report):
    events = [json.loads(line).get("ScenarioFinished") for line in report.read_text().splitlines()]
    wrong = set()
    for recorder in (event["recorder"] for event in events if event):
        # one without checks is of a body that only a file can be
        for case, checks in recorder.get("checks", {}).items():
            answer = (recorder["interactions"].get(case) or {}).get("response") or {}
            body = base64.b64decode((answer.get("content") or {}).get("$base64", ""))
            text = body.decode(errors="replace")
            wrong |= {
                (
                    recorder["label"],
                    check["name"],
                    answer.get("status_code"),
                    check["failure_info"]["failure"]["message"][:200],
                    text[:200],
                )
                for check in checks
                if check["status"] != "success"
                and not is_by_state(recorder["label"], check["name"], answer, text)
            }
    return wrong


def is_by_state(operation, check, answer, text):
    """Return whether a failed check is no failure: of what a description cannot say, and of
    deliveries row by row."""
    if check == "positive_data_acceptance" and answer.get("status_code") in (412, 422, 428):
        detail = json.loads(text)["detail"]
        return re.search(BY_STATE.get(operation, "^$"), detail) is not None
    if check == "negative_data_rejection" and answer.get("status_code") == 431:
        return True  # too many variables make the address too long before they are counted
    return (
        check == "negative_data_rejection"
        and operation in DELIVERIES
        and json.loads(text).get("refused", 0) > 0
    )


@pytest.mark.parametrize(
    ("phases", "most"),
    [("fuzzing", 1), pytest.param("coverage,fuzzing", 8, marks=pytest.mark.night)],
)
def test_every_answer_is_as_described(address, tmp_path, phases, most):
    assert failures(address, tmp_path, phases, most) == set()
