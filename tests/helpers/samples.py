"""Samples of long lists of input, so that a build meets every value and every field in minutes."""

import os


def a_third_of(values, number):
    """Return every third of these values; with `HYPOTHESIS_PROFILE=night` all of them.

    `number`: of what they are sent to; three in a row get all of the values among them.
    """
    if os.environ.get("HYPOTHESIS_PROFILE") == "night":
        return values
    return values[number % 3 :: 3]
