"""Calls of pages to other processes: each ends by a deadline, and takes no turn while it waits."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Any, Protocol, TypeVar, cast

from alerting.ports import ModelUnavailable

WITHIN_S = 2.0
"""Deadline of a call for a page that is read."""
CHANGE_WITHIN_S = 10.0
"""Deadline of a call for a change, which is not to end halfway."""
AT_ONCE = 12
"""Calls to one process at once; a call that has missed its deadline counts until it ends."""
EARLY = 8
"""Of these, calls that begin before a page waits for them: they leave room for other pages."""
_QUICK_S = 0.02
_AGAIN_S = 0.2
_FREE_WITHIN_S = 0.5
_SIGN_WITHIN_S = 1.5
_MOST_LATE_BYTES = 256 << 20
T = TypeVar("T")


class Turn(Protocol):
    """The right of a request to compute its answer in the console; few requests have it at a
    time."""

    def given_back(self) -> AbstractContextManager[None]:
        """Let other requests have the turn during the block, and take a turn again at its end."""


@dataclass(frozen=True)
class Page:
    """A request of a person or a program. `within_s`: deadline of each call to another process;
    `turn`: the turn of the request, None if it needs no turn."""

    within_s: float
    turn: Turn | None = None


PAGE: ContextVar[Page | None] = ContextVar("page", default=None)
"""The request that this thread answers; None in commands, DAGs and the console's own threads, whose
calls have the limits of the client alone."""


class Silent(Exception):
    """Error: another process does not answer by the deadline of a page, or did not a moment ago."""


class OtherProcess:
    """A process that pages ask. After it has missed a deadline, one page at a time asks it, with a
    short deadline, until it answers again; the other pages do not wait for it."""

    def __init__(self) -> None:
        self._free = BoundedSemaphore(AT_ONCE)
        self._early = BoundedSemaphore(EARLY)
        self._asked_again = BoundedSemaphore(1)
        self._is_silent = False

    def call(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, which runs in a thread of its own if a page asks. Raises
        Silent at the deadline; the work then goes on, and its result is lost."""
        return self.begin(work)()

    def begin(self, work: Callable[[], T], *, early: bool = False) -> Callable[[], T]:
        """Begin `work` as `call` does, and return the function that waits for its result and raises
        Silent at the deadline; without a page, `work` itself. Raises Silent if too many calls are
        under way; `early`: at once, and if the process is silent."""
        page = PAGE.get()
        if page is None:
            return work
        again = self._is_silent
        within_s = min(page.within_s, _AGAIN_S) if again else page.within_s
        until = monotonic() + within_s
        if early and (again or not self._early.acquire(blocking=False)):
            raise Silent("is asked enough")
        try:
            free_until = monotonic() if early else monotonic() + _FREE_WITHIN_S
            self._enter(min(until, free_until), again)
        except Silent:
            if early:
                self._early.release()
            raise
        done: Future[T] = Future()
        Thread(target=self._run, args=(work, done, again, until, early), daemon=True).start()

        def wait() -> T:
            if not _ends(done, min(_QUICK_S, within_s)):
                with page.turn.given_back() if page.turn else nullcontext():
                    # known to the others before this page waits for its turn
                    self._is_silent = not _ends(done, until - monotonic()) or self._is_silent
            if not done.done():
                raise Silent(f"does not answer within {page.within_s:g} s")
            return done.result()

        return wait

    def _enter(self, until: float, again: bool) -> None:
        """Wait until fewer than AT_ONCE calls are under way. Raises Silent if the process is
        silent."""
        if again and not self._asked_again.acquire(blocking=False):
            raise Silent("does not answer")
        while not self._free.acquire(timeout=_QUICK_S):
            if monotonic() >= until or self._is_silent:
                if again:
                    self._asked_again.release()
                raise Silent("does not answer")

    def _run(
        self, work: Callable[[], T], done: "Future[T]", again: bool, until: float, early: bool
    ) -> None:
        try:
            result = work()
        except BaseException as fault:
            self._is_silent = self._is_silent and monotonic() >= until
            done.set_exception(fault)
        else:
            self._is_silent = False
            done.set_result(result)
        finally:
            self._free.release()
            if early:
                self._early.release()
            if again:
                self._asked_again.release()


