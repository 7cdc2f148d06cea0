"""Bodies and answers about predictions. Made by `python -m tools.client`."""

from typing import Literal, NotRequired, TypedDict

from alerting.client.shapes.shared import Contribution
from alerting.client.values import Instant

PredictedView = TypedDict(
    "PredictedView",
    {
        "lead": str,
        "low": float,
        "median": float,
        "high": float,
    },
)
"""A value predicted at a time ahead; 90 % of its distribution lie between `low` and `high`."""

PredictionView = TypedDict(
    "PredictionView",
    {
        "definition": str,
        "revision": int | None,
        "model_version": int | None,
        "asset": str,
        "at": str | None,
        "score": float | None,
        "threshold": float | None,
        "would_raise": bool | None,
        "unknown": str | None,
        "contributions": list[Contribution],
        "forecast": list[PredictedView],
    },
)
"""A score, or why it is unknown."""

AssetPredictionView = TypedDict(
    "AssetPredictionView",
    {
        "asset": str,
        "prediction": PredictionView | None,
        "fault": str | None,
    },
)
"""The answer about one of several assets."""

JobBody = TypedDict(
    "JobBody",
    {
        "address": str,
        "scores_to": NotRequired[str | None],
    },
)
"""Readings in an object store, instead of a file that is sent."""

ScoredFile = TypedDict(
    "ScoredFile",
    {
        "version": int,
        "rows": int,
        "scores": int,
        "unknown": dict[str, int],
        "notes": NotRequired[list[str]],
        "copy_at": NotRequired[str | None],
    },
)
"""Result of scoring a file: the version that scored, rows read, scores written, instants
without one by reason, notes. `copy_at`: address of the copy of the scores in an object
store."""

JobView = TypedDict(
    "JobView",
    {
        "id": str,
        "definition": str,
        "actor": str,
        "created_at": str,
        "ended_at": str | None,
        "state": Literal["waiting", "running", "done", "failed", "cancelled"],
        "progress": float,
        "step": str | None,
        "fault": str | None,
        "result": ScoredFile | None,
        "scores": str | None,
        "bytes": int,
        "sha256": str | None,
        "address": str | None,
        "scores_to": str | None,
    },
)
"""A predict job."""

PredictBatchBody = TypedDict(
    "PredictBatchBody",
    {
        "assets": list[str],
        "at": NotRequired[Instant | None],
    },
)
"""A question about several assets."""

SentRow = TypedDict(
    "SentRow",
    {
        "ts": str | float,
        "values": dict[str, float | str | bool | None],
        "quality": NotRequired[str | dict[str, str] | None],
    },
)
"""The readings of one instant."""

PredictBody = TypedDict(
    "PredictBody",
    {
        "asset": str,
        "at": NotRequired[Instant | None],
        "rows": NotRequired[list[SentRow] | None],
    },
)
"""A question about one asset."""

PredictionBatchView = TypedDict(
    "PredictionBatchView",
    {
        "answers": list[AssetPredictionView],
    },
)
"""An answer about each asset."""
