"""Champions over time: two trainings at once, rollback, rejection."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import ENGLISH, in_english
from alerting.learning.data.dataset import build_dataset
from alerting.learning.models.model_files import model_files
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.classifier_search import search_candidate
from alerting.learning.selection.decision import PROPOSAL
from alerting.learning.selection.decision_rules import explain
from alerting.ports import ModelUnavailable, silent
from alerting.reporting.definition.decision_reason import summarise_decision
from alerting.reporting.definition.decision_text import result_line
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import (
    champion_at,
    describe_worse_forecasts,
    line_of_champions,
)
from alerting.usecases.model_registry import ModelCache, register_model
from alerting.usecases.training.promote import model_history, promote_run, rollback
from tests import small_models
from tests.builders import at, classifier, oven, too_moist
from tests.helpers.learning.proposals import proposal
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import HandClock, platform_on

pytestmark = pytest.mark.models

NAME = "too-moist"


@pytest.fixture(scope="module")
def files():
    """A model that can be read."""
    definition = small_models.definition(learning={"trials": 1, "folds": 2})
    history = small_models.line(100)
    data = build_dataset(definition, 1, [history], small_models.as_of(history))
    model, _ = finish_challenger(
        data, search_candidate(data, definition, "logistic_regression", silent), definition
    )
    return model_files(model)


def plant(stores):
    made = platform_on(stores, (), HandClock())
    made.assets.store_assets([oven()])
    apply(made, [too_moist()], "engineer", at(0), "first")
    return made


@pytest.fixture
def platform():
    return plant(memory_platform())


def aliases(platform):
    return tuple(platform.models.aliases(NAME).get(alias) for alias in ("champion", "previous"))


def decided(platform):
    return [d.verdict for d in platform.decisions.for_definition(NAME)]


def proposed(platform, files, against, as_of=10, **changes):
    """A training that came to its proposal: the id of its run."""
    run = platform.runs.start_run(NAME, "training", {"revision": "1"})
    version = register_model(platform, NAME, run, files, {"training_run": run}, {})
    offered = proposal(
        run_id=run,
        question=question_of(platform.definitions.newest_revision(NAME)),
        as_of=at(as_of),
        challenger_version=version,
        champion_version=against,
        **changes,
    )
    platform.runs.log(run, files={PROPOSAL: offered.to_json()}, folder="decision")
    return run


def test_of_two_trainings_that_saw_same_champion_one_is_promoted_and_the_other_recorded_as_stale(
    platform, files
):
    assert promote_run(platform, proposed(platform, files, None)).promote
    mine = proposed(platform, files, against=1, as_of=20)
    theirs = proposed(platform, files, against=1, as_of=30)
    assert promote_run(platform, theirs).verdict == "promote"
    lost = promote_run(platform, mine)
    assert lost.verdict == "stale"
    assert lost.reason == (
        "Version 3 is in service since 2026-01-05 00:00 UTC; this one was compared with version 1: "
        "train again."
    )
    assert champion_at(platform.decisions.for_definition(NAME), at(25), None) == 1
    assert aliases(platform) == (3, 1)
    assert promote_run(platform, mine).verdict == "stale"
    assert sorted(decided(platform)) == ["promote", "promote", "stale"]


def test_two_that_look_at_the_same_instant_cannot_both_be_promoted(real, files):
    """Both have read the decisions before either writes: the number of the promotion is given
    once."""
    platform = plant(real)
    runs = [proposed(platform, files, None, as_of=10) for _ in range(2)]
    barrier = threading.Barrier(2)
    inner = platform.decisions

    class Together:
        """Lets both read before either writes."""

        def __init__(self):
            self.met = threading.local()

        def for_definition(self, name):
            found = inner.for_definition(name)
            self.met.reads = getattr(self.met, "reads", 0) + 1
            if self.met.reads == 2:
                barrier.wait(600)
            return found

        def add(self, decision, rank=None):
            return inner.add(decision, rank)

        def file_hashes(self, name, version):
            return inner.file_hashes(name, version)

    together = replace(platform, decisions=Together())
    with ThreadPoolExecutor(2) as threads:
        results = [*threads.map(partial(promote_run, together), runs)]
    assert sorted(r.verdict for r in results) == ["promote", "stale"]
    winner = next(r.challenger_version for r in results if r.promote)
    assert champion_at(inner.for_definition(NAME), at(60), None) == winner
    assert platform.models.aliases(NAME).get("champion") == winner


def three_champions(platform, files):
    for number, against in enumerate([None, 1, 2], 1):
        promote_run(platform, proposed(platform, files, against, as_of=10 * number))
    platform.clock.instant = at(100)


def test_a_rollback_goes_back_one_by_one_and_never_forward(platform, files):
    three_champions(platform, files)
    waiting = proposed(platform, files, against=3, as_of=90)
    record = rollback(platform, NAME, "too many false alarms", "ann")
    assert (record.verdict, record.challenger_version, record.champion_version, record.reason) == (
        "rollback",
        2,
        3,
        "ann rolled back from version 3 to version 2: too many false alarms.",
    )
    assert aliases(platform) == (2, 1)
    made = platform.decisions.for_definition(NAME)
    assert (champion_at(made, at(99), None), champion_at(made, at(100), None)) == (3, 2)
    (entry,) = [entry for entry in audit_entries(platform) if entry["what"] == "rolled back"]
    assert (entry["actor"], entry["before"], entry["after"]) == ("ann", 3, 2)
    assert promote_run(platform, waiting).verdict == "stale", "compared before the rollback"
    assert aliases(platform) == (2, 1)

    rollback(platform, NAME, "still", "ann")
    assert line_of_champions(platform.decisions.for_definition(NAME), None) == [1]
    with pytest.raises(UserError, match="no champion before it"):
        rollback(platform, NAME, "again", "ann")
    rollback(platform, NAME, "it was the sensor", "ann", to=3)
    assert platform.models.aliases(NAME).get("champion") == 3


def refusal(call, *given, error=UserError, **named):
    """Return the words with which a call is refused."""
    with pytest.raises(error) as refused:
        call(*given, **named)
    return str(refused.value)


def test_a_rollback_that_makes_no_sense_is_refused_and_changes_nothing(platform, files):
    three_champions(platform, files)
    stored = platform.models.registered[NAME][1].files
    stored["model.json"] = stored["model.json"][:-10]
    words = {
        (None, " "): "needs a reason",
        (3, "x"): "in service already",
        (4, "x"): "never in service; versions that were: 1, 2, 3",
        (None, "worse"): "version 2 of 'too-moist' cannot be read, the champion stays: version 2 "
        "in the registry is damaged: model.json changed",
    }
    refused = {of: refusal(rollback, platform, NAME, of[1], "ann", of[0]) for of in words}
    assert {of for of in words if words[of] not in refused[of]} == set(), refused
    assert len(decided(platform)) == 3
    assert platform.models.aliases(NAME).get("champion") == 3


def test_a_rejection_needs_a_reason_and_is_recorded(platform, files):
    run = proposed(platform, files, None, waiting=True)
    assert promote_run(platform, run).waiting
    words = refusal(promote_run, platform, run, approved_by="ann", rejected_reason=" ")
    assert "a rejection needs a reason" in words
    assert decided(platform) == []

    promote_run(platform, run, approved_by="ann", rejected_reason="not before the audit")

    (decision,) = platform.decisions.for_definition(NAME)
    assert (decision.verdict, decision.promoted, decision.actor) == ("rejected", False, "ann")
    assert decision.reason.startswith("ann rejected it: not before the audit.")
    assert platform.models.aliases(NAME).get("champion") is None
    assert promote_run(platform, run, approved_by="bob").verdict == "rejected"  # it is decided
    assert "ann rejected it" in platform.runs.tags(run)["mlflow.note.content"]


def test_there_is_nothing_to_answer_where_nothing_is_proposed(platform, files):
    run = proposed(platform, files, None, promote=False, verdict="keep")
    words = refusal(promote_run, platform, run, approved_by="ann")
    assert "no approval or rejection is possible" in words


def test_the_history_shows_champion_leaderboard_and_what_waits(platform, files):
    promote_run(platform, proposed(platform, files, None))
    waiting = proposed(platform, files, against=1, as_of=20, waiting=True)
    history = model_history(platform, NAME)
    training = history["training"]
    assert (history["champion"], training["run_id"], training["waiting"]) == (1, waiting, True)
    assert training["leaderboard"][0].family == "lightgbm"
    assert [v["alias"] for v in history["versions"]] == ["champion", "challenger"]


def keyed(platform, key):
    return replace(platform, model_key=key)


def test_where_registry_is_shared_a_champion_is_what_was_registered_with_the_key_of_this_platform(
    platform, files
):
    shared = keyed(platform, b"k" * 48)
    promote_run(shared, proposed(shared, files, None))
    assert ModelCache(shared).get(classifier(), 1).definition == NAME
    hashes = shared.decisions.file_hashes(NAME, 1)[0].values()
    assert not any("sha256:" in value.split("hmac-")[0] for value in hashes)
    words = {
        b"x" * 48: "stored without the key of this platform, or with another one; train the model",
        b"": "stored with a key, which this platform does not use",
    }
    for key, why in words.items():
        get = ModelCache(keyed(platform, key)).get
        assert why in refusal(get, classifier(), 1, error=ModelUnavailable)
    assert "k" * 48 not in repr(shared)


def test_a_model_that_could_not_be_read_again_for_its_size_is_not_registered(platform):
    large = {"model.txt": bytes((1 << 30) - 8), "refit-model.txt": bytes(9)}
    words = refusal(register_model, platform, NAME, "run", large, {}, {})
    assert "have 1024 MiB together, 1024 MiB are allowed; set periods.refit: none" in words
    assert platform.models.versions(NAME) == {}


def test_a_version_is_read_with_the_hash_of_its_registration_alone(platform, files):
    """skops writes other bytes each time; the registry keeps those of the first try."""
    run = proposed(platform, files, None)
    again = files | {"model.json": files["model.json"] + b"\n"}
    assert register_model(platform, NAME, run, again, {"training_run": run}, {}) == 1
    promote_run(platform, run)
    platform.models.register(NAME, "a run of somebody else", files, {}, {})
    cache = ModelCache(platform)
    assert cache.get(classifier(), 1).definition == NAME
    words = refusal(cache.get, classifier(), 2, error=ModelUnavailable)
    assert "no hash of version 2 was stored at its registration" in words


def test_a_damaged_proposal_is_refused_in_words_and_shown_as_such(platform, files):
    run = proposed(platform, files, None)
    rubbish = [b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"definition": 5}', b"9" * 100_000]
    told = []
    for damaged in rubbish:
        platform.runs.log(run, files={PROPOSAL: damaged}, folder="decision")
        told.append((refusal(promote_run, platform, run), model_history(platform, NAME)))
    words = f"the proposal of run {run} in the registry is damaged; train again"
    assert [words in refused for refused, _ in told] == [True] * len(rubbish)
    assert ["is damaged" in shown["unreadable"] for _, shown in told] == [True] * len(rubbish)


def test_a_decision_keeps_the_templates_of_its_texts_however_it_is_read(platform, real, files):
    reason = explain("worse_than_last", reason=explain("no_mature_label", start=at(0)))
    details = in_english("Since {start}.", start=at(60))
    worse = {"worse_than_last": {"worse": "as an earlier version recorded it"}}
    texts = {"reason": reason, "details": details, "evidence": {**worse, "events": 3}}
    berlin = ENGLISH.with_clock(ZoneInfo("Europe/Berlin"))
    for one in (platform, plant(real)):
        promote_run(one, proposed(one, files, None, **texts))
        (newest,) = one.decisions.newest_decisions([NAME], 1)[NAME]
        (listed,) = one.decisions.histories([NAME])[NAME]
        (whole,) = one.decisions.for_definition(NAME)
        assert newest == listed == replace(whole, evidence=worse)
        assert set(whole.evidence) > set(worse)
        assert "worse than the last known value" in describe_worse_forecasts([listed], 1)
        for decision in (newest, listed, whole):
            assert "2026-01-05 01:00 CET" in berlin.translate(decision.reason)
            assert berlin.translate(decision.details) == "Since 2026-01-05 02:00 CET."


@pytest.mark.parametrize("reason", ["It was worded by an older version.", explain("moved")])
def test_the_reason_of_a_proposal_stays_where_a_person_approves_and_who_did_so_is_said_once(
    platform, files, reason
):
    run = proposed(platform, files, None, waiting=True, reason=reason, details="Counted.")
    result = promote_run(platform, run, approved_by="ann")
    (decision,) = platform.decisions.for_definition(NAME)
    assert (decision.reason, decision.details) == (reason, "Counted.")
    assert summarise_decision(decision) == f"{reason} ann approved it."
    assert result_line(result) == (
        f"ann approved the first model, which goes into service. {reason} Counted."
    )
