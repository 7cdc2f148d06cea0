"""Champions over time: two trainings at once, rollback, rejection; in memory and on a real
one."""

import threading
from dataclasses import replace

import pytest

from alerting.definitions.faults import UserError
from alerting.learning.data.dataset import build_dataset
from alerting.learning.models.files import model_files
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.proposal import PROPOSAL
from alerting.ports import DecisionRecord, ModelUnavailable, silent
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.versions import champion_at, line_of_champions
from alerting.usecases.registry.registration import ModelCache, register_model
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


@pytest.fixture
def platform(stores):
    made = platform_on(stores, (), HandClock())
    made.assets.store_assets([oven()])
    apply(made, [too_moist()], "engineer", at(0), "first")
    return made


def proposed(platform, files, against, as_of=10, **changes):
    """A training that came to its proposal: the id of its run."""
    run = platform.runs.start_run(NAME, "training", {"revision": "1"})
    version = register_model(platform, NAME, run, files, {"training_run": run}, {})
    offered = proposal(
        run_id=run, as_of=at(as_of), challenger_version=version, champion_version=against, **changes
    )
    platform.runs.log(run, files={PROPOSAL: offered.to_json()}, folder="decision")
    return run


def test_of_two_trainings_that_saw_same_champion_one_is_promoted_and_the_other_recorded_as_stale(
    platform, files
):
    first = promote_run(platform, proposed(platform, files, None))
    assert first.promote
    mine = proposed(platform, files, against=1, as_of=20)
    theirs = proposed(platform, files, against=1, as_of=30)

    won = promote_run(platform, theirs)
    lost = promote_run(platform, mine)

    assert (won.verdict, lost.verdict) == ("promote", "stale")
    assert "version 2 was compared with version 1, but version 3 is in service" in lost.reason
    assert [d.verdict for d in platform.decisions.for_definition(NAME) if d.promoted] == [
        "promote",
        "promote",
    ]
    assert champion_at(platform.decisions.for_definition(NAME), at(25), None) == 1
    assert (platform.models.alias(NAME, "champion"), platform.models.alias(NAME, "previous")) == (
        3,
        1,
    )
    assert promote_run(platform, mine).verdict == "stale"
    assert len(platform.decisions.for_definition(NAME)) == 3


def test_two_that_look_at_the_same_instant_cannot_both_be_promoted(platform, files):
    """Both have read the decisions before either writes: the number of the promotion is given
    once."""
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
    results = {}
    threads = [
        threading.Thread(target=lambda run=run: results.update({run: promote_run(together, run)}))
        for run in runs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.verdict for r in results.values()) == ["promote", "stale"]
    winner = next(r.challenger_version for r in results.values() if r.promote)
    assert (
        champion_at(inner.for_definition(NAME), at(60), None)
        == platform.models.alias(NAME, "champion")
        == winner
    )


def three_champions(platform, files):
    for number, against in enumerate([None, 1, 2], 1):
        promote_run(platform, proposed(platform, files, against, as_of=10 * number))
    platform.clock.instant = at(100)


def test_a_rollback_goes_back_one_by_one_and_never_forward(platform, files):
    three_champions(platform, files)
    record = rollback(platform, NAME, "too many false alarms", "ann")
    assert (record.verdict, record.challenger_version, record.champion_version) == (
        "rollback",
        2,
        3,
    )
    assert record.reason == "Rolled back from version 3 to version 2 by ann: too many false alarms"
    assert (platform.models.alias(NAME, "champion"), platform.models.alias(NAME, "previous")) == (
        2,
        1,
    )
    made = platform.decisions.for_definition(NAME)
    assert (champion_at(made, at(99), None), champion_at(made, at(100), None)) == (3, 2)
    (entry,) = [entry for entry in audit_entries(platform) if entry["what"] == "rolled back"]
    assert (entry["actor"], entry["before"], entry["after"]) == ("ann", 3, 2)

    rollback(platform, NAME, "still", "ann")
    assert line_of_champions(platform.decisions.for_definition(NAME), None) == [1]
    with pytest.raises(UserError, match="no champion before it"):
        rollback(platform, NAME, "again", "ann")
    rollback(platform, NAME, "it was the sensor", "ann", to=3)
    assert platform.models.alias(NAME, "champion") == 3


