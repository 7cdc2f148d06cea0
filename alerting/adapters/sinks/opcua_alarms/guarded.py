"""A server of asyncua that refuses what a client has no business with, and bounds the rest.

asyncua's own server takes sign-ins on channels without encryption, numbers its sessions, checks no
owner of a subscription, and limits neither messages before sign-in nor what one client holds.
"""

import secrets
import time
from asyncio import get_running_loop, sleep
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession

from alerting.usecases.operators.program_acts import Program

MOST_CONNECTIONS = 50
MOST_SESSIONS = 20
MOST_UNSIGNED = 5
"""Sessions of one address that wait for their sign-in."""
MOST_SUBSCRIPTIONS = 40
MOST_UNREAD_BYTES = 1024 * 1024
"""Bytes of a connection that are no whole message yet."""
MOST_MESSAGE_BYTES = 16 * 1024 * 1024
MOST_QUEUED = 2000
"""Events of an item that wait for the client; beyond, the oldest are dropped."""
MOST_UNCONFIRMED = 20
"""Messages of a subscription that are kept to be sent again."""
SIGN_IN_S = 30.0
WRONG_FREE = 5
WRONG_WITHIN_S = 60.0
"""After five wrong sign-ins of an address within a minute, all of it are refused for its rest."""
_MOST_ADDRESSES = 1000


@dataclass(frozen=True)
class SignedIn:
    """A program that has signed in. `token`: the hash of its token."""

    program: Program
    token: str


@dataclass
class ProgramUser(User):  # type: ignore[misc]
    """The user of a session."""

    signed_in: SignedIn | None = None


SignIn = Callable[[str, str], SignedIn | None]
"""Gives the program of an account name and a token; None if they are wrong."""
Refuse = Callable[[str, str, str, str], None]
"""Counts a refusal: address, account, what was asked for, and why."""


MakeSession = Callable[..., "GuardedSession"]


