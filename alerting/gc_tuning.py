"""When Python searches its objects for cycles of references that nothing uses any more.

Counting references frees nearly all objects of the platform at once. A search finds little, and all
threads wait for it: by Python's own default one begins after 700 new objects, and one in a hundred
of them looks at all that exist, the objects of loaded libraries included, for a tenth of a second.

| process | setting | why |
|---|---|---|
| all that last, and from which tasks are forked | `ignore_loaded_objects` | what was loaded stays |
| commands, evaluations, messages | `collect_garbage_rarely` | many new objects, little garbage |
| console | `collect_garbage_in_small_steps` | pages make cycles; each answer waits for a search |
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_OBJECTS = 100_000  # new objects between two collections; Python's own default is 700
_SMALL_STEPS = (1_000, 10, 250)
_lock = Lock()
_thresholds: list[tuple[int, int, int]] = []  # before each context that is not left yet


def ignore_loaded_objects() -> None:
    """Leave out of every later search what exists now; a forked process does not copy its memory
    either, to look at it."""
    gc.freeze()


def collect_garbage_in_small_steps() -> None:
    """Search a thousand new objects at a time, ten times as many after ten such searches, and all
    rarely: .2 CPU ms, 1 ms and .1 s."""
    ignore_loaded_objects()
    gc.set_threshold(*_SMALL_STEPS)


@contextmanager
def collect_garbage_rarely() -> Iterator[None]:
    """Collect garbage less often within the context. A tick of 10,000 thresholds takes a tenth less
    CPU time with it.

    Contexts of several threads may overlap: the last one that is left restores what was before.
    """
    with _lock:
        _thresholds.append(gc.get_threshold())
        gc.set_threshold(_OBJECTS, *_thresholds[0][1:])
    try:
        yield
    finally:
        with _lock:
            first = _thresholds[0]
            _thresholds.pop()
            if not _thresholds:
                gc.set_threshold(*first)
