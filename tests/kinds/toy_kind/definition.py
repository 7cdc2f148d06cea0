from typing import Literal

from pydantic import Field

from alerting.definitions.assets import VariableName
from alerting.definitions.checks.limits import variable_faults
from alerting.definitions.faults import Fault
from alerting.definitions.model import Definition


class SpreadDefinition(Definition):
    """Two variables that should be equal drift apart."""

    kind: Literal["spread"] = Field(description="spread: two variables drift apart.")
    one: VariableName = Field(description="The first variable.")
    other: VariableName = Field(description="The second variable.")
    most: float = Field(description="The largest difference that is normal.")

    def variables_evaluated(self, asset):
        return frozenset({self.one, self.other})

    def faults(self):
        if self.one == self.other:
            yield Fault("other", "is the same variable")

    def faults_on(self, targets, event_types):
        types = {name: v.type for asset in targets for name, v in asset.variables.items()}
        for path in ("one", "other"):
            yield from variable_faults(path, getattr(self, path), types)


DEFINITION = SpreadDefinition
