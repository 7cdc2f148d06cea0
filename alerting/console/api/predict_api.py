"""REST API, version 1: scores on request."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id, Instant, NameText
from alerting.console.api.plant_times import with_plant_times
from alerting.console.api.predictor import Predictor
from alerting.console.api.views import View
from alerting.definitions.faults import NotFound
from alerting.episodes.episode import Contribution

MOST_ROWS = 20_000
router = APIRouter(prefix="/api/v1")


class SentRow(BaseModel):
    """The readings of one instant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ts: str | float = Field(
        description="Time stamp: ISO 8601, or seconds or milliseconds since 1970."
    )
    values: dict[str, float | str | bool | None] = Field(description="Values by variable.")
    quality: str | dict[str, str] | None = Field(
        None, description="Quality of all samples, or by variable; good when left out."
    )


class PredictBody(BaseModel):
    """A question about one asset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asset: NameText = Field(description="Name of the asset.")
    at: Instant | None = Field(
        None,
        description="Score the last instant that is evaluated up to here. When left out: up to now "
        "less the latency, or to the "
        "last of `rows`.",
    )
    rows: list[SentRow] | None = Field(
        None,
        min_length=1,
        max_length=MOST_ROWS,
        description=(
            "Raw readings to score instead of the stored ones, as far back as the features look."
        ),
    )


class PredictedView(View):
    """A value predicted at a time ahead; 90 % of its distribution lie between `low` and `high`."""

    lead: timedelta
    low: float
    median: float
    high: float


class PredictionView(View):
    """A score, or why it is unknown."""

    definition: str
    revision: int | None = Field(description="The revision that answers.")
    model_version: int | None = Field(
        description="The version of its model; null where no model is in service."
    )
    asset: str
    at: datetime | None = Field(description="The instant that was scored.")
    score: float | None = Field(
        description="As live evaluation computes it for this instant; null where it is unknown."
    )
    threshold: float | None
    would_raise: bool | None = Field(
        description=(
            "Whether the score reaches the threshold. An alert also needs the on-delay, and that "
            "none is open."
        )
    )
    unknown: str | None = Field(description="Why there is no score.")
    contributions: tuple[Contribution, ...] = Field(
        description="The largest first; the same numbers as of an episode."
    )
    forecast: tuple[PredictedView, ...] = Field(
        description="Predicted values, of kind forecast only."
    )


async def _predictor(request: Request) -> Predictor:
    found: Predictor = request.app.state.predictor
    return found


Predicting = Annotated[Predictor, Depends(_predictor)]


@router.post("/definitions/{name}/predict", tags=["predictions"], operation_id="predict")
async def predict_one(
    name: Id, body: PredictBody, platform: Served, _: Viewer, predictor: Predicting
) -> PredictionView:
    """Score an asset at one instant: of the stored readings, or of raw readings that are sent.
    Stores nothing. Role: viewer."""
    return await predictor.run(lambda: _predict(platform, predictor, name, body))


def require_definition(platform: Platform, name: str) -> None:
    """Raise NotFound if there is no definition of this name."""
    if platform.definitions.newest_revision(name) is None:
        raise NotFound(f"there is no definition {name!r}")


def _predict(
    platform: Platform, predictor: Predictor, name: str, body: PredictBody
) -> PredictionView:
    from alerting.usecases.scoring.predict import predict
    from alerting.usecases.scoring.sent import sent_readings

    given = None
    if body.rows is not None:
        given = sent_readings(
            platform, body.asset, [row.model_dump(exclude_none=True) for row in body.rows]
        )
    found = predict(platform, predictor, name, body.asset, body.at, given)
    return PredictionView.model_validate(with_plant_times(found, platform.zone))
