"""Checks of a model family: what training, evaluation and explanations rely on.

`check_family(family)` runs all of them on a small made table, in seconds; `CHECKS` are for tests
that name each one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import optuna
from sklearn.metrics import average_precision_score

from alerting.deferred import pd
from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.features.plan import CategorySource, FeaturePlan, NumberSource
from alerting.learning.models.calibration import Platt
from alerting.learning.models.estimator import Estimator
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.files import META, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, TrainedModel, model_hash

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


def check_family(family: ModelFamily) -> None:
    """Check a family's contract. Raises AssertionError with the first fault."""
    for check in CHECKS:
        check(family)


def check_parameters(family: ModelFamily) -> None:
    """Check names and form of all parameters, and that a seed decides the suggested ones."""
    names = set(family.defaults)
    _require(
        family,
        family.name.isidentifier() and family.name.islower(),
        "its name is not a lower-case identifier",
    )
    _require(family, set(family.fixed) <= names, "a fixed parameter has no default")
    for params in (*family.proven_params(), *_suggest(family, 5)):
        _require(
            family,
            set(params) == names,
            f"the parameters {sorted(params)} differ from the defaults {sorted(names)}",
        )
        plain = all(
            value is None or isinstance(value, bool | int | float | str)
            for value in params.values()
        )
        _require(family, plain, f"the parameters {params} are not plain JSON values")
    _require(
        family,
        _suggest(family, 5) == _suggest(family, 5),
        "the same seed suggests other parameters",
    )
    try:
        for package in family.packages:
            version(package)
    except PackageNotFoundError as missing:
        raise AssertionError(f"{family.name}: the package {missing} is not installed") from missing


def check_learning(family: ModelFamily) -> None:
    """Check that every set ranks rows with a problem first, and that weights count."""
    rows = _rows()
    prevalence = float(rows.label.mean())
    for params in (*family.proven_params(), *_suggest(family, 2)):
        score = family.fit(params, COLUMNS, rows, 0).probability_of(rows.matrix)
        _require(
            family,
            float(average_precision_score(rows.label, score)) > 1.3 * prevalence,
            f"with {params} it ranks its own training rows no better than chance",
        )
    heavy = LabelledRows(rows.matrix, rows.label, np.where(rows.label == 1, 5.0, 1.0))
    plain, weighted = (
        family.fit(family.defaults, COLUMNS, r, 0).probability_of(rows.matrix).mean()
        for r in (rows, heavy)
    )
    _require(
        family,
        weighted > plain,
        "rows with a problem that weigh five times as much do not raise the probability",
    )


def check_repeatable(family: ModelFamily) -> None:
    """Check that rows and seed decide the model bit for bit, on one thread or two."""
    rows = _rows()
    first, again, two_threads = (
        _hash(family.fit(family.defaults, COLUMNS, rows, 3, n)) for n in (1, 1, 2)
    )
    _require(family, first == again, "the same rows and seed give another model")
    _require(family, first == two_threads, "two threads give another model than one")
    other = LabelledRows(rows.matrix, rows.label[::-1].copy())
    _require(
        family,
        _hash(family.fit(family.defaults, COLUMNS, other, 3, 1)) != first,
        "other labels give the same fitted bytes",
    )


def check_probabilities(family: ModelFamily) -> None:
    """Check shape, range and order of probabilities: of one row, none, and unknown values."""
    model = _trained(family)
    frame = _frame(_rows().matrix)
    scores = model.score(frame)
    raw = model.estimator.margin(frame)
    _require(family, scores.shape == raw.shape == (ROWS,), "there is not one score for each row")
    _require(family, np.isfinite(raw).all(), "a margin is not a number")
    likely = model.estimator.probability_of(COLUMNS.matrix(frame))
    _require(
        family, bool(((likely >= 0) & (likely <= 1)).all()), "a probability is below 0 or above 1"
    )
    alone = np.concatenate([model.score(frame.iloc[[i]]) for i in range(0, ROWS, 40)])
    _require(
        family,
        np.array_equal(alone, scores[::40]),
        "a row alone has another score than among others",
    )
    _require(family, model.score(frame.iloc[:0]).shape == (0,), "no rows do not have no scores")
    unknown = _frame(np.full((1, len(COLUMNS.names)), np.nan))
    unknown["shift.last"] = pd.Categorical(["a level that training has not seen"])
    _require(
        family,
        0 <= model.score(unknown)[0] <= 1,
        "a row without any known value has no probability",
    )


def check_columns(family: ModelFamily) -> None:
    """Check that columns are found by name, and that rows without one are refused."""
    model = _trained(family)
    frame = _frame(_rows().matrix)
    shuffled = frame[list(reversed(frame.columns))].assign(more=1.0)
    _require(
        family,
        np.array_equal(model.score(shuffled), model.score(frame)),
        "another order of columns gives other scores",
    )
    try:
        model.score(frame.drop(columns="pressure.last"))
    except UserError:
        return
    raise AssertionError(f"{family.name}: rows without a column of the model are not refused")


def check_rounds(family: ModelFamily) -> None:
    """Check the fit with later rows: a precision per round, and scores of the first."""
    rows = _rows(0)
    later = _rows(1)
    estimator, curve = family.fit_with_validation(family.defaults, COLUMNS, rows, later, 0)
    _require(
        family,
        curve.ndim == 1 and bool(((curve >= 0) & (curve <= 1)).all()),
        "the curve is not of average precisions",
    )
    if len(curve):
        first, every = (estimator.probability_of(later.matrix, n) for n in (1, len(curve)))
        _require(
            family,
            not np.array_equal(first, every),
            "the score of the first round is that of all rounds",
        )
        few = family.fit_final({**family.defaults, "rounds": 2}, COLUMNS, rows, 0)
        _require(
            family,
            np.array_equal(few.margin_of(later.matrix), few.margin_of(later.matrix, 2)),
            "rounds do not count",
        )


