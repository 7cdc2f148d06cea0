"""Three families of detectors compete at equal false alarms; each explains, is stored and exported
like the others."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.neural_network import MLPRegressor

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.kinds.anomaly.detector_graph import detector_graph
from alerting.kinds.anomaly.detectors import (
    BesideSpreads,
    LevelsAndSpreads,
    fit_autoencoder,
    fit_detector,
    fit_trees,
)
from alerting.kinds.anomaly.injected_faults import inject_faults
from alerting.kinds.anomaly.kind import score_rows
from alerting.kinds.anomaly.model import from_files, spread_columns, to_files
from alerting.kinds.anomaly.normal_experiment import (
    NAMES,
    FamilyComparison,
    FaultScores,
    NormalExperiment,
    UsedRows,
    are_states_apart,
    choose_family,
    count_exceeding,
    is_curved,
)
from alerting.kinds.anomaly.scored_strides import responsible
from alerting.kinds.anomaly.training import TRAINING
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.features.point_in_time import build_features
from alerting.learning.models.trained import ModelRefused
from alerting.readings.history import History, to_millis
from tests.builders import at
from tests.helpers.long_history import in_memory

pytestmark = pytest.mark.models

DAYS = 6
NAMES_OF_LINE = [f"v{number}" for number in range(7)]


def curve(count, seed=1):
    """Return readings of a line whose variables follow its load, most of them on a curve."""
    random = np.random.default_rng(seed)
    load = np.sin(np.arange(count) / 190) + 0.5 * np.sin(np.arange(count) / 77 + 1)
    load = 1 / (1 + np.exp(-2 * load))
    curves = [load, load**2, load**3, 1 / (0.3 + load), np.sqrt(load), 4 * load * (1 - load)]
    values = np.stack([*curves, 1 / (0.2 + (load - 0.5) ** 2)], axis=1)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return values + 0.1 * random.normal(size=values.shape)


def history_of(values, names, asset="line"):
    index = pd.DatetimeIndex([at(5 * m) for m in range(len(values))], name="ts").as_unit("ms")
    variables = {name: Variable(low=-50, high=50) for name in names}
    return History(Asset(name=asset, variables=variables), pd.DataFrame(values, index, names))


def trained(*histories, **fields):
    definition = parse_definition({"name": "x", "kind": "anomaly", "assets": ["*"], **fields})
    end = max(history.readings.index[-1] for history in histories)
    period = NormalTime(at(0), end.to_pydatetime(), end.to_pydatetime())
    data = LearningData([*map(in_memory, histories)], {}, period)
    return TRAINING.estimate(definition, 1, "detector", data).model


@pytest.fixture(scope="module")
def of_curve():
    return trained(history_of(curve(DAYS * 288), NAMES_OF_LINE))


def test_where_normal_states_lie_on_a_curve_the_autoencoder_is_chosen_and_the_training_says_so(
    of_curve,
):
    fitted = of_curve.by_asset["line"]
    assert fitted.detector.family == "autoencoder"
    assert fitted.account[0].startswith("autoencoder (7 columns through ")
    said = next(text for text in fitted.account if text.startswith("an autoencoder chosen by 600"))
    assert "faults injected into unseen rows at equal false alarms" in said
    assert "principal components " in said
    assert re.search(r"difference, an autoencoder [\d.]+ points to [\d.]+ points", said)


def test_its_reasons_name_the_sensor_and_the_value_that_the_curve_leads_to_expect(of_curve):
    fitted = of_curve.by_asset["line"]
    values = curve(DAYS * 288, seed=2)[1200:1300]
    usual = values[-1, 5]
    values[-30:, 5] -= 1.5
    history = history_of(values, NAMES_OF_LINE)
    row = build_features(fitted.plan, history, np.array([to_millis(at(5 * 99))])).to_numpy(
        np.float64
    )
    first = responsible(fitted, row[0])[0]
    assert fitted.score(row)[0] > 1
    assert (first.variable, first.share > 0.5) == ("v5", True)
    assert abs(first.level.expected - usual) < 0.5


def linear(count, seed=0, latents=3, columns=8):
    random = np.random.default_rng(seed)
    latent = random.normal(size=(count, latents))
    noise = 0.3 * random.normal(size=(count, columns))
    return latent @ random.normal(size=(latents, columns)) + noise


def test_where_relations_are_straight_principal_components_stay():
    values = linear(1500, latents=6, columns=20)
    fitted = trained(history_of(values, [f"v{n}" for n in range(20)])).by_asset["line"]
    assert fitted.detector.family == "levels_and_spreads"
    assert "principal components" in fitted.account[2]
    assert "isolation trees" in fitted.account[2]
    short = trained(history_of(linear(300), [f"v{n}" for n in range(8)])).by_asset["line"]
    assert "normal time is shorter than 40 windows" in short.account[2]


def test_families_are_tried_where_they_can_win():
    random = np.random.default_rng(2)
    corners = 4.0 * random.integers(0, 2, (1500, 4)) + 0.3 * random.normal(size=(1500, 4))
    lines = {"curve": curve(1500), "straight": linear(1500), "corners": corners}
    curved = set()
    apart = set()
    for name, rows in lines.items():
        encoded = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        curved |= {name} if is_curved(encoded[:1000], encoded[1000:]) else set()
        apart |= {name} if are_states_apart(encoded) else set()
    assert (curved, apart) == ({"curve"}, {"corners"})


PLAN = FeaturePlan(
    60_000,
    (600_000,),
    ("mean", "std"),
    tuple(NumberSource(f"v{n}", 60_000) for n in range(7)),
)


def used_rows(count=1200):
    """Return rows of features whose levels lie on a curve."""
    random = np.random.default_rng(4)
    matrix = np.empty((count, 14))
    matrix[:, ::2] = curve(count)
    matrix[:, 1::2] = 0.1 * np.exp(0.2 * random.normal(size=(count, 7)))
    instants = 60_000 * np.arange(1, count + 1)
    return UsedRows(instants, matrix, np.full(count, None, object))


def test_an_hour_long_after_the_rest_of_normal_time_decides_on_no_family():
    rows = used_rows()
    rows.at[-60:] += 200 * 86_400_000
    definition = parse_definition({"name": "x", "kind": "anomaly", "assets": ["*"]})
    none = rows.select(np.arange(0))
    choice = choose_family(definition, PLAN, rows, none, np.arange(0))
    assert choice.family == "pca"
    assert "nearly all normal time lies together" in choice.reason


# injected faults of 600 that principal components and a network find, and the problems of each;
# what is chosen, and by what
COMPETITIONS = [
    ((300, 300), ("000000", "111111"), "autoencoder", "6 problems"),
    ((300, 300), ("000000", "111110"), "pca", "6 problems"),  # five alone may be chance
    ((300, 300), ("00000000", "11111110"), "autoencoder", "8 problems"),
    ((300, 300), ("10000000", "01111111"), "pca", "8 problems"),  # chance: 9 in 256
    ((100, 600), ("111111", "111111"), "pca", "6 problems"),
    ((300, 300), ("00000", "11100"), "pca", "600 faults injected"),
    ((100, 600), ("11", "11"), "autoencoder", "600 faults injected"),
    ((100, 600), ("11", "10"), "pca", "600 faults injected"),  # a known problem is lost
    ((300, 303), ("00", "11"), "pca", "600 faults injected"),
]
DEFINITION = parse_definition({"name": "x", "kind": "anomaly", "assets": ["*"]})


def choose(monkeypatch, score_faults, problems=0, rivals=("autoencoder",)):
    """Return the choice where these scores (number of normal windows, family) decide."""

    def score(comparison, family):
        return FaultScores(*score_faults(comparison.windows, family))

    monkeypatch.setattr(FamilyComparison, "screen", lambda _, family: family in rivals)
    monkeypatch.setattr(FamilyComparison, "score_faults", score)
    used = used_rows()
    number = np.arange(problems)
    return choose_family(DEFINITION, PLAN, used, used.select(number), number)


@pytest.mark.parametrize(("injected", "problems", "family", "by"), COMPETITIONS)
def test_known_problems_decide_where_all_of_them_would_be_beyond_chance_and_else_injected_faults(
    monkeypatch, injected, problems, family, by
):
    def score_faults(windows, family):
        side = int(family == "autoencoder")
        known = [number == "1" for number in problems[side]]
        hits = np.array([*(np.arange(600) < injected[side]), *known])
        return np.linspace(0, 1, windows), np.where(hits, 2.0, -1.0)

    choice = choose(monkeypatch, score_faults, len(problems[0]))
    assert choice.family == family
    assert f"chosen by {by}" in choice.reason


def test_of_two_rivals_each_must_be_further_beyond_chance(monkeypatch):
    def score_faults(windows, family):
        found = {"autoencoder": 6, "isolation_forest": 6}.get(family, 0)
        return np.linspace(0, 1, windows), np.where(np.arange(607) < 600 + found, 2.0, -1.0)

    both = choose(monkeypatch, score_faults, 7, ("autoencoder", "isolation_forest"))
    assert (both.family, "sign test" in both.reason) == ("pca", True)
    assert choose(monkeypatch, score_faults, 7).family == "autoencoder"


def test_what_one_block_of_normal_time_decides_by_the_threshold_is_no_gain(monkeypatch):
    def score_faults(windows, family):
        normal = np.linspace(0, 1, windows)
        if family == "pca":  # faults are hidden by what was high in two blocks of time
            normal[[10, 11, 12, 13, 14, 40, 41, 42, 43, 44, 45]] = 3.0
        return normal, np.tile([2.0, 0.2], 300)

    assert choose(monkeypatch, score_faults).family == "pca"


@pytest.mark.parametrize("threshold", [{}, {"time_in_alarm": 0.2}])
def test_families_are_compared_where_as_many_windows_are_above_the_threshold(threshold):
    used = used_rows(500)
    comparison = FamilyComparison(PLAN, used, used.select(slice(0)), np.arange(0))
    definition = DEFINITION.model_copy(
        update={"threshold": DEFINITION.threshold.model_copy(update=threshold)}
    )
    windows = comparison.windows
    exceeding = count_exceeding(definition, PLAN.longest_window_ms, windows)
    assert exceeding == (round(windows * 0.2) if threshold else windows // 10)
    for family in NAMES:
        scores = comparison.score_faults(family)
        as_faults = scores._replace(faults=scores.normal)
        assert as_faults.find(exceeding, np.ones((1, windows), int)).sum() == exceeding


def test_what_screened_a_family_does_not_decide_on_it():
    used = used_rows()
    comparison = FamilyComparison(PLAN, used, used.select(np.arange(8)), np.arange(8))
    scored = {"screened": set(), "decided": set()}
    side = "screened"
    predict = comparison.predict
    comparison.predict = lambda fitted, params, rows: (
        scored[side].update(rows.tolist()) or predict(fitted, params, rows)
    )
    comparison.fit = lambda params, fold: NormalExperiment.fit(comparison, {"family": "pca"}, fold)
    assert not comparison.screen("isolation_forest")
    side = "decided"
    comparison.score_faults("isolation_forest")
    assert not scored["screened"] & scored["decided"]
    assert {*range(comparison.rows - 8, comparison.rows)} <= scored["decided"]


def test_ten_folds_from_forty_windows_of_normal_time_on_and_four_below():
    used = used_rows()
    counts = {
        rows: len(NormalExperiment(PLAN, used.select(slice(rows))).folds)
        for rows in (130, 390, 400, 1200)
    }
    assert counts == {130: 4, 390: 4, 400: 10, 1200: 10}


def test_a_single_variable_is_described_by_its_levels_alone_unless_stated():
    only = history_of(linear(600)[:, :1], ["v0"])
    layouts = [
        [column.aggregation for column in trained(only, **more).by_asset["line"].plan.layout]
        for more in ({}, {"aggregations": ["mean", "std"]})
    ]
    assert layouts == [["mean"], ["mean", "std"]]


ROWS = linear(900)


def test_fits_are_deterministic_and_those_of_their_library():
    rows = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
    forest = IsolationForest(n_estimators=50, random_state=0).fit(rows)
    scores = fit_trees(rows).score(rows)
    # the library's score is 2 ** (score - 1)
    assert np.allclose(2.0 ** (scores - 1), -forest.score_samples(rows), atol=1e-9)
    for fit in (fit_trees, fit_autoencoder):
        assert fit(rows).score(rows).tobytes() == fit(rows).score(rows).tobytes()
    errors = (fit_autoencoder(rows).copy(rows) - rows).var(axis=0)
    assert errors.max() < 0.5, "it copies what eight variables of three latent ones share"


@pytest.mark.parametrize("rows", [70, 400])
def test_the_number_of_steps_ends_the_fit_of_a_network_and_nothing_before(monkeypatch, rows):
    lengths = []
    fit = MLPRegressor.fit

    def counted(network, *given):
        fitted = fit(network, *given)
        lengths.append(len(network.loss_curve_))
        return fitted

    monkeypatch.setattr(MLPRegressor, "fit", counted)
    fit_autoencoder(np.random.default_rng(0).normal(size=(rows, 4)))
    epochs = [-(-steps * 64 // rows) for steps in (800, 500, 300)]
    assert lengths == np.cumsum(epochs).tolist()


def longer(values):
    return np.concatenate([values, values[:1]])


def changed(to):
    """Return what puts a value into the first place of an array."""
    return lambda values: np.concatenate([[to], values.ravel()[1:]]).reshape(values.shape)


BREAKS = {
    "autoencoder": [
        *((name, longer) for name in ("levels.into", "levels.middle_bias", "levels.out")),
        *((name, longer) for name in ("levels.back_bias", "levels.usual")),
        *((name, changed(np.nan)) for name in ("levels.back", "levels.into_bias")),
        *(("levels.usual", changed(value)) for value in (0.0, -1.0, np.inf)),
    ],
    "isolation_forest": [
        *((name, longer) for name in ("levels.depth", "levels.usual", "is_spread", "limits")),
        *((name, changed(np.inf)) for name in ("levels.depth", "levels.cut")),
        *((name, changed(0.0)) for name in ("levels.usual", "limits")),
        ("is_spread", changed(2.0)),
        ("spreads.components", longer),
        ("spreads.limits", longer),
    ],
    "pca": [
        *((name, longer) for name in ("spreads", "components", "inverse", "limits")),
        *(("limits", changed(value)) for value in (0.0, np.nan)),
    ],
}


@pytest.mark.parametrize("family", BREAKS)
def test_a_file_whose_arrays_do_not_fit_together_is_refused(of_curve, family):
    rows = np.random.default_rng(0).normal(size=(300, 14))
    detector = fit_detector(rows, spread_columns(PLAN), family)
    assert isinstance(detector, LevelsAndSpreads if family == "pca" else BesideSpreads)
    fitted = replace(of_curve.by_asset["line"], plan=PLAN, detector=detector)
    whole = replace(of_curve, by_asset={"line": fitted})
    from_files(to_files(whole))
    for name, damage in BREAKS[family]:
        part, _, of_part = name.rpartition(".")
        inner = getattr(detector, part) if part else detector
        damaged = replace(inner, **{of_part: damage(getattr(inner, of_part))})
        damaged = replace(detector, **{part: damaged}) if part else damaged
        files = to_files(replace(of_curve, by_asset={"line": replace(fitted, detector=damaged)}))
        with pytest.raises(ModelRefused, match="is damaged"):
            from_files(files)
    for limit in (fitted.usual, np.nan):
        with pytest.raises(ModelRefused, match="is damaged"):
            from_files(to_files(replace(whole, by_asset={"line": replace(fitted, limit=limit)})))


@pytest.mark.parametrize("aggregations", [("mean", "std"), ("mean",)])
@pytest.mark.parametrize("family", NAMES)
def test_each_family_is_stored_explained_and_exported(of_curve, family, aggregations):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    used = used_rows()
    plan = replace(PLAN, aggregations=aggregations)
    matrix = used.matrix[:, :: 3 - len(aggregations)]
    experiment = NormalExperiment(plan, used._replace(matrix=matrix))
    spaces, detector = experiment.refit({"family": family}, np.arange(1200))
    raw = detector.score(spaces[None].encode(matrix))
    fitted = replace(
        of_curve.by_asset["line"],
        plan=plan,
        space=spaces[None],
        detector=detector,
        usual=float(np.median(raw)),
        limit=float(np.quantile(raw, 0.99)),
    )
    model = from_files(to_files(replace(of_curve, by_asset={"line": fitted})))
    faulty = matrix[:50].copy()
    faulty[:, 0] += 9.0
    if family == "isolation_forest":  # states apart, of which no variable is the cause
        faulty[:, 1:] += 9.0
    rows = pd.DataFrame(np.concatenate([matrix[50:100], faulty]), columns=[*plan.columns])
    scores = score_rows(model, rows)
    assert scores.tobytes() == fitted.score(rows.to_numpy()).tobytes()
    assert (scores[50:] > 1).all()
    reasons = responsible(model.by_asset["line"], faulty[0])
    assert sum(reason.share for reason in reasons) == pytest.approx(1)
    assert reasons[0].variable == "v0" or family == "isolation_forest"
    rows.iloc[0, 0] = np.nan
    session = onnxruntime.InferenceSession(detector_graph(model))
    [exported] = session.run(None, {"features": rows.to_numpy(np.float64)})
    assert np.isnan(exported[0, 0])
    assert np.allclose(exported[1:, 0], scores[1:], rtol=1e-9, atol=1e-9)
    properties = session.get_modelmeta().custom_metadata_map
    assert (properties["asset"], json.loads(properties["columns"])) == ("line", [*plan.columns])


def test_a_detector_is_exported_of_one_asset():
    parts = [history_of(linear(600, seed), ["a", *"bcdefgh"], f"line-{seed}") for seed in (1, 2)]
    model = trained(*parts)
    with pytest.raises(UserError, match="name one of line-1, line-2"):
        detector_graph(model)
    with pytest.raises(UserError, match="learned nothing of line-3, only of line-1, line-2"):
        detector_graph(model, "line-3")
    assert detector_graph(model, "line-1") != detector_graph(model, "line-2")


def test_injected_faults_are_what_changed_readings_would_give():
    random = np.random.default_rng(3)
    plan = replace(
        PLAN, aggregations=("mean", "std", "min", "max", "slope"), numbers=PLAN.numbers[:1]
    )
    index = pd.DatetimeIndex([at(m) for m in range(40)], name="ts").as_unit("ms")
    asset = Asset(name="line", variables={"v0": Variable()})

    def features(values):
        history = History(asset, pd.DataFrame({"v0": values}, index))
        return build_features(plan, history, np.array([to_millis(at(39))])).to_numpy(np.float64)

    values = 5 + random.normal(size=40)
    rows = features(values)
    names = [column.aggregation for column in plan.layout]
    mean, slope = (names.index(name) for name in ("mean", "slope"))
    unit = np.array([[3.0] * 5, [5.0] * 5])  # the deviation of the level is 1
    injected = inject_faults(plan, range(len(names)), unit, rows, rows)
    size = 1.5  # of the first of them
    ramp = np.where(np.arange(40) > 29, (np.arange(40) - 29) / 10, 0.0)
    assert injected["step"] == pytest.approx(features(values + size))
    drifted = features(values + size * ramp)
    assert injected["drift"][0, mean] == pytest.approx(drifted[0, mean], abs=0.1)
    assert injected["drift"][0, slope] == pytest.approx(drifted[0, slope], rel=0.05)
    frozen = features(np.full(40, rows[0, mean]))
    assert injected["freeze"] == pytest.approx(frozen, abs=1e-9)


def test_spreads_count_beside_levels_of_any_family():
    used = used_rows()
    rows = (used.matrix - used.matrix.mean(axis=0)) / used.matrix.std(axis=0)
    swinging = rows[:20].copy()
    swinging[:, 1] += 8.0
    spreads = spread_columns(PLAN)
    for family in NAMES:
        detector = fit_detector(rows, spreads, family)
        assert detector.score(swinging).min() > np.quantile(detector.score(rows), 0.99)
