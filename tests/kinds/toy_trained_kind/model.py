import json
from dataclasses import dataclass
from datetime import datetime

from alerting.learning.features.plan import FeaturePlan


@dataclass(frozen=True)
class UsualValues:
    """Mean and standard deviation of a column; the score is a number of deviations."""

    revision: int
    plan: FeaturePlan
    column: str
    mean: float
    deviation: float
    threshold: float
    training_cutoff: datetime
    family = "usual_values"
    refit = None

    @property
    def hash(self):
        return f"{self.mean:.9g} {self.deviation:.9g} {self.threshold:g}"

    def score(self, rows):
        return ((rows[self.column] - self.mean).abs() / self.deviation).to_numpy()


def to_files(model):
    values = {
        k: getattr(model, k) for k in ("revision", "column", "mean", "deviation", "threshold")
    }
    document = {
        **values,
        "training_cutoff": model.training_cutoff.isoformat(),
        "plan": model.plan.to_document(),
    }
    return {"usual_values.json": json.dumps(document).encode()}


def from_files(files):
    document = json.loads(files["usual_values.json"])
    plan = FeaturePlan.from_document(document.pop("plan"))
    cutoff = datetime.fromisoformat(document.pop("training_cutoff"))
    return UsualValues(plan=plan, training_cutoff=cutoff, **document)
