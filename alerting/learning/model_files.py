"""The files that keep a trained model.

Reading them back never runs code from them: LightGBM's native text, scikit-learn through skops with a fixed list of trusted
types, everything else as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, get_args
from zipfile import BadZipFile

import lightgbm
import numpy as np
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from alerting.definitions.model import Family
from alerting.learning.calibration import Platt
from alerting.learning.encoding import Columns, Dense, Pairs
from alerting.learning.estimator import Blend, Estimator
from alerting.learning.plan import FeaturePlan
from alerting.learning.trained import ModelRefused, TrainedModel, booster_text, model_hash
from alerting.readings.history import span_millis

FORMAT = 1
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]  # beyond skops' own; never what a file itself asks for
META, BOOSTER, SKLEARN = "model.json", "model.txt", "model.skops"


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
        "seen_until": model.seen_until.isoformat(),
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
    meta = _read_meta(files)
    plan = FeaturePlan.from_document(meta["plan"])
    model = TrainedModel(
        definition=meta["definition"],
        revision=meta["revision"],
        family=meta["family"],
        plan=plan,
        estimator=_estimator(files, meta, Columns.of(plan)),
        calibration=Platt(**meta["calibration"]),
        threshold=meta["threshold"],
        seen_until=datetime.fromisoformat(meta["seen_until"]),
        as_of=datetime.fromisoformat(meta["as_of"]),
        horizon=timedelta(milliseconds=meta["horizon_ms"]),
        gap=timedelta(milliseconds=meta["gap_ms"]),
        usual=meta["usual"],
        ranges={name: (low, high) for name, (low, high) in meta["ranges"].items()},
        hash=meta["hash"],
    )
    if model_hash(model.estimator, model.calibration, model.threshold, plan) != model.hash:
        raise ModelRefused(f"the model files of {model.definition!r} do not fit their hash: they were changed or damaged")
    return model


def _estimator(files: Mapping[str, bytes], told: Mapping[str, Any], columns: Columns) -> Estimator | Blend:
    if told["family"] == "blend":
        members = [_member(files, member, columns, f"{n}-") for n, member in enumerate(told["members"])]
        return Blend(tuple(members), tuple(told["weights"]))
    return _member(files, told, columns, "")


def _member(files: Mapping[str, bytes], told: Mapping[str, Any], columns: Columns, before: str) -> Estimator:
    family: Family = told["family"]
    dense = Dense.from_document(told["dense"]) if told["dense"] else None
    loaded = _load_booster(files, before) if family == "lightgbm" else _load_sklearn(files, family, before)
    return Estimator(family, loaded, columns, dense, Pairs.from_document(told.get("pairs", [])))


def _read_meta(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads(files[META])
    except (KeyError, ValueError) as error:
        raise ModelRefused(f"model files without a readable {META}; train the model again") from error
    families = {meta.get("family"), *(member.get("family") for member in meta.get("members", ()))} - {"blend"}
    if meta.get("format") != FORMAT or not families or not families <= set(get_args(Family)):
        raise ModelRefused(
            f"model files of format {meta.get('format')!r} and family {meta.get('family')!r}; this version reads format {FORMAT}"
        )
    return meta


def _load_booster(files: Mapping[str, bytes], before: str) -> lightgbm.Booster:
    try:
        return lightgbm.Booster(model_str=files[before + BOOSTER].decode())
    except (KeyError, ValueError, lightgbm.basic.LightGBMError) as error:
        raise ModelRefused(f"model files without a readable {BOOSTER}; train the model again") from error


def _load_sklearn(files: Mapping[str, bytes], family: Family, before: str) -> Any:
    wanted = LogisticRegression if family == "logistic_regression" else RandomForestClassifier
    try:
        loaded = skops.io.loads(files[before + SKLEARN], trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        raise ModelRefused(f"{SKLEARN} names types that are not trusted, and was not loaded: {error}") from error
    except (KeyError, ValueError, TypeError, BadZipFile) as error:
        raise ModelRefused(f"model files without a readable {SKLEARN}; train the model again") from error
    if type(loaded) is not wanted:
        raise ModelRefused(f"{SKLEARN} holds a {type(loaded).__name__}, not the {wanted.__name__} that {META} names")
    if isinstance(loaded, RandomForestClassifier):
        for tree in loaded.estimators_:
            _check_tree(tree, loaded.n_features_in_)
    return loaded


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
