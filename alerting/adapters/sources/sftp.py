"""A connection to an SFTP server whose host key is known beforehand, as a file system of fsspec."""

from pathlib import Path
from stat import S_IFMT, S_IFREG, S_ISLNK
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem
from fsspec.spec import AbstractFileSystem

from alerting.adapters.sources.addresses_and_secrets import require_private
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.sources import FilesSource

FAULTS = (OSError, EOFError, paramiko.SSHException)
_CONNECT_S = 10
_ANSWER_S = 60


class ByteNames(paramiko.SFTPClient):  # type: ignore[misc]
    """Client for which a name that is no UTF-8 is a name, with its bytes as Python holds them."""

    def _request(self, *arguments: Any) -> Any:
        kind, message = super()._request(*arguments)
        message.get_text = lambda: message.get_string().decode("utf-8", "surrogateescape")
        return kind, message

    def _adjust_cwd(self, path: str | bytes) -> bytes:
        name = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
        return cast(bytes, super()._adjust_cwd(name))


class CheckedSftp(SFTPFileSystem):  # type: ignore[misc]
    """File system of a connection: never moves onto a file; only regular files are files."""

    cachable = False

    def __init__(self, client: Any) -> None:
        AbstractFileSystem.__init__(self)
        self.client = client
        self.ftp = ByteNames.from_transport(client.get_transport())
        self.ftp.get_channel().settimeout(_ANSWER_S)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return the entries of a folder, or their paths."""
        entries = [self._decode_stat(stat, path) for stat in self.ftp.listdir_attr(path)]
        return entries if detail else [entry["name"] for entry in entries]

    @staticmethod
    def _decode_stat(stat: Any, parent_path: str | None = None) -> dict[str, Any]:
        """Return an entry. Pipes and devices are `other`, because opening one would wait for
        ever."""
        for field in ("st_mode", "st_atime", "st_mtime"):  # a server may leave them out
            setattr(stat, field, getattr(stat, field) or 0)
        entry: dict[str, Any] = SFTPFileSystem._decode_stat(stat, parent_path)
        if entry["type"] == "file" and S_IFMT(stat.st_mode) not in (0, S_IFREG):
            entry["type"] = "other"
        return entry

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether a name is taken, also by a link to nothing."""
        try:
            self.ftp.lstat(path)
        except FileNotFoundError:
            return False
        return True

    def is_link(self, path: str) -> bool:
        """Return whether a path is a link."""
        return S_ISLNK(self.ftp.lstat(path).st_mode or 0)

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        """Rename a file. Raises OSError if the new name is taken."""
        self.ftp.rename(path1, path2)

    def close(self) -> None:
        """End the connection."""
        self.client.close()


def open_sftp(source: FilesSource, address: str) -> CheckedSftp:
    """Return a connection to `sftp://user:password@host:22`. Raises UserError, without the address,
    if it cannot connect.

    The host key must be in `known_hosts`, else in ~/.ssh/known_hosts; a first key is never accepted
    unseen. The login is by password or by the key that the source names, not by an agent or other
    keys of this machine.
    """
    try:
        url = urlsplit(address)
        host = url.hostname
        port = url.port or 22
    except ValueError:
        host = None
        port = 0
    if not host or not url.username:
        hint = (
            "write for example sftp://user:password@host, in a password %2F for /, %23 for # and "
            "%3F for ?"
        )
        raise UserError(
            f"source {source.name}: its url is not the address of an SFTP server; {hint}"
        )
    host_keys = (
        Path(source.known_hosts) if source.known_hosts else Path.home() / ".ssh" / "known_hosts"
    )
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.load_host_keys(str(host_keys))
        if source.key is not None:
            require_private(Path(source.key))
        client.connect(
            host,
            port,
            unquote(url.username),
            unquote(url.password) if url.password else None,
            key_filename=source.key,
            timeout=_CONNECT_S,
            banner_timeout=_CONNECT_S,
            auth_timeout=_CONNECT_S,
            channel_timeout=_CONNECT_S,
            allow_agent=False,
            look_for_keys=False,
        )
        return CheckedSftp(client)
    except FAULTS as error:
        client.close()
        raise UserError(
            f"source {source.name}: {host}: {_explain_fault(error, host_keys, host, port)}"
        ) from error


def _explain_fault(error: Exception, host_keys: Path, host: str, port: int) -> str:
    scan = f"`ssh-keyscan -p {port} {host}`"
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"shows another host key than {host_keys} has: another server answers, or its key was "
            f"changed; compare with {scan}"
        )
    if isinstance(error, paramiko.AuthenticationException):
        return "refuses the user, or the password or key"
    if isinstance(error, FileNotFoundError | PermissionError):
        return (
            f"{error.filename} cannot be read: {error.strerror}; host keys come from {scan}, after "
            "comparing the fingerprint"
        )
    if isinstance(error, paramiko.SSHException) and "not found in known_hosts" in str(error):
        return (
            f"its host key is not in {host_keys}: add what {scan} prints, after comparing the "
            "fingerprint"
        )
    return f"no connection: {first_line(error)}"
