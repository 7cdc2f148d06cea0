"""Cost of a raised alert: its score with contributions, and a recommendation, for a model of each
family.

Synthetic line: a reading a minute of 20 variables, three of them controllable; the problem follows
two of them. The slowest family counts; the peer is the plain score of the same row by the same
model, a lower bound for every explanation.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.families import BUILT_IN
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.build import build_features
from alerting.learning.models.families.registry import get_family
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.candidates import Candidate, Trial
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History, from_millis
from alerting.recommendation.contributions import contributions
from alerting.recommendation.whatif import recommend
from benchmarks.helpers.timing import medians

DAYS = 14
VARIABLES = 20
CONTROLLABLE = 3
START = datetime(2026, 1, 5, tzinfo=UTC)
# of readings before the instant: more than the windows need, as an evaluation loads them
LOADED = timedelta(hours=3)
ROUNDS = 15
MOST_SCORE_MS = 50
MOST_ADVICE_MS = 1_000


def run() -> dict[str, Any]:
    """Return wall and CPU milliseconds, medians of fifteen, for the row with the highest score of
    the fortnight."""
    history = _history()
    definition = ClassifierDefinition.model_validate(
        {
            "name": "advice",
            "kind": "classifier",
            "assets": ["line-1"],
            "problem": {"variable": "v0", "above": 2.0, "predict": "state"},
            "horizon": "10m",
            "features": {
                "stride": "5m",
                "windows": ["10m", "1h"],
                "aggregations": ["mean", "std", "last", "slope"],
            },
        }
    )
    dataset = build_dataset(definition, 1, [history], history.readings.index[-1].to_pydatetime())
    families = {}
    for family in BUILT_IN:
        params = dict(get_family(family).defaults)
        candidate = Candidate(
            family,
            params,
            np.empty(0),
            np.empty(0),
            {"ap": 0.5},
            (Trial(params, 0.5, (0.5,)),),
            1,
            False,
        )
        families[family] = _measured(
            finish_challenger(dataset, candidate, definition)[0], history, dataset.at
        )
    slowest = max(families, key=lambda f: families[f]["score_ms"])
    figure = families[slowest]["score_ms"]
    peer = families[slowest]["bare_score_ms"]
    return {
        "benchmark": "advice",
        "figure": figure,
        "unit": f"ms for features, score and contributions of one row ({slowest})",
        "peer": "features and bare score of the same row",
        "peer_figure": peer,
        "ratio": round(peer / figure, 3),
        "goal": (
            f"score with contributions < {MOST_SCORE_MS} ms, recommendation < {MOST_ADVICE_MS} ms"
        ),
        "met": all(
            f["score_ms"] < MOST_SCORE_MS and f["recommendation_ms"] < MOST_ADVICE_MS
            for f in families.values()
        ),
        "families": families,
    }


def _measured(model: TrainedModel, history: History, instants: Any) -> dict[str, float]:
    """Return the measurements at the instant of the highest risk: the usual moment for advice."""
    at = np.asarray(instants)[
        int(np.argmax(model.score(build_features(model.plan, history, np.asarray(instants)))))
    ]
    until = from_millis(at)
    known = History(history.asset, history.readings.loc[until - LOADED : until])
    moment = np.array([at])

    def score() -> Any:
        row = build_features(model.plan, known, moment)
        return row, model.score(row)

    def explained() -> None:
        row, _ = score()
        assert contributions(model, row, known.asset)

    work = {
        "score": explained,
        "bare_score": score,
        "recommendation": lambda: recommend(model, known, until, 2),
    }
    return {
        name: figure
        for step, done in work.items()
        for name, figure in medians(step, done, ROUNDS).items()
    }


def _history() -> History:
    random = np.random.default_rng(0)
    rows = DAYS * 24 * 60
    values = random.standard_normal((rows, VARIABLES))
    slow = pd.DataFrame(values[:, 1:3]).rolling(30, min_periods=1).mean().to_numpy() * 4
    values[:, 1:3] = slow + 0.1 * values[:, 1:3]
    values[10:, 0] = slow[:-10].sum(axis=1) + 0.5 * values[10:, 0]
    setting = {"controllable": True, "min": -4.0, "max": 4.0, "step": 0.1}
    known = {
        f"v{i}": Variable(**setting) if 0 < i <= CONTROLLABLE else Variable()
        for i in range(VARIABLES)
    }
    index = pd.date_range(START, periods=rows, freq="min", name="ts").as_unit("ms")
    return History(
        Asset(name="line-1", variables=known),
        pd.DataFrame(values, columns=list(known), index=index),
    )