def check_contributions(family: ModelFamily) -> None:
    """Check that contributions add up to the probability, and importance to one."""
    model = _trained(family).estimator
    matrix = _rows().matrix
    for row in (matrix[[0]], matrix[[7]], np.full((1, len(COLUMNS.names)), np.nan)):
        shares, base = model.contributions(row)
        _require(
            family,
            shares.shape == (len(COLUMNS.names),),
            "there is not one contribution for each column",
        )
        _require(
            family,
            bool(np.isclose(base + shares.sum(), model.margin_of(row)[0], atol=1e-6)),
            "contributions do not add up",
        )
    importance = model.importance()
    _require(
        family,
        bool(importance.shape == (len(COLUMNS.names),) and (importance >= 0).all()),
        "importance is below 0",
    )
    _require(
        family,
        bool(np.isclose(importance.sum(), 1)),
        "the importance of the columns does not add up to 1",
    )


def check_files(family: ModelFamily) -> None:
    """Check that a model read from its files is the same bit for bit."""
    frame = _frame(_rows().matrix)
    for params in family.proven_params():
        model = _trained(family, params)
        try:
            files = model_files(model)
            read = model_from_files(files, lambda _: family)
        except ModelRefused as refusal:
            raise AssertionError(
                f"{family.name}: its own files are refused: {refusal}"
            ) from refusal
        _require(
            family,
            np.array_equal(model.score(frame), read.score(frame)),
            "a model read from its files scores otherwise",
        )
        row = COLUMNS.matrix(frame.iloc[[0]])
        shares, other = (one.estimator.contributions(row)[0] for one in (model, read))
        _require(
            family,
            np.array_equal(shares, other),
            "a model read from its files explains otherwise",
        )


def check_damaged_files(family: ModelFamily) -> None:
    """Check that damaged or exchanged files are refused, and no code in them is run."""
    files = model_files(_trained(family))
    other = model_files(_trained(family, rows=_rows(5)))
    for name, data in files.items():
        if name == META:
            continue
        for what, damaged in (*_damage(data), ("that of another model", other[name])):
            if damaged != data:
                _require_refused(family, {**files, name: damaged}, f"{name}, {what},")
        _require_refused(
            family, {key: value for key, value in files.items() if key != name}, f"{name}, lost,"
        )


CHECKS: Sequence[Callable[[ModelFamily], None]] = (
    check_parameters,
    check_learning,
    check_repeatable,
    check_probabilities,
    check_columns,
    check_rounds,
    check_contributions,
    check_files,
    check_damaged_files,
)


def _require(family: ModelFamily, truth: bool | np.bool_, fault: str) -> None:
    if not truth:
        raise AssertionError(f"{family.name}: {fault}")


def _require_refused(family: ModelFamily, files: dict[str, bytes], what: str) -> None:
    _executed.clear()
    try:
        model_from_files(files, lambda _: family)
    except ModelRefused:
        pass
    except Exception as fault:
        raise AssertionError(
            f"{family.name}: {what} raises {type(fault).__name__} instead of ModelRefused"
        ) from fault
    else:
        raise AssertionError(f"{family.name}: {what} is not refused")
    _require(family, not _executed, f"{what} has run code")


_executed: list[str] = []


def note_execution(text: str) -> None:
    """Note that code in a file was run: the pickle in the damaged files calls it."""
    _executed.append(text)


def _damage(data: bytes) -> Iterator[tuple[str, bytes]]:
    for share in (10, 50, 90):
        yield f"cut to {share} %", data[: len(data) * share // 100]
    middle = len(data) // 2
    yield "with another byte", data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    yield "empty", b""
    yield "made of noise", hashlib.sha256(data).digest() * 100
    yield "made of text", b"0 " * 10_000
    yield "a pickle", f"c{__name__}\nnote_execution\n(S'run'\ntR.".encode()


def _suggest(family: ModelFamily, count: int) -> list[Params]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [family.suggest(study.ask()) for _ in range(count)]


def _rows(seed: int = 0) -> LabelledRows:
    """Return rows whose label depends on two numbers and a category, with gaps."""
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((ROWS, len(COLUMNS.names)))
    matrix[:, NUMBERS.index("constant")] = 4.0
    matrix[:, -1] = random.integers(0, len(SHIFTS), ROWS)
    risk = (
        2.0 * matrix[:, 0]
        - matrix[:, 1]
        + 1.5 * (matrix[:, -1] == 2)
        + 0.3 * random.standard_normal(ROWS)
    )
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    matrix[:, NUMBERS.index("never_known")] = np.nan
    # a family that writes into its rows would change those of the next one
    matrix.setflags(write=False)
    return LabelledRows(matrix, (risk > 1.5).astype(np.int8))


def _frame(matrix: Floats) -> pd.DataFrame:
    frame = pd.DataFrame(matrix[:, :-1], columns=list(COLUMNS.names[:-1]))
    shifts = [None if np.isnan(code) else SHIFTS[int(code)] for code in matrix[:, -1]]
    return frame.assign(**{"shift.last": pd.Categorical(shifts, categories=list(SHIFTS))})


def _hash(estimator: Estimator) -> str:
    return model_hash(estimator, Platt(1.0, 0.0), 0.5, PLAN)


def _trained(
    family: ModelFamily, params: Params | None = None, rows: LabelledRows | None = None
) -> TrainedModel:
    estimator = family.fit_final(params or family.defaults, COLUMNS, rows or _rows(), 0)
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
        hash=_hash(estimator),
    )
