"""An anomaly from three lines: trained without labels, put in service, evaluated, explained, drawn,
backtested and reported."""

import json
from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import question_hash
from alerting.episodes.episode import Feedback
from alerting.kinds.anomaly.model import FILE, NUMBERS, from_files, to_files
from alerting.kinds.registry import parse_definition
from alerting.learning.models.trained import ModelRefused
from alerting.usecases.explain import why
from alerting.usecases.model_registry import export_onnx, load_model
from alerting.usecases.notification.episode_values import chart_of
from alerting.usecases.operators.operate import give_feedback
from alerting.usecases.training.promote import model_history
from tests.builders import at
from tests.helpers.fan_line import ASSET, BROKEN, DAY, END, REPAIRED, TRAINED, fan, rows
from tests.helpers.kind_life import (
    assert_past_agrees_with_live,
    evaluated,
    in_service,
    platform_with,
    trained_at,
)

pytestmark = pytest.mark.models

NAME = "fan-unlike-normal"
DOCUMENT = {
    "name": NAME,
    "kind": "anomaly",
    "assets": [ASSET],
    "windows": ["40m"],
    "schedule": {"retrain": None},
}


def trained_platform(document=DOCUMENT, readings=None, trained=TRAINED):
    made = platform_with(fan(), rows() if readings is None else readings, document)
    return made, trained_at(made, document["name"], trained)


def model_of(platform, version=1):
    return load_model(platform, platform.definitions.newest_revision(NAME).definition, version)


def verdict_on(platform, episode, verdict):
    give_feedback(platform, Feedback(episode.id, verdict, False, None, None, "operator", at(END)))


@pytest.fixture(scope="module")
def platform():
    return in_service(*trained_platform(), (*range(TRAINED, END, 95), END))


@pytest.fixture
def broken(platform):
    """Return the episode of the break."""
    found = platform.episodes.find(NAME)
    (episode,) = [e for e in found if at(BROKEN) <= e.raised_at < at(REPAIRED)]
    assert len(found) <= 3, "normal operation raises next to nothing"
    return episode


def test_its_model_says_what_it_is_and_how_its_threshold_was_set(platform):
    what, threshold, family = model_of(platform).by_asset[ASSET].account
    assert what.startswith(
        "principal components of levels (1 of 4) and of spreads (1 of 4); 4 variables every 10m"
    )
    assert threshold.startswith("threshold by peaks over a threshold: generalized Pareto")
    assert "principal components" in family
    champions = (
        model_history(platform, NAME)["champion"],
        platform.models.aliases(NAME).get("champion"),
    )
    assert champions == (1, 1)


def test_a_correlation_break_within_usual_values_raises_an_episode_that_names_the_sensor(
    platform, broken
):
    assert broken.closed_at >= at(REPAIRED)
    usual = [row.values["flow"] for row in rows() if row.ts < at(TRAINED)]
    flow = [row.values["flow"] for row in rows() if at(BROKEN) <= row.ts < at(REPAIRED)]
    assert min(usual) < min(flow) < max(flow) < max(usual)
    first = broken.contributions[0]
    assert (first.variable, first.share > 0.5, first.value < first.usual - 1) == (
        "flow",
        True,
        True,
    )
    assert broken.evaluation.reason.startswith("Unlike normal operation: the ")
    assert " of flow over 40 min is " in broken.evaluation.reason
    assert broken.evaluation.value >= broken.evaluation.threshold == 1.0
    told = why(platform, NAME, ASSET, broken.raised_at)
    assert (told.verdict, told.model_version, told.threshold) == ("open", 1, 1.0)
    assert told.score == pytest.approx(broken.evaluation.value)
    facts = " ".join(map(str, told.facts))
    assert "of flow over 40 min is" in facts
    assert "principal components of levels" in facts
    assert why(platform, NAME, ASSET, at(BROKEN - 300)).verdict == "normal"
    score, *sensors = chart_of(platform, broken, at(END)).panels
    assert (score.name, [level.value for level in score.levels]) == ("Unlike normal", [1.0, 0.0])
    assert score.values.max() > 1
    assert [panel.name for panel in sensors] == [one.variable for one in broken.contributions[:3]]
    assert sensors[0].levels[0].value == first.usual


