"""Words for an anomaly, in the language of the plant."""

from collections.abc import Sequence

from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import template, translatable
from alerting.kinds.anomaly.contributions import Responsible, comparison

_SOMETHING = template("The readings together are unlike normal operation")
_SENSOR = template("Unlike normal operation: {what} is {value}, where {expected} would be usual beside the other variables")


def anomaly_message(asset: Asset, found: Sequence[Responsible]) -> str:
    """Return why an episode is raised, with the variable most responsible."""
    return translatable(_SENSOR, **comparison(asset, found[0].strongest)) if found else translatable(_SOMETHING)
