"""Costs of problems, alarms and interventions to the plant."""

from pydantic import Field

from alerting.definitions.assets import Closed, Tag
from alerting.definitions.fields.names import Number


class Costs(Closed):
    """Costs in one currency, for sums of money in reports and trials. They never choose a
    threshold: `operating_point` does."""

    currency: Tag = Field(
        "EUR", description="Currency of all amounts, e.g. EUR; shown beside every sum."
    )
    miss: Number = Field(
        0.0, ge=0, description="Cost of each problem that happens, e.g. 900 for a blocked pallet."
    )
    miss_per_minute: Number = Field(
        0.0,
        ge=0,
        description=(
            "Cost of each minute for which a problem lasts, added to miss, e.g. 150 for a minute "
            "of downtime."
        ),
    )
    false_alarm: Number = Field(
        0.0, ge=0, description="Cost of each alert that no problem followed and nothing prevented."
    )
    intervention: Number = Field(
        0.0, ge=0, description="Cost of each intervention by an operator, needed or not."
    )
