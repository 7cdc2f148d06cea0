"""A trained model of each family on the small line, made once."""

from functools import cache
from typing import Any

import numpy as np

from alerting.learning.experiment.trials import Trial
from alerting.learning.models.families.contract import get_family
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.candidates import Candidate
from alerting.learning.selection.challenger import ChallengerEvidence, finish_challenger
from tests import small_models

FEW = {"random_forest": {"n_estimators": 10}, "lightgbm": {"rounds": 20}}


def chosen(family: str, **more: Any) -> Candidate:
    """Return what a search could have found: the usual parameters with few trees."""
    params = {**get_family(family).defaults, **FEW.get(family, {}), **more}
    nothing = np.empty(0)
    tried = (Trial(params, 0.5, (0.5,)),)
    return Candidate(family, params, nothing, nothing, {"ap": 0.5}, tried, 1, False)


@cache
def finished(family: str, **more: Any) -> tuple[TrainedModel, ChallengerEvidence]:
    """Return the model of a family and its evidence; no test alters them."""
    return finish_challenger(
        small_models.dataset(), chosen(family, **more), small_models.definition()
    )