def raised_in_the_break(document, readings):
    """Return the episodes that live evaluation, by hours, raises while something is broken."""
    made = in_service(*trained_platform(document, readings), (*range(TRAINED, END, 60), END))
    return [e for e in made.episodes.find(NAME) if at(BROKEN) <= e.raised_at < at(REPAIRED)]


def swinging():
    """Return readings in which flow goes up and down with every reading, around its own mean."""
    for number, row in enumerate(rows(less=0.0)):
        size = 12.0 * (-1) ** number if at(BROKEN) <= row.ts < at(REPAIRED) else 0.0
        yield replace(row, values=row.values | {"flow": row.values["flow"] + size})


def test_a_swing_that_leaves_every_mean_is_one_episode_until_it_ends():
    (episode,) = raised_in_the_break(DOCUMENT, [*swinging()])
    assert episode.closed_at >= at(REPAIRED)
    assert episode.contributions[0].variable == "flow"
    assert "the spread of flow over 40 min is" in episode.contributions[0].message
    (edge,) = raised_in_the_break(DOCUMENT | {"aggregations": ["mean"]}, [*swinging()])
    assert edge.closed_at < at(REPAIRED - 120)


def test_other_statistics_are_another_question_and_the_usual_ones_written_out_are_none():
    asked = {"name": NAME, "kind": "anomaly", "assets": [ASSET], "windows": ["40m"]}
    written = ({}, {"aggregations": ["mean", "std"]}, {"aggregations": ["mean"]})
    plain, usual, means = (question_hash(parse_definition(asked | more)) for more in written)
    assert plain == usual != means


def test_its_past_agrees_with_live_and_the_same_training_again_keeps_the_champion(platform):
    assert_past_agrees_with_live(platform, NAME, TRAINED, END)
    before = model_of(platform).hash
    again = trained_at(platform, NAME, TRAINED)
    assert (again.verdict, again.promote) == ("keep", False)
    assert model_of(platform, again.challenger_version).hash == before


def test_its_files_give_the_same_bits_and_are_refused_when_changed(platform):
    model = model_of(platform)
    files = to_files(model)
    copy = from_files(files)
    matrix = np.random.default_rng(0).normal(50, 20, (20, len(model.by_asset[ASSET].plan.columns)))
    assert copy.hash == model.hash
    assert (
        copy.by_asset[ASSET].score(matrix).tobytes()
        == model.by_asset[ASSET].score(matrix).tobytes()
    )
    changed = json.loads(files[FILE])
    changed["detectors"][ASSET]["limit"] *= 2
    with pytest.raises(ModelRefused, match="were changed"):
        from_files(files | {FILE: json.dumps(changed).encode()})
    with pytest.raises(ModelRefused, match="is damaged"):
        from_files(files | {NUMBERS: files[NUMBERS][:-8]})


def test_a_registered_version_is_exported_as_an_onnx_file_of_its_asset(platform):
    pytest.importorskip("onnx", reason="pip install onnx")
    from alerting.kinds.anomaly.detector_graph import detector_graph

    definition = platform.definitions.newest_revision(NAME).definition
    exported = detector_graph(model_of(platform))
    assert export_onnx(platform, definition, 1) == exported
    assert export_onnx(platform, definition, 1, ASSET) == exported
    with pytest.raises(UserError, match="learned nothing of fan-9, only of fan-1"):
        export_onnx(platform, definition, 1, "fan-9")


# end of the fixed dates, what the result says of the unseen time, and its days
DATES = [
    (END, "its newest fifth, 2026-01-21 00:00 UTC to 2026-01-25 00:00 UTC", 4),
    (TRAINED - 5 * DAY, "after `normal`, up to the first gap or problem: 2026-01-20", 5),
]