def test_what_was_compared_before_a_rollback_is_stale_after_it(platform, files):
    three_champions(platform, files)
    waiting = proposed(platform, files, against=3, as_of=90)
    rollback(platform, NAME, "too many false alarms", "ann")
    assert promote_run(platform, waiting).verdict == "stale"
    assert platform.models.alias(NAME, "champion") == 2


@pytest.mark.parametrize(
    ("to", "reason", "message"),
    [
        (None, " ", "needs a reason"),
        (3, "x", "in service already"),
        (4, "x", "never in service; versions that were: 1, 2, 3"),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused_and_changes_nothing(
    platform, files, to, reason, message
):
    three_champions(platform, files)
    with pytest.raises(UserError, match=message):
        rollback(platform, NAME, reason, "ann", to)
    assert len(platform.decisions.for_definition(NAME)) == 3


def test_nobody_goes_back_to_a_model_that_cannot_be_read(platform, files):
    three_champions(platform, files)
    platform.models.registered[NAME][1].files.clear()
    with pytest.raises(
        UserError, match="version 2 of 'too-moist' cannot be read, the champion stays"
    ):
        rollback(platform, NAME, "too many false alarms", "ann")
    assert platform.models.alias(NAME, "champion") == 3


def test_a_rejection_needs_a_reason_and_is_recorded(platform, files):
    run = proposed(platform, files, None, waiting=True)
    assert promote_run(platform, run).waiting
    with pytest.raises(UserError, match="a rejection needs a reason"):
        promote_run(platform, run, approved_by="ann", rejected_reason=" ")
    assert platform.decisions.for_definition(NAME) == []

    promote_run(platform, run, approved_by="ann", rejected_reason="not before the audit")

    (decision,) = platform.decisions.for_definition(NAME)
    assert (decision.verdict, decision.promoted, decision.actor) == ("rejected", False, "ann")
    assert decision.reason.startswith("Rejected by ann: not before the audit")
    assert platform.models.alias(NAME, "champion") is None
    assert promote_run(platform, run, approved_by="bob").verdict == "rejected"  # it is decided
    assert "Rejected by ann" in platform.runs.tags(run)["mlflow.note.content"]


def test_there_is_nothing_to_answer_where_nothing_is_proposed(platform, files):
    run = proposed(platform, files, None, promote=False, verdict="keep")
    with pytest.raises(UserError, match="no approval or rejection is possible"):
        promote_run(platform, run, approved_by="ann")


def test_the_history_shows_champion_leaderboard_and_what_waits_and_survives_the_registry(
    platform, files
):
    promote_run(platform, proposed(platform, files, None))
    waiting = proposed(platform, files, against=1, as_of=20, waiting=True)
    history = model_history(platform, NAME)
    assert (history["champion"], history["training"]["run_id"], history["training"]["waiting"]) == (
        1,
        waiting,
        True,
    )
    assert history["training"]["leaderboard"][0].family == "lightgbm"
    assert [v["alias"] for v in history["versions"]] == ["champion", "challenger"]


def test_decisions_on_many_definitions_are_read_at_once_oldest_first_and_without_their_evidence(
    stores,
):
    second, first = (
        DecisionRecord(
            "moist",
            at(minute),
            1,
            None,
            None,
            False,
            False,
            "keep",
            "why",
            {"rows": 9},
            f"run-{minute}",
            "platform",
        )
        for minute in (20, 10)
    )
    other = replace(first, definition="dry", at=at(15), run_id="run-dry")
    for decision in (
        second,
        first,
        other,
        replace(other, definition="left-out", run_id="run-left"),
    ):
        stores.decisions.add(decision)
    found = stores.decisions.histories(["moist", "dry", "unknown"])
    assert found == {
        "moist": [replace(first, evidence={}), replace(second, evidence={})],
        "dry": [replace(other, evidence={})],
    }
    assert stores.decisions.histories([]) == {}
    newest = {"moist": [replace(second, evidence={})], "dry": [replace(other, evidence={})]}
    assert stores.decisions.newest_decisions(["moist", "dry", "unknown"], 1) == newest
    assert stores.decisions.newest_decisions(["moist"], 3) == {"moist": found["moist"]}


# platform alerts


def test_an_alert_is_open_once_keeps_its_newest_reason_and_can_open_again(stores):
    alerts = stores.platform_alerts
    alerts.report("champion unreadable", NAME, "the registry does not answer", at(0))
    alerts.report("champion unreadable", NAME, "no such version", at(1))
    (one,) = alerts.open()
    assert (one.opened_at, one.reason, one.resolved_at) == (at(0), "no such version", None)
    alerts.resolve("champion unreadable", NAME, at(5))
    alerts.resolve("champion unreadable", NAME, at(6))
    assert alerts.open() == []
    alerts.report("champion unreadable", NAME, "again", at(7))
    (closed,) = alerts.resolved_since(at(0))
    (again,) = alerts.open()
    assert [(a.opened_at, a.resolved_at) for a in (closed, again)] == [
        (at(0), at(5)),
        (at(7), None),
    ]
    assert (alerts.subjects("champion unreadable"), alerts.subjects("definition faulty")) == (
        {NAME},
        set(),
    )


def keyed(platform, key):
    return replace(platform, model_key=key)


def test_where_registry_is_shared_a_champion_is_what_was_registered_with_the_key_of_this_platform(
    platform, files
):
    shared = keyed(platform, b"k" * 48)
    promote_run(shared, proposed(shared, files, None))
    assert ModelCache(shared).get(classifier(), 1).definition == NAME
    assert not any(
        "sha256:" in value.split("hmac-")[0]
        for value in shared.decisions.file_hashes(NAME, 1)[0].values()
    )
    with pytest.raises(
        ModelUnavailable,
        match="stored without the key of this platform, or with another one; train the model",
    ):
        ModelCache(keyed(platform, b"x" * 48)).get(classifier(), 1)
    with pytest.raises(
        ModelUnavailable, match="stored with a key, which this platform does not use"
    ):
        ModelCache(keyed(platform, b"")).get(classifier(), 1)
    assert "k" * 48 not in repr(shared)


def test_a_model_that_could_not_be_read_again_for_its_size_is_not_registered(platform):
    with pytest.raises(
        UserError, match=r"have 1024 MiB together, 1024 MiB are allowed; set periods\.refit: none"
    ):
        register_model(
            platform,
            NAME,
            "run",
            {"model.txt": bytes((1 << 30) - 8), "refit-model.txt": bytes(9)},
            {},
            {},
        )
    assert platform.models.versions(NAME) == []


def test_a_version_that_was_registered_by_others_is_not_read(platform, files):
    promote_run(platform, proposed(platform, files, None))
    platform.models.register(NAME, "a run of somebody else", files, {}, {})
    with pytest.raises(
        ModelUnavailable, match="no hash of version 2 was stored at its registration"
    ):
        ModelCache(platform).get(classifier(), 2)


def test_a_registration_that_was_cut_short_and_done_again_with_other_bytes_is_read(platform, files):
    """skops writes other bytes each time; the registry keeps those of the first try."""
    run = proposed(platform, files, None)
    again = files | {"model.json": files["model.json"] + b"\n"}
    assert register_model(platform, NAME, run, again, {"training_run": run}, {}) == 1
    promote_run(platform, run)
    assert ModelCache(platform).get(classifier(), 1).definition == NAME


def test_a_damaged_champion_is_neither_rolled_back_to_nor_compared_with(platform, files):
    three_champions(platform, files)
    stored = platform.models.registered[NAME][1].files
    stored["model.json"] = stored["model.json"][:-10]
    with pytest.raises(
        UserError,
        match=(
            r"cannot be read, the champion stays: version 2 in the registry is damaged: "
            r"model\.json changed"
        ),
    ):
        rollback(platform, NAME, "worse", "ann")
    assert platform.models.alias(NAME, "champion") == 3


@pytest.mark.parametrize(
    "rubbish", [b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"definition": 5}', b"9" * 100_000]
)
def test_a_damaged_proposal_is_refused_in_words_and_shown_as_such(platform, files, rubbish):
    run = proposed(platform, files, None)
    platform.runs.log(run, files={PROPOSAL: rubbish}, folder="decision")
    with pytest.raises(
        UserError, match=f"the proposal of run {run} in the registry is damaged; train again"
    ):
        promote_run(platform, run)
    assert "is damaged" in model_history(platform, NAME)["unreadable"]
