"""The files of a trained model, and of its refit under names that begin with REFIT.

Whoever reads them has compared their hashes before. Reading never runs code from them:
`model.json` is checked against a closed model.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, timedelta
from importlib.metadata import version
from itertools import chain
from typing import Any, Protocol

import numpy as np

from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import ColumnPairs, Columns, Encoding
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.set_point_effects import effects_from
from alerting.learning.models.estimator import Estimator, FittedModel, blend_of
from alerting.learning.models.families.registry import get_family
from alerting.learning.models.metadata import FORMAT, META, EstimatorMeta, ModelMeta, read_meta
from alerting.learning.models.normal import NormalSample
from alerting.learning.models.trained import ModelRefused, TrainedModel, model_hash
from alerting.readings.history import duration_millis

REFIT = "refit-"


class FamilyReader(Protocol):
    """The part of a family that reads its fitted models (`ModelFamily`)."""

    def load(self, files: Mapping[str, bytes], width: int) -> FittedModel: ...

    def fitted_bytes(self, model: Any, files: Mapping[str, bytes]) -> Iterable[bytes]: ...


_AS_THEY_ARE = (
    "definition",
    "revision",
    "threshold",
    "params",
    "usual",
    "ranges",
    "usual_ranges",
    "hash",
    "has_alarm",
)
# of a refit the same as its twin's
_OF_TWIN = ("definition", "plan", "calibration", "threshold", "horizon", "gap", "has_alarm")


def model_files(model: TrainedModel) -> dict[str, bytes]:
    """Return model and refit as files by name; equal models give equal hashes."""
    meta = {
        **{name: getattr(model, name) for name in _AS_THEY_ARE},
        "format": FORMAT,
        "plan": model.plan.to_document(),
        "weights": list(model.estimator.weights),
        "members": [
            {
                "family": member.family,
                **member.encoding.to_document(),
                "files": list(member.model.files()),
            }
            for member in model.estimator.members
        ],
        "calibration": asdict(model.calibration),
        "training_cutoff": model.training_cutoff.isoformat(),
        "as_of": model.as_of.isoformat(),
        "horizon_ms": duration_millis(model.horizon),
        "gap_ms": duration_millis(model.gap),
        "normal": None if model.normal is None else _normal_document(model.normal),
        "effects": None if model.effects is None else asdict(model.effects),
    }
    files = {META: json.dumps(meta, indent=1, sort_keys=True, allow_nan=False).encode()}
    for prefix, member in zip(
        _prefixes(len(model.estimator.members)), model.estimator.members, strict=True
    ):
        files |= {prefix + name: data for name, data in member.model.files().items()}
    refit = {} if model.refit is None else model_files(model.refit)
    return files | {REFIT + name: data for name, data in refit.items()}


def _normal_document(normal: NormalSample) -> dict[str, object]:
    lists = {"rows": normal.rows.tolist(), "distances": normal.distances.tolist()}
    return {"columns": normal.columns, "centre": normal.centre, "scale": normal.scale, **lists}


def requirements_file(model: TrainedModel) -> dict[str, bytes]:
    """Return the file with the installed versions of the libraries that score the model."""
    families = [get_family(member.family) for member in model.estimator.members]
    packages = sorted(
        {"numpy", "pandas", *(package for family in families for package in family.packages)}
    )
    return {
        "requirements.txt": "".join(
            f"{package}=={version(package)}\n" for package in packages
        ).encode()
    }


def _prefixes(members: int) -> list[str]:
    """Return how each member's files begin: its number in a blend, else nothing."""
    return [""] if members == 1 else [f"{number}-" for number in range(members)]


def model_from_files(
    files: Mapping[str, bytes], family_of: Callable[[str], FamilyReader] = get_family
) -> TrainedModel:
    """Read the model that `model_files` wrote, with its refit. `family_of`: by name.

    Raises ModelRefused if files are missing or damaged, the format is unknown, a type is not
    trusted, a hash does not match, or the refit has another plan, calibration, threshold, horizon
    or gap than its twin.
    """
    model = _read_model(files, family_of)
    of_refit = {
        name.removeprefix(REFIT): data for name, data in files.items() if name.startswith(REFIT)
    }
    if not of_refit:
        return model
    refit = _read_model(of_refit, family_of)
    if any(getattr(refit, name) != getattr(model, name) for name in _OF_TWIN):
        raise ModelRefused(
            f"the refit of {model.definition!r} does not fit its twin: the files were changed or "
            "mixed up"
        )
    return replace(model, refit=refit)


def _read_model(
    files: Mapping[str, bytes], family_of: Callable[[str], FamilyReader]
) -> TrainedModel:
    meta = read_meta(files.get(META, b""))
    plan = meta.plan
    _check_columns(meta, plan)
    prefixes = _prefixes(len(meta.members))
    read = [
        _read_member(files, m, plan, prefix, family_of)
        for m, prefix in zip(meta.members, prefixes, strict=True)
    ]
    model = TrainedModel(
        **{name: getattr(meta, name) for name in _AS_THEY_ARE},
        plan=plan,
        estimator=blend_of([member for member, _ in read], meta.weights),
        calibration=meta.calibration,
        training_cutoff=meta.training_cutoff.astimezone(UTC),
        as_of=meta.as_of.astimezone(UTC),
        horizon=timedelta(milliseconds=meta.horizon_ms),
        gap=timedelta(milliseconds=meta.gap_ms),
        normal=None
        if meta.normal is None
        else NormalSample(
            meta.normal.columns,
            meta.normal.centre,
            meta.normal.scale,
            np.array(meta.normal.rows, np.float64),
            np.array(meta.normal.distances, np.float64),
        ),
        effects=effects_from(None if meta.effects is None else meta.effects.model_dump()),
    )
    fitted = chain.from_iterable(values for _, values in read)
    settings = (model.estimator, model.calibration, model.threshold, plan)
    if model_hash(*settings, fitted, model.has_alarm) != model.hash:
        raise ModelRefused(
            f"the model files of {model.definition!r} do not fit their hash: they were changed or "
            "damaged"
        )
    return model


def _check_columns(meta: ModelMeta, plan: FeaturePlan) -> None:
    columns_known = set(plan.columns)
    if (
        len(columns_known) != len(plan.columns)
        or not columns_known
        or not columns_known
        >= {
            *meta.usual,
            *meta.ranges,
            *meta.usual_ranges,
            *(meta.normal.columns if meta.normal else ()),
        }
    ):
        raise ModelRefused(f"{META} names columns that its plan does not have")
    for member in meta.members:
        member.check(plan)


def _read_member(
    files: Mapping[str, bytes],
    meta: EstimatorMeta,
    plan: FeaturePlan,
    prefix: str,
    family_of: Callable[[str], FamilyReader],
) -> tuple[Estimator, Iterable[bytes]]:
    lost = next((name for name in meta.files if prefix + name not in files), None)
    if lost is not None:
        raise ModelRefused(f"model files without a readable {prefix + lost}; train the model again")
    try:
        family = family_of(meta.family)
    except UserError as unknown:
        raise ModelRefused(
            f"{META} names a family that cannot be used here: {unknown}"
        ) from unknown
    columns = Columns.from_plan(plan)
    own = {name: files[prefix + name] for name in meta.files}
    model = family.load(own, meta.width(len(columns.names)))
    estimator = Estimator(
        meta.family, model, columns, Encoding(meta.dense, ColumnPairs(meta.pairs), meta.columns)
    )
    return estimator, family.fitted_bytes(model, own)
