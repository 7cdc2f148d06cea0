"""REST API, version 1: scores on request."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id, Instant, NameText
from alerting.console.api.plant_times import plant_times, with_plant_times
from alerting.console.api.predictor import NotLoaded, Predictor
from alerting.console.api.views import View
from alerting.definitions.faults import NotFound, UserError
from alerting.episodes.episode import Contribution
from alerting.usecases.scoring.question import PredictQuestion

if TYPE_CHECKING:
    from alerting.usecases.scoring.predict import Prediction

MOST_ROWS = 20_000
MOST_ASSETS = 100
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


class PredictBatchBody(BaseModel):
    """A question about several assets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    assets: list[NameText] = Field(
        min_length=1, max_length=MOST_ASSETS, description="Names of the assets."
    )
    at: Instant | None = Field(
        None,
        description="Score the last instant of each that is evaluated up to here. When left out: "
        "up to now less the latency.",
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


class AssetPredictionView(View):
    """The answer about one of several assets."""

    asset: str
    prediction: PredictionView | None
    fault: str | None = Field(description="Why there is no prediction; null where there is one.")


class PredictionBatchView(View):
    """An answer about each asset."""

    answers: list[AssetPredictionView] = Field(description="In the order of the question.")


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
    if body.rows is not None:  # which may take long, and have nothing in common with others
        return await predictor.run(lambda: _predict_sent(platform, predictor, name, body))
    [found] = await _ask(platform, predictor, name, [PredictQuestion(body.asset, body.at)])
    if isinstance(found, Exception):
        raise found
    return found


@router.post(
    "/definitions/{name}/predict-batch", tags=["predictions"], operation_id="predict_batch"
)
async def predict_several(
    name: Id, body: PredictBatchBody, platform: Served, _: Viewer, predictor: Predicting
) -> PredictionBatchView:
    """Score several assets at one instant, of the stored readings: each as `predict` does alone. An
    asset without an answer states its fault. Stores nothing. Role: viewer."""
    questions = [PredictQuestion(asset, body.at) for asset in body.assets]
    found = await _ask(platform, predictor, name, questions)
    return PredictionBatchView(
        answers=[
            _asset_view(platform, asset, one) for asset, one in zip(body.assets, found, strict=True)
        ]
    )


def _asset_view(
    platform: Platform, asset: str, found: PredictionView | Exception
) -> AssetPredictionView:
    if isinstance(found, UserError):
        fault = plant_times(found.message, platform.zone)
        return AssetPredictionView(asset=asset, prediction=None, fault=fault)
    if isinstance(found, Exception):
        raise found
    return AssetPredictionView(asset=asset, prediction=found, fault=None)


async def _ask(
    platform: Platform, predictor: Predictor, name: str, questions: Sequence[PredictQuestion]
) -> list[PredictionView | Exception]:
    """Return an answer to each question about stored readings, or why there is none. They join
    those of other requests that see the same: the whole plant."""

    def answer(asked: Sequence[PredictQuestion]) -> list[PredictionView | Exception]:
        return _predict_together(platform, predictor, name, asked)

    return await predictor.ask((id(platform), name), questions, answer)


def require_definition(platform: Platform, name: str) -> None:
    """Raise NotFound if there is no definition of this name."""
    if platform.definitions.newest_revision(name) is None:
        raise NotFound(f"there is no definition {name!r}")


def _predict_sent(
    platform: Platform, predictor: Predictor, name: str, body: PredictBody
) -> PredictionView:
    from alerting.usecases.scoring.predict import predict
    from alerting.usecases.scoring.sent import sent_readings

    rows = [row.model_dump(exclude_none=True) for row in body.rows or ()]
    given = sent_readings(platform, body.asset, rows)
    return _view(platform, predict(platform, predictor, name, body.asset, body.at, given))


def _predict_together(
    platform: Platform, predictor: Predictor, name: str, asked: Sequence[PredictQuestion]
) -> list[PredictionView | Exception]:
    """Return an answer to each question, or its own fault; to equal ones the same. Raises what is
    the fault of all of them."""
    from alerting.usecases.scoring.predict import PredictionBatch

    different = dict.fromkeys(asked)
    batch = PredictionBatch(platform, predictor, name, different)
    found: dict[PredictQuestion, PredictionView | Exception] = {}
    for one in different:
        try:
            found[one] = _view(platform, batch.answer(one))
        except (NotLoaded, DatabaseDown, PyMongoError):
            raise
        except Exception as fault:
            found[one] = fault
    return [found[one] for one in asked]


def _view(platform: Platform, found: "Prediction") -> PredictionView:
    return PredictionView.model_validate(with_plant_times(found, platform.zone))
