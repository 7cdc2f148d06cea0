"""Keeps the server of alarms as the database is: reads what changes, and does what clients ask."""

import asyncio
import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import TypeVar

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.adapters.platform import Platform
from alerting.adapters.sinks.opcua_alarms.guarded import SignedIn
from alerting.adapters.sinks.opcua_alarms.methods import Work
from alerting.adapters.sinks.opcua_alarms.server import AlarmEndpoint, AlarmServer
from alerting.adapters.sinks.opcua_alarms.sessions import AlarmSession
from alerting.definitions.faults import first_line
from alerting.definitions.wording.language import language
from alerting.episodes.episode import Episode
from alerting.operators.actions import NotAllowed
from alerting.operators.people import hash_secret
from alerting.operators.permissions import may
from alerting.ports import AUDIT_ORIGIN, ChangeFeed, LiveChange, NoChangeFeed
from alerting.usecases.access.narrow import narrow
from alerting.usecases.access.tokens import TokenUser, find_token_user
from alerting.usecases.access.visible import VisibleParts
from alerting.usecases.operators.alarm_conditions import (
    AlarmBook,
    AlarmState,
    AlarmView,
    read_alarms,
    read_changed,
)
from alerting.usecases.operators.program_acts import Program, RefusedActs

JOIN_S = 0.1
"""For so long changes are gathered after those that were told."""
LOOK_S = 1.0
"""How often tokens, shelves that end by themselves, and a database without change stream are looked
at."""
ALL_S = 30.0
"""How often everything is read again."""
T = TypeVar("T")
_DOWN = (PyMongoError, DatabaseDown)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AlarmSettings:
    """What a server tells, and to whom. `accounts`: those that may sign in. `select`: returns which
    episodes are told, of the assets as they are now. `title`: of the plant."""

    endpoint: AlarmEndpoint
    accounts: Collection[str]
    select: Callable[[], Callable[[Episode], bool]] = lambda: lambda _: True
    title: str = "Plant"


@dataclass
class _Changed:
    """Changes since the last look."""

    everything: bool = True
    shelves: bool = False
    episodes: set[str] = field(default_factory=set)


