"""Models and trainings over the API and on their pages: what waits and why, decisions, trainings
under way, in the language of the engineer, and while MLflow and Airflow do not answer."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from time import monotonic

import httpx
import pytest

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import in_english, joined, language
from alerting.kinds.registry import parse_definition
from alerting.learning.selection.decision import add_objection, decide, threshold_alert
from alerting.learning.selection.decision_rules import explain
from alerting.usecases.definitions.faults_and_platform_alerts import record_waiting
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.training.due import begin_training, end_training, find_due_trainings
from alerting.usecases.training.promote import model_history, promote_run
from alerting.usecases.training.training_requests import answer_run
from alerting.usecases.training.training_steps import prepare, train
from tests.builders import at, too_hot, too_moist
from tests.helpers.console.api import ADMIN, TOKENS, VIEWER
from tests.helpers.console.editor import engineer, send
from tests.helpers.console.editor import text_of as document_of
from tests.helpers.console.episode_page import browser_of
from tests.helpers.console.pages import (
    ADMIN_TOKEN,
    VIEWER_TOKEN,
    csrf_of,
    lacks,
    log_in,
    text_of,
)
from tests.helpers.console.server import serving_thread
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.recipe_line import DAY, DOCUMENT, running
from tests.helpers.scored_lines import humid_line
from tests.humid_line import NAME as HUMID

__all__ = ["engineer"]
pytestmark = pytest.mark.models

NAME = "too-moist"
MODELS = f"/api/v1/definitions/{NAME}/models"
TRAININGS = f"/api/v1/definitions/{NAME}/trainings"
RECIPE = DOCUMENT["name"]


# --- over the API


@pytest.fixture
def run(platform):
    return add_waiting(platform, NAME)


def post(client, address, headers=ADMIN, **body):
    answer = client.post(address, json=body, headers=headers)
    return answer.status_code, answer.json()


def test_what_waits_is_shown_with_its_curve_and_evidence(client, run):
    shown = client.get(MODELS, headers=VIEWER).json()
    assert (shown["state"], shown["version"]) == ("waiting", None)
    of_version = {"run": run, "version": 1, "champion": None}
    waiting = {**of_version, "reason": "It is better.", "details": ""}
    assert shown["waiting"] == waiting
    assert shown["advice"] == "Look at its figures, then approve or reject it."
    assert [one["family"] for one in shown["leaderboard"]] == ["lightgbm"]
    evidence = shown["evidence"]
    points = [(p["problems_found"], p["at_most"]) for p in evidence["points"]]
    assert points == [(5, 0.5), (8, 2.0), (9, 6.0), (10, None)]
    assert evidence["effects"][0]["set_point"] == "speed"
    assert len(evidence["reliability"]) == 3
    listed = client.get("/api/v1/models", headers=VIEWER).json()
    assert next((one["definition"], one["state"]) for one in listed) == (NAME, "waiting")


def test_an_engineer_approves_and_the_next_one_is_told(client, platform, run):
    assert post(client, f"{MODELS}:approve", VIEWER)[0] == 403
    status, refused = post(client, f"{MODELS}:approve", run="another")
    assert (status, refused["title"]) == (409, "Conflict")
    status, decided = post(client, f"{MODELS}:approve", run=run)
    assert (status, decided["promoted"], decided["version"]) == (200, True, 1)
    assert post(client, f"{MODELS}:approve", run=run)[0] == 200
    status, told = post(client, f"{MODELS}:reject", run=run, reason="no")
    assert (status, "ada put version 1 into service" in told["detail"]) == (409, True)
    (entry,) = [e for e in platform.audit.entries if e["what"] == "promotion decided"]
    assert (entry["actor"], entry["after"]) == ("ada", 1)


def test_a_rejection_and_a_rollback_need_a_reason(client, run):
    unreasoned = (
        ("reject", {"run": run}),
        ("reject", {"run": run, "reason": " "}),
        ("rollback", {}),
    )
    for act, body in unreasoned:
        assert post(client, f"{MODELS}:{act}", **body)[0] == 422
    status, decided = post(client, f"{MODELS}:reject", run=run, reason="not yet")
    assert (status, decided["verdict"], decided["promoted"]) == (200, "rejected", False)
    shown = client.get(MODELS, headers=VIEWER).json()
    assert shown["reason"] == shown["decisions"][0]["summary"] == "ada rejected it: not yet."
    status, refused = post(client, f"{MODELS}:rollback", reason="x")
    assert (status, "has no champion yet" in refused["detail"]) == (422, True)


def test_a_training_is_asked_for_once_followed_and_cancelled(client, platform):
    revision = platform.definitions.newest_revision(NAME)
    end_training(platform, begin_training(platform, revision, None), "too few rows")
    shown = client.get(TRAININGS, headers=VIEWER).json()
    assert (shown["state"], shown["reason"]) == ("failed", "too few rows")
    assert shown["advice"].startswith("Correct what the reason names")
    assert post(client, TRAININGS, VIEWER)[0] == 403
    status, asked = post(client, TRAININGS, reason="new sensor")
    assert (status, asked["state"], asked["items"][0]["requested_by"]) == (202, "requested", "ada")
    assert post(client, TRAININGS)[0] == 202
    begin_training(platform, revision, None)
    shown = client.get(TRAININGS, headers=VIEWER).json()
    (one,) = shown["items"]
    assert (shown["state"], one["state"], one["present"]) == ("training", "under way", True)
    assert post(client, TRAININGS)[0] == 409
    assert post(client, f"{TRAININGS}:cancel")[0] == 422
    status, ended = post(client, f"{TRAININGS}:cancel", reason="wrong period")
    assert (status, ended["state"]) == (200, "cancelled")
    assert ended["items"][0]["failure"] == "cancelled by ada: wrong period"
    assert post(client, f"{TRAININGS}:cancel", reason="again")[0] == 409
    paths = [f"{n}/{what}" for n in ("too-hot", "nothing") for what in ("models", "trainings")]
    without = [client.get(f"/api/v1/definitions/{path}", headers=VIEWER) for path in paths]
    assert [answer.status_code for answer in without] == [404] * 4


# --- the pages


@pytest.fixture
def pressing():
    """Return a platform of which the limits by recipe are learned, on its second day."""
    platform = running()
    platform.clock.instant = at(2 * DAY)
    return platform


def shown_of(platform, name):
    return text_of(browser_of(platform).get(f"/models/{name}"))


def test_the_page_has_the_facts_of_the_command_and_learned_limits_by_group(pressing):
    train(pressing, RECIPE, at(2 * DAY))
    page = browser_of(pressing).get(f"/models/{RECIPE}").text
    history = model_history(pressing, RECIPE)
    limits = ("press-1: force, quantile 0.99", "recipe B 720 20.8 kN")
    facts = (history["decisions"][0]["reason"], history["training"]["run_id"])
    champion = f"Version {history['champion']} is in service since"
    versions = f"{len(history['versions'])} version"
    assert lacks(text_of(page), *limits, *facts, champion, versions) == []
    steps = page.partition('<ol class="training-steps"')[2].partition("</ol>")[0]
    assert steps.count('<li class="done">') == 5
    assert lacks(text_of(steps), "queued", "families tuned 1 of 1", "decision") == []


def test_a_training_under_way_is_shown_with_its_step_and_nobody_is_asked_to_train(pressing):
    begins = "It begins by itself"
    assert f"{begins} within a minute or two" in shown_of(pressing, RECIPE)
    begin_training(pressing, pressing.definitions.newest_revision(RECIPE), None)
    pressing.clock.instant += timedelta(minutes=4)
    under_way = "A training is under way since today 00:00."
    step = ("Building the dataset", "last progress 4 min ago")
    assert lacks(shown_of(pressing, RECIPE), under_way, *step, begins) == [begins]
    page = browser_of(pressing).get(f"/models/{RECIPE}").text
    assert lacks(page, 'aria-current="step"><strong>data set', 'data-refresh="10"') == []
    assert model_history(pressing, RECIPE)["unfinished"]["step"] == "building the dataset"
    pressing.clock.instant += timedelta(hours=1)
    assert "It was probably interrupted" in shown_of(pressing, RECIPE)
    [training] = pressing.trainings.for_definitions([RECIPE])
    pressing.trainings.end(replace(training, ended_at=pressing.clock.now()))
    assert "under way" not in shown_of(pressing, RECIPE)


def test_a_model_that_waits_for_approval_is_shown_with_the_reason(browser, platform):
    log_in(browser, VIEWER_TOKEN)
    apply(platform, [{**too_hot(), "name": "other"}], "ann", at(0), "test")
    assert "This alert has fixed limits and needs no model." in browser.get("/models/other").text
    untrained = ("No model is in service yet.", "not trained yet")
    assert lacks(browser.get(f"/models/{NAME}").text, *untrained) == []
    record_waiting(platform.platform_alerts, NAME, "Its threshold finds no problem.", at(0))
    waits = ("A model waits for approval.", "Its threshold finds no problem.")
    gone = ["not trained yet", "/decide"]  # a viewer decides nothing
    assert lacks(browser.get(f"/models/{NAME}").text, *waits, *gone) == gone


def test_an_engineer_rejects_approves_rolls_back_and_moves_the_point():
    platform = stored_platform(humid_line)
    files = platform.models.model_files(HUMID, 1)
    engineer = browser_of(platform)
    log_in(engineer, ADMIN_TOKEN)
    page = f"/models/{HUMID}"

    def act(name, **fields):
        form = engineer.get(f"{page}/{name}", params=fields).text.partition("<main")[2]
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
        own = hidden | {"csrf": csrf_of(engineer.get("/account"))}
        answer = engineer.post(f"{page}/{name}", data=own | fields)
        return answer.status_code, text_of(answer if answer.text else engineer.get(page))

    add_waiting(platform, HUMID, files, champion_version=1)
    assert "1 model waits for a decision." in text_of(engineer.get("/models"))
    waits = ("waits for a decision", "too long in alarm", "Decide on the version that waits first")
    assert lacks(text_of(engineer.get(page)), *waits) == []
    assert 'name="alarm_at"' not in engineer.get(page).text, "the curve is of another model"
    status, said = act("point", alarm_at="0.9", revision="1")
    assert (status, "the curve is its own" in said) == (422, True)
    status, said = act("decide", answer="reject")
    assert (status, "a rejection needs a reason" in said) == (422, True)
    assert "ada rejected it: not yet" in act("decide", answer="reject", reason="not yet")[1]
    add_waiting(platform, HUMID, files, champion_version=1)
    assert "Version 3 is in service since" in act("decide", answer="approve")[1]
    said = act("rollback", reason="too many alarms")[1]
    assert lacks(said, "Version 1 is in service since", "Rolled back") == []
    rolled = [e for e in platform.audit.entries if e["what"] == "rolled back"]
    assert [(e["actor"], e["before"], e["after"]) for e in rolled] == [("ada", 3, 1)]
    run = add_waiting(platform, HUMID, files, champion_version=1)
    answer_run(platform, run, "bea")
    status, said = act("decide", answer="approve", run=run)
    assert (status, "bea put version 4 into service" in said) == (409, True)
    [cut] = re.findall(r'name="alarm_at" value="([^"]*)"', engineer.get(page).text)[:1]
    form = text_of(engineer.get(f"{page}/point", params={"alarm_at": cut}))
    unmeasured = "Not measured on unseen days"
    assert lacks(form, unmeasured, "Raise alarms from 90 %", "no longer unseen") == []
    act("point", alarm_at=cut, reason="fewer false alarms")
    newest = platform.definitions.newest_revision(HUMID)
    assert newest.definition.operating_point.alarm_at == float(cut)
    assert (newest.author, newest.reason) == ("ada", "fewer false alarms")
    assert find_due_trainings(platform, platform.clock.now()) == [], "it counts without a training"
    assert "The definition fixes the alarm at a risk of" in text_of(engineer.get(page))
    act("train", reason="now")
    assert find_due_trainings(platform, platform.clock.now()) != []
    act("cancel", reason="later")
    assert find_due_trainings(platform, platform.clock.now()) == []


def test_the_ready_alert_is_one_click_away_and_applied_as_it_stands(engineer, platform):
    alert = threshold_alert(parse_definition(too_moist()))
    decision = decide({"no_champion": True}, details="Counted.")
    values = {"number": 15, "problems_found": 1}
    decision = add_objection(decision, "finds_few", values, evidence={"alert": alert})
    told = {name: getattr(decision, name) for name in ("reason", "details", "objection")}
    add_waiting(platform, NAME, evidence=decision.evidence, **told)
    link = f'href="/definitions/new?limit_of={NAME}"'
    for page in (f"/models/{NAME}", f"/models/{NAME}/decide"):
        words = ("But it announces only 1 of 15 problems", "Counted.", "too-moist-at-limit")
        assert lacks(engineer.get(page).text, link, *words) == []
    opened = engineer.get(f"/definitions/new?limit_of={NAME}")
    assert document_of(opened) == alert
    applied = send(engineer, "/definitions/new", "apply", document_of(opened))
    assert applied.headers["location"] == "/definitions/too-moist-at-limit"
    made = platform.definitions.newest_revision("too-moist-at-limit").definition
    assert (made.kind, made.above, made.state) == ("threshold", 4.5, "active")
    unknown = [engineer.get(f"/definitions/new?limit_of={n}") for n in (made.name, "no-such")]
    assert [page.status_code for page in unknown] == [404, 404]
    log_in(engineer, VIEWER_TOKEN)
    assert lacks(engineer.get(f"/models/{NAME}").text, link) == [link]


def test_definitions_with_the_same_title_are_listed_with_their_names(browser, platform):
    names = [f'<span class="facts">{name}</span>' for name in (NAME, f"{NAME}-2")]
    apply(platform, [too_moist(title="Moisture")], "engineer", at(0), "first")
    log_in(browser)
    assert lacks(browser.get("/models").text, *names) == names
    other = too_moist(name=f"{NAME}-2", title="Moisture")
    apply(platform, [other], "engineer", at(1), "the same on another line")
    assert lacks(browser.get("/models").text, *names) == []
    reports = browser.get(f"/reports?definition={NAME}").text
    assert f"<small>Moisture · {NAME}</small>" in reports


# --- in the language of the engineer


@pytest.fixture
def seen(browser):
    """Return a function of an address and a language: the text that an engineer reads."""
    log_in(browser, ADMIN_TOKEN)
    return lambda address, code: text_of(browser.get(address, headers={"accept-language": code}))


def test_figures_of_a_decision_are_in_english_with_the_instants_of_the_plant_and_of_statisticians(
    browser, platform
):
    counted = in_english("Since {start} both were compared.", start=at(0))
    figures = {"statistics": "The CRPS of its forecasts is 0.2."}
    reason = explain("not_better", number=3)
    refused = {"verdict": "keep", "promote": False, "waiting": False}
    told = {"reason": reason, "details": joined(" ", reason, counted), "evidence": figures}
    promote_run(platform, add_waiting(platform, NAME, **refused, **told))
    (made,) = platform.decisions.for_definition(NAME)
    older = replace(made, reason="It is as before.", details="", evidence={}, run_id="older")
    platform.decisions.add(older)
    log_in(browser, ADMIN_TOKEN)
    page = browser.get(f"/models/{NAME}", headers={"accept-language": "de"}).text
    assert f'<p lang="en">{reason} Since ' in page
    assert "both were compared. The CRPS of its forecasts is 0.2.</p>" in page
    german = language("de").translate(reason)
    assert f"<span>{german}</span>" in page
    assert '<span lang="en">It is as before.</span>' in page


def test_why_a_training_failed_is_told_in_the_language_of_the_engineer(seen, platform):
    with pytest.raises(UserError, match="too-moist: no readings of oven-1"):
        prepare(platform, NAME, at(0))
    (training,) = platform.trainings.for_definitions([NAME])
    assert training.failure.startswith("no readings of oven-1 in the period it may learn from")
    sentences = {
        "en": "o readings of oven-1",
        "de": "eine Messwerte von oven-1 in dem Zeitraum, aus dem gelernt werden darf",
        "fr": "ucune mesure de oven-1 dans la période dont il peut apprendre",
    }
    pages = ("/models", f"/models/{NAME}", "/definitions", f"/definitions/{NAME}")
    others = {
        (page, code): lacks(seen(page, code), *sentences.values())
        for page in pages
        for code in sentences
    }
    assert others == {
        (page, code): [text for other, text in sentences.items() if other != code]
        for page, code in others
    }


def test_why_a_model_waits_is_told_on_each_page_and_what_was_unseen_before_the_rows_that_chose(
    browser, seen, platform
):
    test = {"event_recall": 9 / 26, "n_events": 26, "n_found": 9, "n_false_alarms": 12, "days": 6.2}
    reason = explain("fewer_problems")
    add_waiting(platform, NAME, objection="fewer_problems", reason=reason, test=test)
    sentence = "Es findet weniger der Probleme als das im Einsatz."
    answer = "Antworten: auf der Seite"
    assert lacks(seen("/models", "de"), sentence, answer) == [answer]
    assert lacks(seen("/platform", "de"), sentence, answer) == []
    assert f'href="/models/{NAME}/decide"' in browser.get("/platform").text
    unseen = "9 von 26 Problemen angekündigt"
    before, stated, after = seen(f"/models/{NAME}", "de").partition(unseen)
    chose = "Zeilen, nach denen"
    assert (chose in before, stated, chose in after) == (False, unseen, True)


# --- while MLflow and Airflow do not answer


PAGES = [f"/models/{NAME}", f"/models/{NAME}/decide", MODELS, "/platform"]
PAGES += ["/", "/definitions", "/models", "/reports"]
VIEWERS = 5
"""Of each page at once."""


@contextmanager
def served(platform, **options):
    """Yield a function that returns a page, and the seconds that it took."""
    new = httpx.Limits(max_keepalive_connections=0)  # the server ends those that wait
    with (
        serving_thread(create_app(platform, TOKENS, **options)) as port,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=ADMIN, timeout=90, limits=new
        ) as viewer,
    ):

        def get(path):
            begun = monotonic()
            answer = viewer.get(path)
            assert answer.status_code == 200
            return answer.text, monotonic() - begun

        yield get


def longest(get):
    """Return the longest time of all pages, many at once."""
    paths = PAGES * VIEWERS
    with ThreadPoolExecutor(len(paths)) as viewers:
        return max(seconds for _, seconds in viewers.map(get, paths))


def test_pages_come_in_time_for_many_viewers_and_say_what_is_missing(client, platform):
    assert {client.get(path, headers=ADMIN).status_code for path in PAGES} == {200}
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"  # takes connections, answers none
        registry = MlflowModels(away)
        unread = replace(platform, runs=registry, models=registry)
        with served(platform) as answered, served(unread, mlflow=away, airflow=away) as get:
            usual = [longest(answered)]
            times = [longest(get), longest(get)]
            usual.append(longest(answered))  # other work may begin on the machine meanwhile
            # two seconds of waiting once, and the work of a machine that may be busy
            assert times[0] < 2.5 + 3 * max(usual)
            assert times[1] < 0.5 + 3 * max(usual)
            models, about = (get(path)[0] for path in (f"/models/{NAME}", "/platform"))
    unreadable = ("The registry of models cannot be read.", "MLflow does not answer")
    assert lacks(models, *unreadable) == []
    silence = (
        "Airflow does not answer: nothing is evaluated",
        "MLflow does not answer: pages come",
    )
    assert lacks(about, *silence) == []
