"""The files that keep a trained model.

Reading them back never runs code from them: LightGBM's native text, scikit-learn through skops with a fixed list of trusted
types, everything else as JSON. Each file is checked before a library reads it, so that a made-up one costs no more than its
size.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from alerting.learning.features.encoding import Columns, Dense, Pairs
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.booster_text import check_booster
from alerting.learning.models.calibration import Platt
from alerting.learning.models.estimator import Blend, Estimator
from alerting.learning.models.metadata import FORMAT, META, EstimatorMeta, ModelMeta, read_meta
from alerting.learning.models.skops_archive import check_archive
from alerting.learning.models.trained import ModelRefused, TrainedModel, booster_text, model_hash
from alerting.readings.history import span_millis

TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]  # beyond skops' own; never what a file itself asks for
BOOSTER, SKLEARN = "model.txt", "model.skops"
MOST_TREES = 10_000
MOST_THREADS = 64


def model_files(model: TrainedModel) -> dict[str, bytes]:
    """The model as files by name; equal models give equal hashes, though skops files may differ in bytes."""
    meta = {
        "format": FORMAT,
        "definition": model.definition,
        "revision": model.revision,
        "plan": model.plan.to_document(),
        **_told(model.estimator),
        "calibration": asdict(model.calibration),
        "threshold": model.threshold,
        "training_cutoff": model.training_cutoff.isoformat(),
        "as_of": model.as_of.isoformat(),
        "horizon_ms": span_millis(model.horizon),
        "gap_ms": span_millis(model.gap),
        "usual": dict(model.usual),
        "ranges": {name: list(bounds) for name, bounds in model.ranges.items()},
        "hash": model.hash,
    }
    files = {META: json.dumps(meta, indent=1, sort_keys=True, allow_nan=False).encode()}
    return files | _fitted_files(model.estimator)


def _told(estimator: Estimator | Blend) -> dict[str, Any]:
    """What META says of an estimator, or of each member of a blend."""
    if isinstance(estimator, Blend):
        members = [_told(member) for member in estimator.members]
        return {"family": estimator.family, "weights": list(estimator.weights), "members": members}
    dense = estimator.dense.to_document() if estimator.dense else None
    return {"family": estimator.family, "dense": dense, "pairs": estimator.pairs.to_document()}


def _fitted_files(estimator: Estimator | Blend, before: str = "") -> dict[str, bytes]:
    """The fitted model as a file; those of a blend's members have their number before the name."""
    if isinstance(estimator, Blend):
        return {k: v for n, member in enumerate(estimator.members) for k, v in _fitted_files(member, f"{n}-").items()}
    if estimator.family == "lightgbm":
        return {f"{before}{BOOSTER}": booster_text(estimator.model).encode()}
    return {f"{before}{SKLEARN}": skops.io.dumps(estimator.model)}


def model_from_files(files: Mapping[str, bytes]) -> TrainedModel:
    """What `model_files` wrote, with bit-identical scores.

    Raises ModelRefused for missing or damaged files, an unknown format, types we do not trust, or a hash that does not fit.
    """
    meta = read_meta(files.get(META, b""))
    plan = FeaturePlan.from_document(meta.plan.model_dump())
    _check_columns(meta, plan)
    model = TrainedModel(
        definition=meta.definition,
        revision=meta.revision,
        family=meta.family,
        plan=plan,
        estimator=_estimator(files, meta, plan),
        calibration=Platt(meta.calibration.slope, meta.calibration.intercept),
        threshold=meta.threshold,
        training_cutoff=_utc(meta.training_cutoff),
        as_of=_utc(meta.as_of),
        horizon=timedelta(milliseconds=meta.horizon_ms),
        gap=timedelta(milliseconds=meta.gap_ms),
        usual=meta.usual,
        ranges=meta.ranges,
        hash=meta.hash,
    )
    if model_hash(model.estimator, model.calibration, model.threshold, plan) != model.hash:
        raise ModelRefused(f"the model files of {model.definition!r} do not fit their hash: they were changed or damaged")
    _check_score(model)
    return model


def _check_score(model: TrainedModel) -> None:
    """A row of which nothing is known must have a probability, so that a model that cannot score is found before it serves."""
    numbers = {name: np.full(1, np.nan) for name in model.plan.columns if name not in model.plan.levels}
    words = {name: pd.Categorical([None], categories=list(levels)) for name, levels in model.plan.levels.items()}
    score = model.score(pd.DataFrame(numbers | words))
    if score.shape != (1,) or not 0 <= score[0] <= 1:
        raise ModelRefused(f"the model files of {model.definition!r} make a model that cannot score")


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _check_columns(meta: ModelMeta, plan: FeaturePlan) -> None:
    known = set(plan.columns)
    if len(known) != len(plan.columns) or not known or not (known >= set(meta.usual) and known >= set(meta.ranges)):
        raise ModelRefused(f"{META} names columns that its plan does not have")
    for estimator in meta.estimators():
        estimator.check(plan)


