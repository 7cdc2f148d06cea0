"""Keeps the memory of a training under a limit: training rows are thinned evenly in time, and it says so, or it is refused."""

from alerting.definitions.faults import Refused
from alerting.learning.dataset import Dataset, keep_rows
from alerting.learning.quality import Finding

FIXED_MIB = 350  # the libraries, and what does not grow with the rows
TABLES = 3  # the rows, their matrix, and what is made of them to score them
COPIES = 6  # of the training rows, while a model is fitted: filled, expanded, scaled, paired
MOST_THINNING = 50  # fewer training rows than one in so many: the stride is too fine for this machine
THINNED = "memory"


def needed_mib(rows: int, training_rows: int, columns: int) -> int:
    """The peak of memory of a search, in MiB: an estimate on the safe side, from rows and columns of 8 bytes each."""
    return FIXED_MIB + round(8 * columns * (TABLES * rows + COPIES * training_rows) / 2**20)


def within_memory(dataset: Dataset, memory_mib: int) -> Dataset:
    """The dataset, with only every k-th instant of the training period if all of them would need more memory than this.

    Both classes are thinned alike, on the same instants of all assets; validation and test stay whole, because episodes are
    judged on them. Raises Refused, with the figures, when even one in fifty training rows is too many, or leaves one class.
    """
    columns, train = len(dataset.plan.columns), dataset.part == "train"
    needed = needed_mib(len(train), int(train.sum()), columns)
    if needed <= memory_mib:
        return dataset
    turn = dataset.at // dataset.plan.stride_ms
    for every in range(2, MOST_THINNING + 1):
        kept = ~train | (turn % every == 0)
        label = dataset.label[train & kept]
        if not 0 < label.sum() < len(label):
            break
        if needed_mib(int(kept.sum()), len(label), columns) <= memory_mib:
            words = (
                f"Only every {every}. instant of the training period was kept ({len(label)} of {int(train.sum())} rows): all of "
                f"them would need about {needed} MiB of memory, and {memory_mib} are allowed."
            )
            return keep_rows(dataset, kept, THINNED, Finding("memory", None, float(every), "left out", words))
    rest = int((~train).sum())
    raise Refused(
        f"{dataset.definition}: {len(train)} rows of {columns} columns need about "
        f"{needed} MiB of memory, and {memory_mib} are allowed; even a small part of "
        f"the training rows beside the {rest} others is too much. Lengthen features.stride, use fewer variables or windows, "
        "or allow more with ALERTING_TRAINING_MEMORY_MIB"
    )
