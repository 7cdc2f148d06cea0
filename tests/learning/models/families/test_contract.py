"""Every family keeps what training, evaluation and explanations rely on."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import BUILT_IN, OPTIONAL, PERSISTENCE
from alerting.learning.features.plan import CategorySource, Columns, FeaturePlan, NumberSource
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.model_files import META, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, Platt, TrainedModel, model_hash
from tests.helpers.learning.mean_difference import FAMILY

pytestmark = pytest.mark.models

ROWS = 400
NUMBERS = ("pressure", "temperature", "speed", "constant", "never_known")
SHIFTS = ("early", "late", "night")
START = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = FeaturePlan(
    stride_ms=60_000,
    windows_ms=(60_000,),
    aggregations=("last",),
    numbers=tuple(NumberSource(name, None) for name in NUMBERS),
    categories=(CategorySource("shift", SHIFTS),),
)
COLUMNS = Columns.from_plan(PLAN)
executed = []


FAMILIES = (PERSISTENCE, *BUILT_IN, *OPTIONAL, "mean_difference")


@pytest.fixture(params=FAMILIES, scope="module")
def family(request):
    return FAMILY if request.param == FAMILY.name else get_family(request.param)


@pytest.fixture(scope="module")
def model(family):
    return trained(family)


def rows(seed=0):
    """Return rows whose label depends on two numbers and a category, with gaps."""
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((ROWS, len(COLUMNS.names)))
    matrix[:, NUMBERS.index("constant")] = 4.0
    matrix[:, -1] = random.integers(0, len(SHIFTS), ROWS)
    noise = 0.3 * random.standard_normal(ROWS)
    risk = 2.0 * matrix[:, 0] - matrix[:, 1] + 1.5 * (matrix[:, -1] == 2) + noise
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    matrix[:, NUMBERS.index("never_known")] = np.nan
    matrix.setflags(write=False)  # a family that writes into its rows would change the next one's
    return LabelledRows(matrix, (risk > 1.5).astype(np.int8))


def frame_of(matrix):
    frame = pd.DataFrame(matrix[:, :-1], columns=list(COLUMNS.names[:-1]))
    shifts = [None if np.isnan(code) else SHIFTS[int(code)] for code in matrix[:, -1]]
    return frame.assign(**{"shift.last": pd.Categorical(shifts, categories=list(SHIFTS))})


def hash_of(estimator):
    return model_hash(estimator, Platt(1.0, 0.0), 0.5, PLAN)


def trained(family, params=None, seed=0):
    estimator = family.fit_final(params or family.defaults, COLUMNS, rows(seed), 0)
    return TrainedModel(
        definition="check",
        revision=1,
        plan=PLAN,
        estimator=estimator,
        calibration=Platt(1.0, 0.0),
        threshold=0.5,
        training_cutoff=START,
        as_of=START,
        horizon=timedelta(minutes=30),
        gap=timedelta(0),
        usual={},
        ranges={},
        hash=hash_of(estimator),
    )


def test_each_parameter_set_is_plain_complete_and_learns(family):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    suggested = [family.suggest(study.ask()) for _ in range(2)]
    for params in (*family.proven_params(), *suggested):
        assert set(params) == set(family.defaults)
        assert all(isinstance(v, bool | int | float | str | None) for v in params.values())
        score = family.fit(params, COLUMNS, rows(), 0).probability_of(rows().matrix)
        assert average_precision_score(rows().label, score) > 1.3 * rows().label.mean()


def test_rows_weights_and_seed_decide_a_model_bit_for_bit_on_one_thread_or_two(family):
    plain = rows()
    first, again, two_threads = (
        family.fit(family.defaults, COLUMNS, plain, 3, n) for n in (1, 1, 2)
    )
    assert hash_of(first) == hash_of(again) == hash_of(two_threads)
    other = LabelledRows(plain.matrix, plain.label[::-1].copy())
    assert hash_of(family.fit(family.defaults, COLUMNS, other, 3, 1)) != hash_of(first)
    heavy = LabelledRows(plain.matrix, plain.label, np.where(plain.label == 1, 5.0, 1.0))
    weighted = family.fit(family.defaults, COLUMNS, heavy, 3, 1)
    light, more = (one.probability_of(plain.matrix).mean() for one in (first, weighted))
    assert more > light


def test_a_row_alone_has_the_probability_that_it_has_among_others_also_of_unknown_values(model):
    frame = frame_of(rows().matrix)
    scores = model.score(frame)
    likely = model.estimator.probability_of(COLUMNS.matrix(frame))
    assert ((likely >= 0) & (likely <= 1)).all()
    alone = np.concatenate([model.score(frame.iloc[[i]]) for i in range(0, ROWS, 40)])
    assert np.array_equal(alone, scores[::40])
    assert model.score(frame.iloc[:0]).shape == (0,)
    unknown = frame_of(np.full((1, len(COLUMNS.names)), np.nan))
    unknown["shift.last"] = pd.Categorical(["a level that training has not seen"])
    assert 0 <= model.score(unknown)[0] <= 1
    shuffled = frame[list(reversed(frame.columns))].assign(more=1.0)
    assert np.array_equal(model.score(shuffled), scores), "columns are found by name"
    with pytest.raises(UserError):
        model.score(frame.drop(columns="pressure.last"))


def test_each_round_has_a_precision_and_rounds_count(family):
    later = rows(1)
    _, curve = family.fit_with_validation(family.defaults, COLUMNS, rows(), later, 0)
    assert ((curve >= 0) & (curve <= 1)).all()
    if len(curve):
        few = family.fit_final({**family.defaults, "rounds": 2}, COLUMNS, rows(), 0)
        assert np.array_equal(few.margin_of(later.matrix), few.margin_of(later.matrix, 2))


def test_contributions_add_up_to_the_margin_and_importance_to_one(model):
    estimator = model.estimator
    for row in (rows().matrix[[0]], np.full((1, len(COLUMNS.names)), np.nan)):
        shares, base = estimator.contributions(row)
        assert shares.shape == (len(COLUMNS.names),)
        assert base + shares.sum() == pytest.approx(estimator.margin_of(row)[0], abs=1e-6)
    importance = estimator.importance()
    assert (importance >= 0).all()
    assert importance.sum() == pytest.approx(1)


def test_a_model_read_from_its_files_scores_and_explains_the_same_bit_for_bit(family):
    frame = frame_of(rows().matrix)
    row = COLUMNS.matrix(frame.iloc[[0]])
    for params in family.proven_params():
        model = trained(family, params)
        read = model_from_files(model_files(model), lambda _: family)
        assert np.array_equal(model.score(frame), read.score(frame))
        shares, other = (one.estimator.contributions(row)[0] for one in (model, read))
        assert np.array_equal(shares, other)


def damaged(data, other):
    half = len(data) // 2
    pickled = f"c{__name__}\nnote_execution\n(S'run'\ntR.".encode()
    swapped = data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
    noise = hashlib.sha256(data).digest() * 100
    return (data[:half], swapped, b"", noise, b"0 " * 10_000, pickled, other)


def note_execution(text):
    executed.append(text)


def test_damaged_and_exchanged_files_are_refused_and_run_no_code(family, model):
    files = model_files(model)
    others = model_files(trained(family, seed=5))
    for name in files.keys() - {META}:
        lost = {key: value for key, value in files.items() if key != name}
        wrong = [{**files, name: data} for data in damaged(files[name], others[name])]
        for given in (lost, *(one for one in wrong if one != files)):
            with pytest.raises(ModelRefused):
                model_from_files(given, lambda _: family)
    assert not executed


def test_rows_of_one_class_reach_no_family():
    for label, kind in enumerate(("negative", "positive")):
        with pytest.raises(UserError, match=f"all 3 rows to learn from are {kind}"):
            LabelledRows(np.zeros((3, 1)), np.full(3, label, np.int8))
