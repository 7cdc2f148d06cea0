"""The files of a trained model, and of its refit under names that begin with REFIT.

Their hashes are compared before they are read. Reading never runs code from them:
`model.json` is checked against a closed model.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from alerting.deferred import pd
from alerting.definitions.asset_documents import VariableName
from alerting.definitions.faults import UserError
from alerting.definitions.fields.modes import MOST_MODES
from alerting.learning.features.column_pairs import ColumnPairs
from alerting.learning.features.plan import (
    MOST_COLUMNS,
    STORED,
    ColumnPositions,
    Columns,
    Dense,
    Encoding,
    FeaturePlan,
    Length,
    Name,
    Position,
)
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.learning.models.families.contract import Learner, get_family
from alerting.learning.models.life_model import LifeLevels, LifeModel, hazard_columns, with_life
from alerting.learning.models.mode_model import ModeModel, with_modes
from alerting.learning.models.trained import (
    MOST_NORMAL_ROWS,
    MOST_NORMAL_VALUES,
    NEAREST,
    Estimator,
    ModelRefused,
    NormalSample,
    Platt,
    TrainedModel,
    model_hash,
)
from alerting.readings.history import duration_millis

META = "model.json"
FORMAT = 4
MOST_BYTES = 16 << 20
# Years that a file may name: well within the range of nanoseconds.
_FIRST_YEAR = 1970
_LAST_YEAR = 2200

Row = Annotated[tuple[float, ...], Field(max_length=MOST_NORMAL_VALUES)]
Family = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,99}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}\.[a-z]{1,10}$")]
_LIFE = "life-"
REFIT = "refit-"
# What stands before the names that a family gives its files.
PREFIX = re.compile(r"^(?:life(?:-\d+)?|mode-\d+)-")
Share = Annotated[float, Field(ge=0, le=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(**STORED, frozen=True)


def _check_plan(plan: FeaturePlan) -> FeaturePlan:
    most = len(plan.numbers) * (len(plan.aggregations) * len(plan.windows_ms) + len(plan.lags_ms))
    most += sum(len(number.spans_ms) for number in plan.lagged) * len(plan.numbers)
    most += len(plan.events) * (len(plan.windows_ms) + 1)
    if most > MOST_COLUMNS:
        raise ValueError(f"it makes more than {MOST_COLUMNS} columns")
    if list(plan.windows_ms) != sorted(set(plan.windows_ms)):
        raise ValueError("windows must increase")
    return plan


def _check_dense(dense: Dense) -> Dense:
    if dense.width > 4 * MOST_COLUMNS or len(dense.medians) != len(dense.numbers):
        raise ValueError("numbers and medians do not fit")
    if not len(dense.mean) == len(dense.scale) == (dense.width if dense.scale else 0):
        raise ValueError(f"mean and scale are not {dense.width}")
    if any(scale <= 0 for scale in dense.scale):
        raise ValueError("scale must be above 0")
    return dense


class EstimatorMeta(_Closed):
    """An estimator, and its files in the order in which its family reads them."""

    family: Family
    dense: Annotated[Dense, AfterValidator(_check_dense)] | None
    pairs: Annotated[tuple[tuple[Position, Position], ...], Field(max_length=10_000)]
    columns: Annotated[ColumnPositions, Field(min_length=1)] | None
    files: Annotated[tuple[FileName, ...], Field(min_length=1, max_length=16)]

    @field_validator("files")
    @classmethod
    def _check_files(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a file is named twice")
        return value

    def width(self, columns: int) -> int:
        """Return the number of columns that the fitted model sees."""
        read = columns if self.columns is None else len(self.columns)
        return (read if self.dense is None else self.dense.width) + 2 * len(self.pairs)

    def check(self, columns: Sequence[str], levels_of: Mapping[str, Sequence[str]]) -> None:
        """Check column positions. Raises ModelRefused if one is outside of the columns."""
        dense = self.dense
        read = range(len(columns)) if self.columns is None else self.columns
        named = [
            *(p for pair in self.pairs for p in pair),
            *(dense.numbers if dense else ()),
            *(dense.flagged if dense else ()),
        ]
        if list(read) != sorted(set(read)) or read[-1] >= len(columns):
            raise ModelRefused(f"{META} names columns that its plan does not have")
        names = [columns[position] for position in read]
        levels = {i: len(levels_of[name]) for i, name in enumerate(names) if name in levels_of}
        fits = all(position < len(names) and position not in levels for position in named)
        if not fits or (
            dense and any(levels.get(position) != count for position, count in dense.categories)
        ):
            raise ModelRefused(f"{META} names columns that its plan does not have")


class NormalMeta(_Closed):
    """A sample of normal rows."""

    columns: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    centre: Row
    scale: Row
    rows: Annotated[
        tuple[Annotated[tuple[float | None, ...], Field(max_length=MOST_NORMAL_VALUES)], ...],
        Field(min_length=NEAREST + 1, max_length=MOST_NORMAL_ROWS),
    ]
    distances: Annotated[Row, Field(min_length=1)]
    asset: ColumnPositions = ()  # not stored: not known

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        width = len(self.columns)
        if len(self.distances) != len(self.rows) or list(self.distances) != sorted(self.distances):
            raise ValueError("distances must increase, one for each row")
        if (
            any(len(part) != width for part in (self.centre, self.scale, *self.rows))
            or len(self.asset) not in (0, len(self.rows))
            or width * len(self.rows) > MOST_NORMAL_VALUES
        ):
            raise ValueError(
                "centre, scale, rows and asset do not fit the columns, or are too large"
            )
        if any(scale <= 0 for scale in self.scale):
            raise ValueError("scale must be above 0")
        return self


class ModeMeta(_Closed):
    """The model of one mode."""

    name: VariableName
    condition: str
    rate: Annotated[float, Field(gt=0, le=1)]
    estimator: EstimatorMeta | None


class LifeMeta(_Closed):
    """The model of the remaining life."""

    estimators: Annotated[tuple[EstimatorMeta, ...], Field(max_length=2)] = ()
    estimator: EstimatorMeta | None = None  # of a model that was stored with one family
    edges_ms: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=2, max_length=100)
    ]
    levels: tuple[Share, Share, Share, Share | None]
    ageless: tuple[Share, Share, Share, Share | None] | None = None  # not stored: as `levels`
    replaced_every_ms: Length


class ModelMeta(_Closed):
    """All of `model.json`. A model has one of `members`."""

    format: Literal[4]
    definition: Name
    revision: Annotated[int, Field(ge=0, le=10**9)]
    plan: Annotated[FeaturePlan, AfterValidator(_check_plan)]
    weights: tuple[Literal[1]]
    members: tuple[EstimatorMeta]
    calibration: Platt
    threshold: float
    params: dict[Name, JsonValue]
    training_cutoff: AwareDatetime
    as_of: AwareDatetime
    horizon_ms: Length
    gap_ms: Length
    usual: Annotated[dict[Name, float | str | None], Field(max_length=MOST_COLUMNS)]
    ranges: Annotated[dict[Name, tuple[float, float]], Field(max_length=MOST_COLUMNS)]
    usual_ranges: Annotated[dict[Name, tuple[float, float]], Field(max_length=MOST_COLUMNS)]
    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    normal: NormalMeta | None = None
    effects: SetPointEffects | None = None
    has_alarm: bool = True
    modes: Annotated[tuple[ModeMeta, ...], Field(max_length=MOST_MODES)] = ()
    life: LifeMeta | None = None

    @field_validator("training_cutoff", "as_of")
    @classmethod
    def _check_instant(cls, value: datetime) -> datetime:
        if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
            raise ValueError(f"years are {_FIRST_YEAR} to {_LAST_YEAR}")
        return value

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if any(low > high for low, high in (*self.ranges.values(), *self.usual_ranges.values())):
            raise ValueError("a range ends before it begins")
        return self


def read_meta(data: bytes) -> ModelMeta:
    """Read a `model.json`. Raises ModelRefused with every fault of it."""
    if len(data) > MOST_BYTES:
        raise ModelRefused(f"{META} is larger than {MOST_BYTES >> 20} MiB; train the model again")
    try:
        return ModelMeta.model_validate_json(data)
    except ValidationError as refusal:
        raise ModelRefused(
            f"model files without a readable {META}: {_message(refusal)}; train the model again"
        ) from refusal


def _message(refusal: ValidationError) -> str:
    faults = refusal.errors(include_url=False, include_context=False, include_input=False)
    if any(fault["loc"] == ("format",) for fault in faults):
        return f"it is of another format; this version reads format {FORMAT}"
    shown = [
        f"{'.'.join(map(str, fault['loc'])) or META}: {fault['msg']}"[:200] for fault in faults[:3]
    ]
    return "; ".join(shown) + (f" and {len(faults) - 3} more" if len(faults) > len(shown) else "")


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
# What a refit has in common with its twin.
_OF_TWIN = ("definition", "plan", "calibration", "threshold", "horizon", "gap", "has_alarm")


def model_files(model: TrainedModel) -> dict[str, bytes]:
    """Return model and refit as files by name; equal models give equal hashes."""
    fitted = model.estimator.model.files()
    meta: dict[str, Any] = {
        **{name: getattr(model, name) for name in _AS_THEY_ARE},
        "format": FORMAT,
        "plan": model.plan.to_document(),
        "weights": [1.0],
        "members": [_member_document(model.estimator, fitted)],
        "calibration": asdict(model.calibration),
        "training_cutoff": model.training_cutoff.isoformat(),
        "as_of": model.as_of.isoformat(),
        "horizon_ms": duration_millis(model.horizon),
        "gap_ms": duration_millis(model.gap),
        "normal": None
        if (normal := model.normal) is None
        else {
            **{name: getattr(normal, name) for name in ("columns", "centre", "scale")},
            "rows": np.where(np.isnan(normal.rows), np.array(None), normal.rows).tolist(),
            **{name: getattr(normal, name).tolist() for name in ("distances", "asset")},
        },
        "effects": None if model.effects is None else asdict(model.effects),
    }
    beside: dict[str, bytes] = {}

    def document(estimator: Estimator | None, prefix: str) -> dict[str, Any] | None:
        """Return the document of an estimator, whose files are added under names of this prefix."""
        if estimator is None:
            return None
        files = {prefix + name: data for name, data in estimator.model.files().items()}
        beside.update(files)
        return _member_document(estimator, files)

    if model.modes:
        meta["modes"] = [
            {
                **{name: getattr(mode, name) for name in ("name", "condition", "rate")},
                "estimator": document(mode.estimator, f"mode-{number}-"),
            }
            for number, mode in enumerate(model.modes)
        ]
    if (life := model.life) is not None:
        names = ("edges_ms", "levels", "ageless", "replaced_every_ms")
        stated = {name: getattr(life, name) for name in names}
        fitted_lives = [document(e, f"{_LIFE}{n}-") for n, e in enumerate(life.estimators)]
        meta["life"] = {**stated, "estimators": fitted_lives}
    files = {META: json.dumps(meta, indent=1, sort_keys=True, allow_nan=False).encode()}
    refit = {} if model.refit is None else model_files(model.refit)
    return files | fitted | beside | {REFIT + name: data for name, data in refit.items()}


def estimates_life(files: Iterable[str]) -> bool:
    """Return whether the model in files of these names, or its refit if it has one, tells a
    remaining life."""
    names = [*files]
    served = REFIT if any(name.startswith(REFIT) for name in names) else ""
    return any(name.startswith(f"{served}{_LIFE}") for name in names)


def _member_document(estimator: Estimator, files: Iterable[str]) -> dict[str, Any]:
    return {"family": estimator.family, **estimator.encoding.to_document(), "files": list(files)}


def requirements_file(model: TrainedModel) -> dict[str, bytes]:
    """Return the file with the installed versions of the libraries that score the model."""
    of_life = model.life.estimators if model.life else ()
    beside = [*(mode.estimator for mode in model.modes), *of_life]
    families = {model.family, *(estimator.family for estimator in beside if estimator)}
    needed = (package for family in families for package in get_family(family).packages)
    return {
        "requirements.txt": "".join(
            f"{package}=={version(package)}\n" for package in sorted({"numpy", "pandas", *needed})
        ).encode()
    }


EXAMPLE = "input_example.json"
SERVED_EXAMPLE = "serving_input_example.json"


def example_files(rows: "pd.DataFrame", columns: Iterable[str]) -> dict[str, bytes]:
    """Return the last of some rows of features as MLflow reads and as it serves an example; columns
    without a value are empty."""
    split = rows.tail(1).reindex(columns=list(columns)).to_json(orient="split", index=False)
    return {EXAMPLE: split.encode(), SERVED_EXAMPLE: f'{{"dataframe_split": {split}}}'.encode()}


def model_from_files(
    files: Mapping[str, bytes], family_of: Callable[[str], Learner] = get_family
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


def _read_model(files: Mapping[str, bytes], family_of: Callable[[str], Learner]) -> TrainedModel:
    meta = read_meta(files.get(META, b""))
    plan = meta.plan
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
    columns = Columns.from_plan(plan)
    read = partial(_read_member, files, family_of)
    estimator = read(meta.members[0], columns)
    model = TrainedModel(
        **{name: getattr(meta, name) for name in _AS_THEY_ARE},
        plan=plan,
        estimator=estimator,
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
            np.array(meta.normal.asset or (0,) * len(meta.normal.rows)),
        ),
        effects=meta.effects,
    )
    hash = model_hash(estimator, model.calibration, model.threshold, plan, model.has_alarm)
    model = replace(model, hash=hash)
    if (life := meta.life) is not None:
        of_hazards = hazard_columns(plan, len(life.edges_ms))
        stored = life.estimators or (life.estimator,)
        of_life = tuple(read(estimator, of_hazards) for estimator in stored if estimator)
        levels = LifeLevels(*life.levels), LifeLevels(*(life.ageless or life.levels))
        model = with_life(model, LifeModel(of_life, life.edges_ms, *levels, life.replaced_every_ms))
    modes = (
        ModeModel(
            mode.name,
            mode.condition,
            mode.rate,
            None if mode.estimator is None else read(mode.estimator, columns),
        )
        for mode in meta.modes
    )
    model = with_modes(model, tuple(modes))
    if model.hash != meta.hash:
        raise ModelRefused(
            f"the model files of {model.definition!r} do not fit their hash: they were changed or "
            "damaged"
        )
    return model


def _read_member(
    files: Mapping[str, bytes],
    family_of: Callable[[str], Learner],
    meta: EstimatorMeta,
    columns: Columns,
) -> Estimator:
    meta.check(columns.names, columns.levels)
    lost = next((name for name in meta.files if name not in files), None)
    if lost is not None:
        raise ModelRefused(f"model files without a readable {lost}; train the model again")
    try:
        family = family_of(meta.family)
    except UserError as unknown:
        raise ModelRefused(
            f"{META} names a family that cannot be used here: {unknown}"
        ) from unknown
    member_files = {PREFIX.sub("", name): files[name] for name in meta.files}
    model = family.load(member_files, meta.width(len(columns.names)))
    encoding = Encoding(meta.dense, ColumnPairs(meta.pairs), meta.columns)
    return Estimator(meta.family, model, columns, encoding)