def _ends(done: "Future[Any]", within_s: float) -> bool:
    """Wait for a result or a failure; return whether one came in time."""
    try:
        done.exception(max(0.0, within_s))
    except TimeoutError:
        return False
    return True


class RegistryOfPages:
    """Ports `TrainingRuns` and `Models` for pages: a registry that does not answer by the deadline
    counts as unavailable."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._process = OtherProcess()
        self._is_ready = not hasattr(registry, "load_client")
        self._late: dict[tuple[str, int], dict[str, bytes]] = {}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._registry, name)
        return self._punctual(attribute) if callable(attribute) else attribute

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        """Return the files of a version. Reading goes on after the deadline of a page, so that the
        next page may get the files. Raises ModelUnavailable."""
        key = definition, version
        began = monotonic()

        def read() -> dict[str, bytes]:
            files: dict[str, bytes] = self._registry.model_files(definition, version)
            is_small = sum(map(len, files.values())) <= _MOST_LATE_BYTES
            self._late = {key: files} if is_small and monotonic() > began + WITHIN_S else {}
            return files

        return self._late.pop(key, None) or self._punctual(read)()

    def _punctual(self, method: Callable[..., T]) -> Callable[..., T]:
        @wraps(method)
        def call(*args: Any, **named: Any) -> T:
            with _away_if_silent():
                self._get_ready()
                return self._process.call(partial(method, *args, **named))

        return call

    def begin(self, *question: Any) -> Callable[[], Any]:
        """Begin a call, given by the name of a method and its arguments, if a call may begin now;
        return the function that waits for its answer. Raises Silent."""
        self._get_ready()
        name, *arguments = question
        return self._process.begin(partial(getattr(self._registry, name), *arguments), early=True)

    def _get_ready(self) -> None:
        """Load the client once MLflow answers. Loading takes seconds, and waits for no other
        process."""
        if not self._is_ready:
            self._process.call(self._registry.require_sign_of_life)
            self._registry.load_client()
            self._is_ready = True


@contextmanager
def _away_if_silent() -> Iterator[None]:
    """Turn Silent into ModelUnavailable."""
    try:
        yield
    except Silent as silent:
        raise ModelUnavailable(f"MLflow {silent}") from None


@dataclass(frozen=True)
class _RegistryOfOnePage:
    """A registry to which questions were put already. `begun`: waits for the answer of each."""

    registry: Any
    begun: Mapping[tuple[Any, ...], Callable[[], Any]]

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.registry, name)

        def answer(*arguments: Any) -> Any:
            with _away_if_silent():
                return self.begun.get((name, *arguments), partial(attribute, *arguments))()

        return answer if callable(attribute) else attribute


def ask_at_once(registry: T, *questions: tuple[Any, ...]) -> T:
    """Return a registry for one page that reads, which answers these questions at once meanwhile,
    each the name of a method and its arguments."""
    if not isinstance(registry, RegistryOfPages):
        return registry
    begun = {}
    with suppress(Silent):  # then the questions are asked one after the other
        for question in questions:
            begun[question] = registry.begin(*question)
    return cast(T, _RegistryOfOnePage(registry, begun))


def find_silent(others: Mapping[str, tuple[OtherProcess, str]]) -> list[str]:
    """Return the names of other processes from whose address no answer comes, not even a refusal.
    All addresses are asked at once."""
    page = PAGE.get()
    turn = page and page.turn
    if not others:
        return []

    def ask(process: OtherProcess, address: str) -> bool:
        PAGE.set(page and Page(_SIGN_WITHIN_S))
        return _is_silent(process, address)

    with ThreadPoolExecutor(len(others)) as threads, turn.given_back() if turn else nullcontext():
        silent = [*threads.map(ask, *zip(*others.values(), strict=True))]
    return [name for name, is_silent in zip(others, silent, strict=True) if is_silent]


def _is_silent(process: OtherProcess, address: str) -> bool:
    import httpx  # noqa: PLC0415 - the console starts without it

    def ask() -> None:
        # nothing secret is sent, and the certificate may be of an authority of the plant
        client = httpx.Client(verify=False, trust_env=False, timeout=_SIGN_WITHIN_S)  # noqa: S501
        with client, client.stream("GET", address):
            pass

    try:
        process.call(ask)
    except (Silent, httpx.HTTPError):
        return True
    return False