class AlarmService:
    """One server of alarms on a platform."""

    def __init__(
        self,
        platform: Platform,
        settings: AlarmSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`now`: the real time, of tokens."""
        self._platform = platform
        self._settings = settings
        self._now = now
        self._language = language(platform.language)
        self._parts = VisibleParts()
        self._view = AlarmView(platform.zone, self._language)
        self.book = AlarmBook()
        self.refused = RefusedActs(lambda: platform.audit)
        self.left_out = 0
        self.server = AlarmServer(
            settings.endpoint,
            self.book,
            self._sign_in,
            self._act,
            self._refuse,
            platform.clock.now,
            self._language,
        )
        self._auditor = ThreadPoolExecutor(1, "alarm-refusals")
        self._changed = _Changed()
        self._wake = asyncio.Event()
        self._follows = False
        self._is_down = False
        self.ready = False

    async def run(self, stopped: Event, alive: Callable[[], None] = lambda: None) -> None:
        """Serve until `stopped` is set. `alive`: called while the service works."""
        await self.server.start(self._settings.title)
        feed = self._platform.changes
        if feed is not None:
            given = (feed, asyncio.get_running_loop(), stopped)
            Thread(target=self._follow, args=given, name="alarms", daemon=True).start()
        all_at = look_at = monotonic()
        try:
            while not stopped.is_set():
                if monotonic() >= all_at:
                    self._changed.everything = True
                    all_at = monotonic() + ALL_S
                try:
                    await self._look(look=monotonic() >= look_at)
                    self._is_down = False
                    alive()
                except _DOWN as fault:
                    self._changed.everything = True
                    if not self._is_down:
                        _log.warning("alarms cannot be read: %s", first_line(fault))
                    self._is_down = True
                look_at = monotonic() + LOOK_S if monotonic() >= look_at else look_at
                await self._wait(max(look_at - monotonic(), JOIN_S))
        finally:
            await self.server.stop()
            self._auditor.shutdown()

    async def _look(self, *, look: bool) -> None:
        """Read and tell what has changed."""
        changed = self._changed
        self._changed = _Changed(everything=False)
        if look and not self._follows:
            changed.everything = True
        try:
            if changed.everything:
                await self._read_all()
            elif changed.episodes or changed.shelves:
                await self._read_changed(changed)
            if look:
                await self._look_at_sessions()
        except _DOWN:
            self._changed.everything = True
            raise
        await self.server.send_changes(self.book.changes(self._platform.clock.now()))
        self.ready = True

    async def _read_all(self) -> None:
        stores = self._platform
        wanted = await asyncio.to_thread(self._settings.select)
        self._view = replace(self._view, wanted=wanted)
        read = await asyncio.to_thread(read_alarms, stores, self.book.episodes, self._view)
        await self.server.show_assets(await asyncio.to_thread(stores.assets.all))
        self.server.trust_again()
        if read.left_out and not self.left_out:
            _log.warning("%s alarms are left out: too many are open", read.left_out)
        self.left_out = read.left_out
        self.book.note_shelves(read.shelves)
        self.book.note(read.states, all_of_them=True)

    async def _read_changed(self, changed: _Changed) -> None:
        stores = self._platform
        if changed.shelves:
            self.book.note_shelves(await asyncio.to_thread(stores.shelves.in_force))
        states: tuple[AlarmState, ...] = await asyncio.to_thread(
            read_changed, stores, changed.episodes, self._view
        )
        self.book.note(states)

    async def _look_at_sessions(self) -> None:
        """End sessions whose token is over, give the others their rights of now, and audit the
        refusals that are due."""
        sessions = self.server.sessions
        tokens = {one.signed_in.token for one in sessions if one.signed_in}
        found = await asyncio.to_thread(lambda: {one: self._find(one) for one in tokens})
        await self.server.close_sessions(_over(sessions, found))
        due = partial(self.refused.audit_due, self._now())
        await asyncio.get_running_loop().run_in_executor(self._auditor, due)

    async def _wait(self, seconds: float) -> None:
        self._wake.clear()
        if self._changed.episodes or self._changed.shelves or self._changed.everything:
            await asyncio.sleep(JOIN_S)
            return
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
            await asyncio.sleep(JOIN_S)
        except TimeoutError:
            return

    # in the thread that reads changes

    def _follow(self, feed: ChangeFeed, loop: asyncio.AbstractEventLoop, stopped: Event) -> None:
        """Read changes until the service is stopped. Never raises."""

        def call(act: Callable[[T], None], given: T) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(act, given)

        while not stopped.is_set():
            try:
                with feed.read() as reader:
                    call(self._begin, None)
                    while not stopped.is_set():
                        if changes := reader.next():
                            call(self._note, changes)
            except NoChangeFeed as fault:
                _log.warning("the database gives no change stream: %s", fault)
                return
            except Exception as fault:
                _log.warning("changes cannot be read: %s", first_line(fault))
                call(self._end, None)
                stopped.wait(LOOK_S)

    # in the event loop

    def _begin(self, _: None) -> None:
        self._follows = True
        self._changed.everything = True
        self._wake.set()

    def _end(self, _: None) -> None:
        self._follows = False

    def _note(self, changes: Collection[LiveChange]) -> None:
        self._changed.episodes |= {one.episode.id for one in changes if one.episode}
        self._changed.shelves |= any(one.thing == "shelf" for one in changes)
        self._wake.set()

    def _refuse(self, address: str, person: str, subject: str, why: str) -> None:
        now = self._now()

        def add() -> None:
            try:
                self.refused.add(address, person, subject, why, now)
            except _DOWN as fault:
                _log.warning("a refusal is not in the audit: %s", first_line(fault))

        self._auditor.submit(add)

    # who asks

    def _sign_in(self, name: str, secret: str) -> SignedIn | None:
        """Return the program of an account and its token; None while the database is away. Called
        in the event loop, for asyncua signs in there."""
        if self._is_down:
            return None
        try:
            found = self._find(hash_secret(secret))
        except _DOWN as fault:
            _log.warning("no sign-in: %s", first_line(fault))
            return None
        return found if found is not None and found.program.name == name else None

    def _find(self, token: str) -> SignedIn | None:
        user = find_token_user(self._platform, token, self._now())
        if user is None or user.name not in self._settings.accounts:
            return None
        program = Program(user.name, user.role, self._visible(user))
        return SignedIn(program, token) if may(program.rights, "read") else None

    def _visible(self, user: TokenUser) -> frozenset[str] | None:
        if not user.scopes:
            return None
        stores = self._platform
        given = (stores.assets, stores.definitions, stores.evaluation_plans)
        return self._parts.find(user.scopes, *given, self._now()).assets

    async def _act(self, signed_in: SignedIn, address: str, work: Work) -> None:
        """Do the work of a program, as it may now. Raises UserError."""
        await asyncio.to_thread(self._work, signed_in.token, address, work)
        self._wake.set()

    def _work(self, token: str, address: str, work: Work) -> None:
        AUDIT_ORIGIN.set(f"opcua {address}")  # of this call: a thread has a copy of the context
        user = find_token_user(self._platform, token, self._now())
        found = self._find(token)
        if found is None or user is None:
            raise NotAllowed("the sign-in is over")
        stores = self._platform
        if user.scopes:
            given = (stores.assets, stores.definitions, stores.evaluation_plans)
            part = self._parts.find(user.scopes, *given, self._now())
            stores = narrow(stores, part, user.name)
        work(stores, found.program, stores.clock.now())


def _over(
    sessions: Collection[AlarmSession], found: dict[str, SignedIn | None]
) -> list[AlarmSession]:
    """Give sessions their rights of now; return those whose token is over."""
    over = []
    for session in sessions:
        present = found.get(session.signed_in.token) if session.signed_in else None
        if present is None:
            over.append(session)
        else:
            session.update(present)
    return over