def _estimator(files: Mapping[str, bytes], meta: ModelMeta, plan: FeaturePlan) -> Estimator | Blend:
    if meta.family == "blend":
        members = [_member(files, member, plan, f"{n}-") for n, member in enumerate(meta.members)]
        return Blend(tuple(members), meta.weights)
    return _member(files, meta.estimators()[0], plan, "")


def _member(files: Mapping[str, bytes], told: EstimatorMeta, plan: FeaturePlan, before: str) -> Estimator:
    dense = Dense.from_document(told.dense.model_dump()) if told.dense else None
    load = _load_booster if told.family == "lightgbm" else _load_sklearn
    columns = Columns.of(plan)
    return Estimator(told.family, load(files, told, len(columns.names), before), columns, dense, Pairs(told.pairs))


def _load_booster(files: Mapping[str, bytes], told: EstimatorMeta, columns: int, before: str) -> lightgbm.Booster:
    name = before + BOOSTER
    if name not in files:
        raise ModelRefused(f"model files without a readable {BOOSTER}; train the model again")
    text = check_booster(files[name], told.width(columns))
    try:
        return lightgbm.Booster(model_str=text)
    except (ValueError, lightgbm.basic.LightGBMError) as error:
        raise ModelRefused(f"model files without a readable {BOOSTER}; train the model again") from error


def _load_sklearn(files: Mapping[str, bytes], told: EstimatorMeta, columns: int, before: str) -> Any:
    name = before + SKLEARN
    wanted = LogisticRegression if told.family == "logistic_regression" else RandomForestClassifier
    if name not in files:
        raise ModelRefused(f"model files without a readable {SKLEARN}; train the model again")
    check_archive(files[name], SKLEARN)
    try:
        loaded = skops.io.loads(files[name], trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        raise ModelRefused(f"{SKLEARN} names types that are not trusted, and was not loaded: {error}") from error
    except Exception as error:  # a made-up file can make it fail in any way
        raise ModelRefused(f"model files without a readable {SKLEARN}; train the model again") from error
    if type(loaded) is not wanted:
        raise ModelRefused(f"{SKLEARN} holds a {type(loaded).__name__}, not the {wanted.__name__} that {META} names")
    try:
        check = _check_forest if isinstance(loaded, RandomForestClassifier) else _check_linear
        check(loaded, told.width(columns))
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise ModelRefused(f"{SKLEARN} holds a {wanted.__name__} without all of its parts") from error
    return loaded


def _check_linear(model: LogisticRegression, width: int) -> None:
    fits = model.coef_.shape == (1, width) and model.intercept_.shape == (1,) and np.array_equal(model.classes_, [0, 1])
    if not fits or not (np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()):
        raise ModelRefused(f"{SKLEARN} holds a model that is not for {width} columns")


def _check_forest(forest: RandomForestClassifier, width: int) -> None:
    trees, threads = forest.estimators_, forest.n_jobs
    if not isinstance(trees, list) or not 1 <= len(trees) <= MOST_TREES:
        raise ModelRefused(f"{SKLEARN} holds a forest without trees, or with more than {MOST_TREES}")
    if threads is not None and not (isinstance(threads, int) and -1 <= threads <= MOST_THREADS):
        raise ModelRefused(f"{SKLEARN} asks for {str(threads)[:20]} threads")
    for tree in trees:
        _check_tree(tree, forest.n_features_in_)
    if forest.n_features_in_ != width or forest.n_classes_ != 2 or forest.n_outputs_ != 1:
        raise ModelRefused(f"{SKLEARN} holds a model that is not for {width} columns")


def _check_tree(tree: Any, features: int) -> None:
    """Trees hold raw indices that scikit-learn follows without looking: a made-up file must not reach outside them."""
    if type(tree) is not DecisionTreeClassifier:
        raise ModelRefused(f"{SKLEARN} holds a {type(tree).__name__} among its trees")
    nodes = tree.tree_
    left, right, feature = nodes.children_left, nodes.children_right, nodes.feature
    own = np.arange(nodes.node_count)
    leaf = (left == -1) & (right == -1)
    inner = (left > own) & (right > own) & (left < nodes.node_count) & (right < nodes.node_count)
    if not (np.all(leaf | inner) and np.all(leaf | ((feature >= 0) & (feature < features)))):
        raise ModelRefused(f"{SKLEARN} holds a tree whose nodes point outside of it")
    if tree.n_features_in_ != features or nodes.value.shape != (nodes.node_count, 1, 2) or nodes.node_count < 1:
        raise ModelRefused(f"{SKLEARN} holds a tree that is not for {features} columns")
    if not np.isfinite(nodes.value).all():
        raise ModelRefused(f"{SKLEARN} holds a tree with leaves that are no numbers")
