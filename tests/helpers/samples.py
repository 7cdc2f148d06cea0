"""Samples of long lists of input, so that a build meets every value and every field in minutes."""

import os


def a_share_of(values, number, shares=6):
    """Return every sixth of these values, or the like; with `HYPOTHESIS_PROFILE=night` all of them.

    `number`: of what they are sent to; six in a row get all of the values among them.
    """
    if os.environ.get("HYPOTHESIS_PROFILE") == "night":
        return values
    return values[number % shares :: shares]
