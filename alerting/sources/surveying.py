"""What the first pass over a file notes down, for readings and events alike."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.pipelines.ingest import Survey
from alerting.readings.history import Millis, from_millis
from alerting.sources.cells import BoolArray
from alerting.sources.rows import EXAMPLES, Check, Keyed, bad_lines, bad_rows


def note_chunk(survey: Survey, keyed: Keyed, checks: Sequence[Check], usable: BoolArray) -> None:
    """Count lines, bad lines and assumptions about time stamps, and widen the time span."""
    survey.lines += len(keyed.at) + len(keyed.chunk.broken)
    survey.bad += int(bad_rows(checks, len(keyed.at)).sum()) + len(keyed.chunk.broken)
    if len(survey.first_bad) < EXAMPLES:
        survey.first_bad.extend(bad_lines(keyed.chunk, checks, EXAMPLES - len(survey.first_bad)))
    survey.zoneless += keyed.instants.zoneless
    survey.cut += keyed.instants.cut
    if usable.any():
        first, last = from_millis(int(keyed.at[usable].min())), from_millis(int(keyed.at[usable].max()))
        survey.first = min(first, survey.first or first)
        survey.last = max(last, survey.last or last)


def count_filled(
    assets: dict[str, set[str]], named: npt.NDArray[np.object_], usable: BoolArray, filled: Mapping[str, BoolArray]
) -> None:
    """Add the assets of the usable rows, each with the names of the columns that hold something there."""
    codes, names = pd.factorize(named[usable])
    known = [assets.setdefault(name, set()) for name in names]
    for column, mask in filled.items():
        for code in np.flatnonzero(np.bincount(codes, weights=mask[usable], minlength=len(names))):
            known[code].add(column)


def datetimes(at: Millis) -> list[datetime]:
    """Milliseconds since 1970 as aware instants."""
    return [naive.replace(tzinfo=UTC) for naive in at.view("datetime64[ms]").astype(object)]
