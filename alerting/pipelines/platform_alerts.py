"""Alerts about the platform itself: what an engineer must mend so that the other alerts can be trusted.

An alert is opened by who finds the fault, and resolved by who next finds it gone; both may be done again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alerting.pipelines.ports import Platform

UNREADABLE = "champion unreadable"
FAULTY = "definition faulty"


def tell_of_models(platform: Platform, evaluated: Sequence[str], faults: Mapping[str, str], at: datetime) -> None:
    """Bring alerts in line with an evaluation of these definitions. `faults`: why, by name, a champion could not be read."""
    if not evaluated:
        return
    still = {a.subject: a.reason for a in platform.platform_alerts.open() if a.kind == UNREADABLE}
    for name in evaluated:
        if name in faults and still.get(name) != faults[name]:
            platform.platform_alerts.report(UNREADABLE, name, faults[name], at)
        elif name in still and name not in faults:
            platform.platform_alerts.resolve(UNREADABLE, name, at)


def tell_of_faults(platform: Platform, name: str, faults: Sequence[str], at: datetime) -> None:
    """A definition is faulty, with these reasons; or, without any, valid again."""
    if faults:
        platform.platform_alerts.report(FAULTY, name, "; ".join(faults), at)
    else:
        platform.platform_alerts.resolve(FAULTY, name, at)
