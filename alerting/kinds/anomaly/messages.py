"""Words for an anomaly, in the language of the plant."""

from collections.abc import Sequence
from datetime import timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.wording.language import template, translatable
from alerting.kinds.anomaly.contributions import Responsible, comparison

_SOMETHING = template("The readings together are unlike normal operation")
_NEVER_SEEN = template(
    "{category} {value}: no or too little normal operation of its own, compared with all normal "
    "operation together"
)
_SENSOR = template(
    "Unlike normal operation: {what} is {value}, where {expected} would be usual beside the other "
    "variables"
)


def anomaly_message(asset: Asset, found: Sequence[Responsible], compared: str = "") -> str:
    """Return why an episode is raised, with the variable most responsible. `compared`: with which
    normal operation."""
    text = (
        translatable(_SENSOR, **comparison(asset, found[0].strongest))
        if found
        else translatable(_SOMETHING)
    )
    return translatable("{text} ({compared})", text=text, compared=compared) if compared else text


def compared_with(by: str, own: str | None, named: str | None) -> str:
    """Return the normal operation that a row is compared with: of the `own` category, or of all
    beside the `named` one."""
    name = by.replace("_", " ")
    if own is not None:
        return translatable("normal operation of {category} {value}", category=name, value=own)
    if named is None:
        return translatable(
            "{category} is not known: compared with all normal operation together", category=name
        )
    return translatable(_NEVER_SEEN, category=name, value=named)


def describe_change(by: str, longest: timedelta) -> str:
    """Describe why a row is unknown whose windows lie over a change of category."""
    return translatable(
        "the {category} changed within the last {duration}",
        category=by,
        duration=format_duration(longest),
    )