class WrongSignIns:
    """Wrong sign-ins by address, in the last minute."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()

    def is_refused(self, address: str) -> bool:
        """Return whether an address must wait."""
        if time.monotonic() - self._began > WRONG_WITHIN_S:
            self._counts.clear()
            self._began = time.monotonic()
        return self._counts[self._key(address)] >= WRONG_FREE

    def add(self, address: str) -> None:
        """Count a wrong sign-in."""
        self._counts[self._key(address)] += 1

    def _key(self, address: str) -> str:
        known = address in self._counts or len(self._counts) < _MOST_ADDRESSES
        return address if known else "others"


class GuardedServer(InternalServer):  # type: ignore[misc]
    """The inside of the server: its limits, sessions and sign-ins."""

    def __init__(self, sign_in: SignIn, refuse: Refuse, session: "MakeSession") -> None:
        super().__init__(user_manager=self)
        self._sign_in = sign_in
        self.refuse = refuse
        self._session = session
        self.trusted: frozenset[bytes] = frozenset()
        self.wrong = WrongSignIns()
        self.allow_remote_admin = False
        self.supported_tokens = (ua.UserNameIdentityToken,)
        self.max_connections = MOST_CONNECTIONS
        self.max_subscriptions = MOST_SUBSCRIPTIONS
        self.max_monitored_item_queue_size = MOST_QUEUED
        self.max_unacked_messages_per_subscription = MOST_UNCONFIRMED
        self.max_pending_activation_seconds = SIGN_IN_S
        self.max_session_timeout_ms = 120_000
        self.max_lifetime_count = 1000
        self.max_keep_alive_count = 300

    @property
    def sessions(self) -> list["GuardedSession"]:
        """Return the sessions of clients."""
        return [one for one in self._external_sessions.values() if isinstance(one, GuardedSession)]

    def get_user(
        self,
        _: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,  # noqa: ARG002 - the port has it
    ) -> User | None:
        """Return the user of a sign-in, None if it is wrong."""
        found = self._sign_in(username or "", password or "")
        if found is None:
            return None
        return ProgramUser(UserRole.User, found.program.name, found)

    def create_session(
        self,
        name: Any,
        user: User = User(role=UserRole.Anonymous),  # noqa: B008 - as the class above
        external: bool = False,
    ) -> InternalSession:
        """Return a new session of a connection, `name` its address and port."""
        address = str(name[0]) if isinstance(name, tuple) else str(name)
        self._drop_unsigned()
        unsigned = [one for one in self.sessions if not one.is_activated()]
        if len(self.sessions) >= MOST_SESSIONS or (
            sum(one.address == address for one in unsigned) >= MOST_UNSIGNED
        ):
            self.refuse(address, "", "session", "too many sessions")
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        made = self._session(self, self.aspace, self.subscription_service, name, user, external)
        made.address = address
        return made

    def register_external_session(self, session: InternalSession) -> None:
        """Take a session under a token that cannot be guessed."""
        token = secrets.token_bytes(32)
        session.auth_token = ua.NodeId(token, 0, ua.NodeIdType.ByteString)
        super().register_external_session(session)

    def register_server(self, server: Any, conf: Any = None) -> None:  # noqa: ARG002 - the port has it
        """Refuse to list other servers."""
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)

    def _drop_unsigned(self) -> None:
        """Forget sessions whose connection went without a sign-in."""
        for one in self.sessions:
            if not one.is_activated() and time.monotonic() - one.began > SIGN_IN_S:
                self.unregister_external_session(one)


class GuardedSession(InternalSession):  # type: ignore[misc]
    """A session of a client: signed in on an encrypted channel with a trusted certificate."""

    address = ""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.began = time.monotonic()
        self._certificate: bytes | None = None
        self._free_at = 0.0

    @property
    def guard(self) -> GuardedServer:
        """Return the server of this session."""
        found = self.iserver
        if not isinstance(found, GuardedServer):
            raise TypeError("this session belongs to another server")
        return found

    @property
    def signed_in(self) -> SignedIn | None:
        """Return the program of this session."""
        return self.user.signed_in if isinstance(self.user, ProgramUser) else None

    @property
    def program(self) -> Program:
        """Return the program of this session. Raises ServiceError if there is none."""
        if self.signed_in is None:
            raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
        return self.signed_in.program

    def refuse(self, subject: str, why: str) -> None:
        """Count a refusal of this session."""
        name = self.signed_in.program.name if self.signed_in else ""
        self.guard.refuse(self.address, name, subject, why)

    def update(self, found: SignedIn) -> None:
        """Take the rights of now."""
        self.user = ProgramUser(UserRole.User, found.program.name, found)

    async def create_session(
        self, params: ua.CreateSessionParameters, sockname: tuple[str, int] | None = None
    ) -> ua.CreateSessionResult:
        self._require_trusted(params.ClientCertificate)
        return await super().create_session(params, sockname)

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        self._require_trusted(peer_certificate)
        if self._certificate not in (None, peer_certificate):
            self.refuse("session", "the session belongs to another client")
            raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)
        if self.guard.wrong.is_refused(self.address):
            self.refuse("sign-in", "too many wrong sign-ins of this address")
            raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
        before = self.user
        try:
            result = super().activate_session(params, peer_certificate)
        except (ServiceError, ua.uaerrors.UaStatusCodeError):
            self.guard.wrong.add(self.address)
            name = getattr(params.UserIdentityToken, "UserName", None) or "anonymous"
            self.guard.refuse(self.address, "", str(name)[:60], "the sign-in is wrong")
            raise
        if isinstance(before, ProgramUser) and before.name != self.user.name:
            self.user = before
            self.refuse("session", "the session belongs to another account")
            raise ServiceError(ua.StatusCodes.BadIdentityChangeNotSupported)
        self._certificate = peer_certificate
        return result

    def _require_trusted(self, certificate: bytes | None) -> None:
        """Raise ServiceError for a channel without encryption, and an unknown certificate."""
        if not certificate:
            self.refuse("session", "the channel is not encrypted")
            raise ServiceError(ua.StatusCodes.BadSecurityModeInsufficient)
        if certificate not in self.guard.trusted:
            self.refuse("session", "the certificate of the client is not trusted")
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    async def take_turn(self, each_s: float) -> None:
        """Wait until this session may ask again: it has a second ahead, then each request its
        time."""
        now = get_running_loop().time()
        self._free_at = max(self._free_at, now - 1.0) + each_s
        if self._free_at > now:
            await sleep(self._free_at - now)


class BoundedProtocol(OPCUAProtocol):  # type: ignore[misc]
    """A connection that is closed before it fills the memory."""

    _buffer: bytes

    def data_received(self, data: bytes) -> None:
        if len(self._buffer) + len(data) > MOST_UNREAD_BYTES:
            self._buffer = b""
            if self.transport is not None:
                self.transport.abort()
            return
        super().data_received(data)


class _BoundedBinaryServer(BinaryServer):  # type: ignore[misc]
    def _make_protocol(self) -> OPCUAProtocol:
        given = (self.iserver, self._policies, self.clients, self.closing_tasks, self.limits)
        return BoundedProtocol(*given)


class BoundedServer(Server):  # type: ignore[misc]
    """A server of bounded connections, with one security policy and mode."""

    async def start(self) -> None:
        self.limits.max_message_size = MOST_MESSAGE_BYTES
        self.limits.max_chunk_count = MOST_MESSAGE_BYTES // self.limits.max_recv_buffer
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = self._get_bind_socket_info()
        self.bserver = _BoundedBinaryServer(self.iserver, str(host), int(port or 0), self.limits)
        self.bserver.set_policies(self._policies)
        try:
            await self.bserver.start()
        except BaseException:
            await self.iserver.stop()
            raise
