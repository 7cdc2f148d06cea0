from typing import Literal

from pydantic import Field

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import VariableName


class UnlikeDefinition(TrainedDefinition):
    """A variable is unlike its usual values."""

    kind: Literal["unlike"] = Field(description="unlike: a variable is unlike its usual values.")
    watched: VariableName = Field(description="The variable.")
    deviations: float = Field(
        4.0, description="The largest number of standard deviations that is usual."
    )

    @property
    def families(self):
        return ("usual_values",)

    def variables_evaluated(self, asset):
        return frozenset({self.watched, self.problem.variable})


DEFINITION = UnlikeDefinition
