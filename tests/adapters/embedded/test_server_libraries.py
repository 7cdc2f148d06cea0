"""A minimal Debian has less than the machines of developers: two libraries come with wheels of the
environment. The run on bare machines (`tests.bare.run`) shows that nothing else is lacking."""

import subprocess
import sys

import pytest

from alerting.adapters.mongo import embedded_mongod
from alerting.adapters.mongo.embedded_mongod import (
    LIBCURL,
    find_mongod,
    libcurl_of_wheel,
    library_path,
    missing_libraries,
)
from alerting.definitions.faults import UserError


def test_a_server_without_libcurl_gets_that_of_pycurl_also_after_a_new_environment(
    tmp_path, monkeypatch
):
    real = missing_libraries
    monkeypatch.setattr(
        embedded_mongod,
        "missing_libraries",
        lambda binary, path: real(binary, path) if path else [LIBCURL],
    )
    link = tmp_path / "libraries" / LIBCURL
    path = library_path(find_mongod(), tmp_path)
    link.unlink()
    link.symlink_to(tmp_path / "gone" / "libcurl-1.so.4.8.0")
    assert library_path(find_mongod(), tmp_path) == path
    assert path.split(":")[0] == str(link.parent)
    assert link.readlink() == libcurl_of_wheel()
    traced = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_LIBRARY_PATH": path}
    loaded = subprocess.run([find_mongod()], env=traced, capture_output=True, text=True, check=True)
    assert f"{LIBCURL} => {link}" in loaded.stdout
    assert real(link, path) == []


def test_a_missing_library_is_named_with_the_package_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_mongod, "missing_libraries", lambda *_: [LIBCURL, "libssl.so.3"])
    monkeypatch.setattr(embedded_mongod, "libcurl_of_wheel", lambda: None)
    with pytest.raises(UserError) as refusal:
        library_path(find_mongod(), tmp_path)
    words = ("needs libcurl.so.4, libssl.so.3", "apt-get install libcurl4 libssl3")
    assert [
        word for word in (*words, "ALERTING_MONGODB_URI") if word not in str(refusal.value)
    ] == []


def test_the_loader_is_asked_what_a_program_lacks(tmp_path):
    binary = tmp_path / "mongod"
    server = find_mongod().read_bytes()
    binary.write_bytes(server.replace(b"libcurl.so.4\0", b"libcurl.so.9\0", 1))
    binary.chmod(0o755)
    assert missing_libraries(binary, "") == ["libcurl.so.9"]


WITHOUT_OPENMP = """
import ctypes
real = ctypes.CDLL

def without_openmp(name, *arguments, **options):
    if name == "libgomp.so.1":
        raise OSError("libgomp.so.1: cannot open shared object file")
    return real(name, *arguments, **options)

ctypes.CDLL = without_openmp
from alerting.learning.models.families import lightgbm as family
from alerting.deferred import lightgbm, np

data = lightgbm.Dataset(np.arange(200.0).reshape(-1, 1), np.arange(200.0))
trained = lightgbm.train({"verbosity": -1, "num_threads": 2}, data, 5)
mapped = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "gomp" in line}
print(trained.num_trees(), sorted(name.split("/")[-1].split("-")[0] for name in mapped))
"""


def test_lightgbm_trains_with_the_openmp_of_scikit_learn_where_the_machine_has_none():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OPENMP], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "5 ['libgomp', 'memfd:libgomp.so.1 (deleted)']"
