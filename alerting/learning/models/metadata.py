"""The closed schema of `model.json`, with a limit on every number, so that no entry can use up memory or time."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import ModelRefused

META = "model.json"
FORMAT = 4
MOST_BYTES = 16 << 20
MOST_COLUMNS = 200_000
_FIRST_YEAR, _LAST_YEAR = 1970, 2200  # with a margin on both sides of the range of nanoseconds
_TEN_YEARS = 3660 * 86_400_000

Name = Annotated[str, Field(min_length=1, max_length=1000)]
Length = Annotated[int, Field(ge=0, le=_TEN_YEARS)]
Position = Annotated[int, Field(ge=0, lt=MOST_COLUMNS)]
Numbers = Annotated[tuple[float, ...], Field(max_length=4 * MOST_COLUMNS)]
Positions = Annotated[tuple[Position, ...], Field(max_length=MOST_COLUMNS)]
Names = Annotated[tuple[Name, ...], Field(max_length=20_000)]
Family = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,99}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}\.[a-z]{1,10}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NumberMeta(_Closed):
    """A variable that is a number."""

    name: Name
    sampling_ms: Length | None


class CategoryMeta(_Closed):
    """A text variable, with its levels."""

    name: Name
    levels: Annotated[tuple[str, ...], Field(max_length=100_000)]


class CarryForwardMeta(_Closed):
    """A variable that is carried forward for a time of its own."""

    name: Name
    span_ms: Length


class PlanMeta(_Closed):
    """A feature plan."""

    stride_ms: Annotated[Length, Field(ge=1)]
    windows_ms: Annotated[tuple[Annotated[Length, Field(ge=1)], ...], Field(min_length=1, max_length=100)]
    aggregations: Annotated[tuple[Name, ...], Field(max_length=50)]
    numbers: Annotated[tuple[NumberMeta, ...], Field(max_length=20_000)]
    categories: Annotated[tuple[CategoryMeta, ...], Field(max_length=20_000)]
    events: Names
    number_attributes: Names
    category_attributes: Annotated[tuple[CategoryMeta, ...], Field(max_length=20_000)]
    delay_ms: Length
    lags_ms: Annotated[tuple[Length, ...], Field(max_length=100)] = ()
    carried_forward: Annotated[tuple[CarryForwardMeta, ...], Field(max_length=20_000)] = ()

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        most = len(self.numbers) * (len(self.aggregations) * len(self.windows_ms) + len(self.lags_ms))
        most += len(self.events) * (len(self.windows_ms) + 1)
        if most > MOST_COLUMNS:
            raise ValueError(f"it makes more than {MOST_COLUMNS} columns")
        if list(self.windows_ms) != sorted(set(self.windows_ms)):
            raise ValueError("windows must increase")
        return self


class DenseMeta(_Closed):
    """Filling, flagging, expansion and scaling of columns."""

    numbers: Positions
    medians: Numbers
    flagged: Positions
    categories: Annotated[tuple[tuple[Position, Annotated[int, Field(ge=0, le=100_000)]], ...], Field(max_length=20_000)]
    mean: Numbers
    scale: Numbers

    @property
    def width(self) -> int:
        """Return the number of encoded columns."""
        return len(self.numbers) + len(self.flagged) + sum(count for _, count in self.categories)

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.width > 4 * MOST_COLUMNS or len(self.medians) != len(self.numbers):
            raise ValueError("numbers and medians do not fit")
        if not len(self.mean) == len(self.scale) == (self.width if self.scale else 0):
            raise ValueError(f"mean and scale are not {self.width}")
        if any(scale <= 0 for scale in self.scale):
            raise ValueError("scale must be above 0")
        return self


class EstimatorMeta(_Closed):
    """An estimator, and the names of its fitted files in the order in which its family reads them."""

    family: Family
    dense: DenseMeta | None
    pairs: Annotated[tuple[tuple[Position, Position], ...], Field(max_length=10_000)]
    columns: Annotated[Positions, Field(min_length=1)] | None
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

    def check(self, plan: FeaturePlan) -> None:
        """Check the column positions. Raises ModelRefused if one lies outside of the plan's columns."""
        dense, read = self.dense, range(len(plan.columns)) if self.columns is None else self.columns
        named = [*(p for pair in self.pairs for p in pair), *(dense.numbers if dense else ()), *(dense.flagged if dense else ())]
        if list(read) != sorted(set(read)) or read[-1] >= len(plan.columns):
            raise ModelRefused(f"{META} names columns that its plan does not have")
        names = [plan.columns[position] for position in read]
        levels = {i: len(plan.levels[name]) for i, name in enumerate(names) if name in plan.levels}
        fits = all(position < len(names) and position not in levels for position in named)
        if not fits or (dense and any(levels.get(position) != count for position, count in dense.categories)):
            raise ModelRefused(f"{META} names columns that its plan does not have")


class CalibrationMeta(_Closed):
    """Platt's two numbers."""

    slope: float
    intercept: float


class ModelMeta(_Closed):
    """All of `model.json`. Several `members` are a blend; `weights` are theirs."""

    format: Literal[4]
    definition: Name
    revision: Annotated[int, Field(ge=0, le=10**9)]
    plan: PlanMeta
    weights: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=16)]
    members: Annotated[tuple[EstimatorMeta, ...], Field(min_length=1, max_length=16)]
    calibration: CalibrationMeta
    threshold: float
    params: dict[Name, JsonValue]
    training_cutoff: AwareDatetime
    as_of: AwareDatetime
    horizon_ms: Length
    gap_ms: Length
    usual: Annotated[dict[Name, float | str | None], Field(max_length=MOST_COLUMNS)]
    ranges: Annotated[dict[Name, tuple[float, float]], Field(max_length=MOST_COLUMNS)]
    usual_ranges: Annotated[dict[Name, tuple[float, float]], Field(max_length=MOST_COLUMNS)] = {}
    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    @field_validator("training_cutoff", "as_of")
    @classmethod
    def _check_instant(cls, value: datetime) -> datetime:
        if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
            raise ValueError(f"years are {_FIRST_YEAR} to {_LAST_YEAR}")
        return value

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if len(self.members) != len(self.weights) or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError("each member needs one weight, and the weights add up to 1")
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
        raise ModelRefused(f"model files without a readable {META}: {_message(refusal)}; train the model again") from refusal


def _message(refusal: ValidationError) -> str:
    faults = refusal.errors(include_url=False, include_context=False, include_input=False)
    if any(fault["loc"] == ("format",) for fault in faults):
        return f"it is of another format; this version reads format {FORMAT}"
    shown = [f"{'.'.join(map(str, fault['loc'])) or META}: {fault['msg']}"[:200] for fault in faults[:3]]
    more = f" and {len(faults) - 3} more" if len(faults) > len(shown) else ""
    return "; ".join(shown) + more