def test_fixed_dates_have_unseen_time_behind_them_or_at_their_end():
    for to, sentence, days in DATES:
        _, decided = trained_platform(
            DOCUMENT | {"normal": {"from": at(0).isoformat(), "to": at(to).isoformat()}}
        )
        assert sentence in " ".join(decided.evidence["notes"])
        assert 7 * decided.evidence["weeks"] == pytest.approx(days, abs=0.3)


def test_too_little_normal_history_is_refused_with_what_to_do():
    with pytest.raises(
        UserError,
        match=r"it has \d+ rows of normal operation, 100 are needed; choose another",
    ):
        trained_platform(DOCUMENT, readings=rows()[:100], trained=DAY)


def test_verdicts_enter_the_next_version_not_the_running_one():
    made, _ = trained_platform(DOCUMENT)
    evaluated(made, (*range(TRAINED, END, 95), END))
    episode = next(e for e in made.episodes.find(NAME) if at(BROKEN) <= e.raised_at < at(REPAIRED))
    before = model_of(made).hash
    verdict_on(made, episode, "true_alarm")
    again = trained_at(made, NAME, END)
    assert again.evidence["problems"] == 1
    assert again.evidence["found"] == 1
    assert "1 of 1 problem found" in again.details
    assert model_of(made).hash == before


def test_a_slow_variable_is_left_out_and_neither_silences_nor_explains():
    hardness = Asset(name=ASSET, variables=fan().variables | {"hardness": Variable()})
    readings = rows()
    for row in readings[::30]:
        row.values["hardness"] = 40.0 + (row.ts.day % 3) if row.ts < at(BROKEN) else 900.0
    made = platform_with(hardness, readings, DOCUMENT)
    made = in_service(made, trained_at(made, NAME, TRAINED), (*range(TRAINED, END, 60), END))
    fitted = model_of(made).by_asset[ASSET]
    assert "hardness" not in fitted.variables
    assert fitted.account[-1].startswith("left out: hardness, every 5h (more seldom than once in 5")
    raised = made.episodes.find(NAME)
    assert {one.variable for e in raised for one in e.contributions} <= {*fitted.variables}
    assert fitted.account[-1] in why(made, NAME, ASSET, raised[0].raised_at).facts


def test_a_slow_variable_that_include_names_is_used_and_said():
    hardness = Asset(name=ASSET, variables=fan().variables | {"hardness": Variable()})
    readings = rows()
    for row in readings[::30]:
        row.values["hardness"] = 40.0 + (row.ts.day % 3)
    document = DOCUMENT | {"include": [*fan().variables, "hardness"], "windows": ["50m", "1d"]}
    made = platform_with(hardness, readings, document)
    trained = trained_at(made, NAME, TRAINED)
    fitted = model_of(in_service(made, trained, (TRAINED + 10,))).by_asset[ASSET]
    assert "hardness" in fitted.variables
    assert "hardness" in fitted.steady
    assert fitted.account[-1].startswith("used because include names it: hardness, every 5h (more")


def test_rows_without_a_variable_that_is_nearly_always_there_do_not_count():
    silent = rows()
    for number in range(300, 340):
        del silent[number].values["flow"]
    made, _ = trained_platform(DOCUMENT, readings=silent)
    fitted = model_of(made).by_asset[ASSET]
    assert fitted.steady == ("current", "flow", "speed", "temperature")
    assert "37 without a variable that is nearly always there" in fitted.account[0]


@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [
        ("training._MOST_ROWS", 800, "operation, one in 3 so that they are at most 800"),
        ("normal_rows.MOST_CELLS", 4000, "of the normal period only one in 5 was computed"),
    ],
)
def test_a_long_history_is_thinned_evenly_and_says_so(monkeypatch, limit, most, said):
    monkeypatch.setattr(f"alerting.kinds.anomaly.{limit}", most)
    made, _ = trained_platform(DOCUMENT)
    fitted = model_of(made).by_asset[ASSET]
    assert said in " ".join(fitted.account)
    assert fitted.plan.stride_ms == 600_000
    assert fitted.weeks == pytest.approx(16 / 7, rel=0.02)
