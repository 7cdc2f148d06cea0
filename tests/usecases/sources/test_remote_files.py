"""A source of kind `files` at an SFTP server and in an S3 store: each file is stored once, then put
away there."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerting.adapters.sources import file_drops
from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import SourceFiles, object_store
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.ports import WantedHistory
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.file_servers import create_bucket, s3_server, sftp_server  # noqa: F401 - fixtures
from tests.in_memory_platform import memory_platform

GOOD = "ts;t\n05.01.2026 12:00;1,5\n05.01.2026 12:01;2,5\n"


class OverSftp:
    """The folder that the server shows. `options`: fields of a source."""

    def __init__(self, server, folder):
        self.root = str(folder)
        self.address = server.address
        self.options = {"known_hosts": str(server.known_hosts), "key": str(server.key)}
        self.changed = 1_767_000_000
        (folder / "in").mkdir()

    def write(self, name, text):
        Path(self.root, name).write_text(text)
        self.changed += 1
        os.utime(f"{self.root}/{name}", (self.changed, self.changed))

    def names(self):
        found = [
            os.path.relpath(f"{folder}/{name}", self.root)
            for folder, _, names in os.walk(self.root)
            for name in names
        ]
        return sorted(found)


class OverS3:
    """A bucket of the server."""

    def __init__(self, port, folder):
        self.address = f"s3://key:secret@?endpoint_url=http://127.0.0.1:{port}"
        self.root = f"/{folder.name.lower().replace('_', '-')[-40:]}x"
        self.options = {"unchanged_for": "0s"}
        self.store = object_store(self.address)
        create_bucket(port, self.root[1:])

    def write(self, name, text):
        with self.store.open_output_stream(f"{self.root[1:]}/{name}") as file:
            file.write(text.encode())

    def names(self):
        from pyarrow import fs

        found = self.store.get_file_info(fs.FileSelector(self.root[1:], recursive=True))
        return sorted(
            info.path.partition("/")[2] for info in found if info.type == fs.FileType.File
        )


@pytest.fixture(params=["sftp", "s3"])
def server(request, tmp_path):
    made = OverSftp if request.param == "sftp" else OverS3
    return made(request.getfixturevalue(f"{request.param}_server"), tmp_path)


@pytest.fixture
def sftp(sftp_server, tmp_path):  # noqa: F811
    return OverSftp(sftp_server, tmp_path)


@pytest.fixture
def platform():
    return memory_platform()


def document(server, **changes):
    plain = {
        "name": "lab",
        "kind": "files",
        "url": {"env": "LAB"},
        "pattern": f"{server.root}/in/*.csv",
        "asset": "oven-1",
    }
    plain |= {"done": f"{server.root}/done", "bad": f"{server.root}/bad", **server.options}
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def readers(server):
    resolve = resolver({"LAB": server.address})
    return Readers(SourceFiles(resolve), SqlReader(resolve))


def stored(platform):
    frame = platform.readings.load(
        WantedHistory(platform.assets.get("oven-1"), None, None)
    ).readings
    return {ts.strftime("%H:%M"): value for ts, value in frame["t"].items()}


def test_good_files_are_stored_and_moved_and_bad_ones_have_the_reason_beside_them(platform, server):
    SOURCES.apply(platform, [document(server)], "ada", at(0))
    server.write("in/a.csv", GOOD)
    server.write("in/b.csv", "ts;t\nnever;1\n")
    server.write("in/notes.txt", "nothing")
    found = poll(platform, readers(server), "lab", at(1))
    assert (found.new, found.refused) == (2, 1)
    assert stored(platform) == {"12:00": 1.5, "12:01": 2.5}
    assert server.names() == ["bad/b.csv", "bad/b.csv.reason.txt", "done/a.csv", "in/notes.txt"]
    # another one of this name, perhaps of the same second
    server.write("in/a.csv", GOOD.replace("2,5", "13,5"))
    assert poll(platform, readers(server), "lab", at(2)).new == 1
    assert "done/2-a.csv" in server.names()
    assert stored(platform)["12:01"] == 13.5


def test_a_folder_that_is_not_there_or_too_full_and_a_file_that_is_too_large_are_said(
    platform, server, monkeypatch
):
    nowhere = document(server, pattern=f"{server.root}/nowhere/*.csv")
    SOURCES.apply(platform, [nowhere], "ada", at(0))
    with pytest.raises(UserError, match="no such file or folder"):
        poll(platform, readers(server), "lab", at(1))
    SOURCES.apply(platform, [document(server)], "ada", at(2))
    for name in "abc":
        server.write(f"in/{name}.csv", GOOD)
    with monkeypatch.context() as few, pytest.raises(UserError, match="narrower pattern"):
        few.setattr(file_drops, "MOST_ENTRIES", 2)
        poll(platform, readers(server), "lab", at(1))
    monkeypatch.setattr(file_drops, "MOST_BYTES", 10)
    assert poll(platform, readers(server), "lab", at(3)).refused == 3
    assert "at most 10 of a file" in platform.deliveries.progress("lab").fault
    assert server.names()[:2] == ["bad/a.csv", "bad/a.csv.reason.txt"]


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "a\nb.csv", "a.csv"])
def test_a_name_that_leaves_the_folder_or_a_file_of_another_size_than_listed_is_not_read(
    platform, sftp, name, monkeypatch
):
    sftp.write("in/a.csv", GOOD)
    SOURCES.apply(platform, [document(sftp, pattern=f"{sftp.root}/in/*")], "ada", at(0))
    entry = {
        "name": f"{sftp.root}/in/{name}",
        "size": 5,
        "type": "file",
        "mtime": datetime.now(UTC) - timedelta(days=1),
    }
    monkeypatch.setattr(file_drops.RemoteDrop, "_list", lambda *_: [entry])
    with pytest.raises(UserError, match=r"no name of a file|no such file|changed while it was"):
        poll(platform, readers(sftp), "lab", at(1))


def test_a_host_key_that_is_unknown_or_another_one_is_refused(platform, sftp, tmp_path):
    sftp.write("in/a.csv", GOOD)
    (tmp_path / "none").write_text("")
    port = sftp.address.rpartition(":")[2].strip("/")
    public = Path(sftp.options["key"]).with_suffix(".pub").read_text()
    (tmp_path / "other").write_text(f"[127.0.0.1]:{port} {public}")
    told = {"none": "its host key is not in", "other": "another host key", "x": "cannot be read"}
    for name, message in told.items():
        known = document(sftp, known_hosts=str(tmp_path / name))
        SOURCES.apply(platform, [known], "ada", at(0))
        with pytest.raises(UserError, match=message):
            poll(platform, readers(sftp), "lab", at(1))
    assert (tmp_path / "none").read_text() == ""
    assert sftp.names() == ["in/a.csv", "none", "other"]


ADDRESSES = {
    "sftp://host:x/": "is not|names",
    "sftp://host": "is not|names",
    "ftp://a:hidden@b": "is no address of a server",
    "s3://k:hidden@?nothing=1": "has unknown fields: nothing",
    "s3://[": "is not|names",
    "x": "is no address of a server",
    "sftp://ada:hidden@127.0.0.1:1": "no connection",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_leads_to_no_server_is_refused_without_showing_it(platform, sftp, address):
    SOURCES.apply(platform, [document(sftp)], "ada", at(0))
    sftp.address = address
    with pytest.raises(UserError, match=ADDRESSES[address]) as refusal:
        poll(platform, readers(sftp), "lab", at(1))
    assert "hidden" not in str(refusal.value)
