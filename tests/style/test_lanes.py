"""Lanes of the tests, and what a run of all of them prints."""

import ast
import os
import re
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.lanes import LANES, TESTS, lane_of
from tests.run import by_lane, find_files, main, next_lane, write_seconds
from tests.worker import Worker

pytestmark = pytest.mark.fast
ROOT = TESTS.parent
MOST_OF_THEIR_OWN = 11
BUILDS = re.compile(r"\b(?:EmbeddedMongod|running_airflow|MlflowModels|open_chromium|train)\(")
OPTIONS = ("-q", "-p", "tests.conftest", "-p", "no:cacheprovider")  # for files outside of tests


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return what a run of all lanes prints over a folder of small files, and the folder."""
    folder = tmp_path_factory.mktemp("tests")
    (folder / "conftest.py").write_text(
        "import os, pytest\n"
        "@pytest.fixture(scope='session')\n"
        f"def server(): open(f'{folder}/server-{{os.getpid()}}', 'x')\n"
    )
    (folder / "test_bad.py").write_text("def test_c(server):\n    assert 1 == 2\n")
    (folder / "test_dies.py").write_text("import os\ndef test_f(): os.kill(os.getpid(), 9)\n")
    (folder / "test_good.py").write_text("def test_a(server): pass\ndef test_b(): pass\n")
    (folder / "test_left_out.py").write_text(
        "import pytest\n"
        "def test_d(): pytest.skip('needs a broker: apt-get install mosquitto')\n"
        "def test_e(server): pytest.skip('needs pages: apt-get install chromium')\n"
    )
    (folder / "test_torn.py").write_text("import nothing_of_this_name\ndef test_g(): pass\n")
    return run_lanes(folder), folder


def run_lanes(folder, program="sys.exit(run.main(sys.argv[1:]))"):
    """Run the lanes over a folder, one process at once, by a program that can change constants."""
    words = [
        "-c",
        f"import sys; from tests import run; {program}",
        *OPTIONS,
        f"--rootdir={folder}",
        str(folder),
    ]
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | {"WORKERS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_tells_failures_and_slow_tests_and_what_installs_the_rest(run):
    done, _ = run
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout
    failed = [line for line in lines if line.startswith("FAILED")]
    assert failed == ["FAILED test_bad.py::test_c", "FAILED test_torn.py"]
    assert "    E       assert 1 == 2" in lines
    assert any(line.endswith("test_good.py::test_a") for line in lines)
    assert [line.partition("::")[2] for line in lines if line.startswith("failed:")] == ["test_c"]
    assert (
        "2 tests were left out; this installs what they need: "
        "sudo apt-get install --no-install-recommends chromium mosquitto"
    ) in lines
    assert lines[-1].startswith("==== 1 error, 1 failed, 2 passed, 2 skipped in ")


def test_a_process_that_dies_is_named_with_its_file_and_the_others_run_in_one_more(run):
    done, folder = run
    assert f"lane use cases ended with -9, at {folder}/test_dies.py:" in done.stdout
    assert len([*folder.glob("server-*")]) == 2, "a process starts what its files share once"


def test_what_a_session_shares_and_cannot_stop_is_named_and_the_run_is_red(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import pytest, time\n"
        "@pytest.fixture(scope='session')\n"
        "def no_start(): raise OSError('no port')\n"
        "@pytest.fixture(scope='session')\n"
        "def endless():\n    yield\n    time.sleep(600)\n"
        "@pytest.fixture(scope='session')\n"
        "def torn():\n    yield\n    raise OSError('still bound')\n"
    )
    (tmp_path / "test_endless.py").write_text("def test_a(endless): pass\n")
    (tmp_path / "test_torn.py").write_text(
        "import pytest\npytestmark = pytest.mark.fast\n"
        "def test_b(torn): pass\ndef test_c(no_start): pass\n"
    )
    done = run_lanes(tmp_path, "run.END_S = 2; run.NEWS_S = 0.3; sys.exit(run.main(sys.argv[1:]))")
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout
    assert "error: test_torn.py::test_c" in lines
    assert "error: the end of the lane core" in lines
    assert "    OSError: still bound" in lines
    assert re.search(r"files wait; its end \(use cases, \d s\)", done.stdout), done.stdout
    assert "lane use cases ended with -6, at its end, which took more than 2 s:" in lines
    assert re.search(r'conftest.py", line \d+ in endless', done.stdout)
    assert lines[-1].startswith("==== 2 error, 2 passed in ")


def test_an_interrupted_run_is_not_green_and_says_what_never_ran(tmp_path):
    (tmp_path / "test_a.py").write_text(
        "import os, signal, time\n"
        "def test_a():\n    os.kill(os.getppid(), signal.SIGINT)\n    time.sleep(1)\n"
    )
    for name in "bc":
        (tmp_path / f"test_{name}.py").write_text("def test_b(): assert 0\n")
    done = run_lanes(tmp_path)
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert "interrupted: 2 files never ran" in done.stdout.splitlines()
    assert "==== 1 passed in " in done.stdout


def test_a_file_that_a_process_does_not_know_is_an_error(monkeypatch):
    monkeypatch.setattr("tests.worker.record_branches", lambda: None)
    ours, theirs = Pipe()
    worker = Worker(theirs)
    session = SimpleNamespace(perform_collect=lambda genitems: [])
    worker.pytest_collection(session)
    ours.send("/tests/test_unknown.py")
    with pytest.raises(KeyError, match="test_unknown"):
        worker.pytest_runtestloop(session)


def test_one_more_process_goes_where_most_is_left_and_nowhere_for_a_few_seconds():
    waiting = {"many": {f"test_{n}.py": 5.0 for n in range(20)}, "long": {"test_long.py": 60.0}}
    assert next_lane(waiting, {}) == "many"
    assert next_lane(waiting, {"many": 1}) == "long"
    assert next_lane({"many": waiting["many"]}, {"many": 5}) == "many"
    assert next_lane({"many": waiting["many"]}, {"many": 6}) is None
    assert next_lane({"few": {"test_few.py": 1.0}}, {}) == "few"


def test_the_seconds_of_a_run_are_the_order_of_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.run.SECONDS", tmp_path / "seconds.txt")
    here = Path(__file__)
    write_seconds({here: 40.2, TESTS / "test_docker.py": 0.4})
    assert by_lane([here, TESTS / "test_docker.py"]) == {
        "core": {here: 40.0},
        "use cases": {TESTS / "test_docker.py": 1.0},
    }


@pytest.mark.parametrize(
    ("words", "ended", "is_written"),
    [(["-m", ""], True, True), (["-m", "", "-k", "a"], True, False), (["-m", ""], False, False)],
)
def test_only_a_whole_run_that_ended_writes_seconds(
    words, ended, is_written, tmp_path, monkeypatch
):
    def run(self, at_once):
        self.seconds = dict.fromkeys([*self.words][not ended :], 40.0)
        self.lines = [
            {"test": "", "outcome": "skipped", "text": "", "seconds": 0.0, "lane": "core"}
        ]

    seconds = tmp_path / "seconds.txt"
    seconds.write_text("")
    monkeypatch.setattr("tests.run.SECONDS", seconds)
    monkeypatch.setattr("tests.run.Run.run", run)
    monkeypatch.setenv("WORKERS", "1")
    main(["--times", *words, "tests"])
    assert ("40 style/test_lanes.py" in seconds.read_text()) == is_written


def test_words_that_are_paths_choose_files_and_all_others_are_options():
    file = str(Path(__file__).relative_to(ROOT))
    words, options = find_files(["-m", "tests", "--co", f"{file}::test_a", f"{file}::test_b"])
    assert words == {Path(__file__): [f"{file}::test_a", f"{file}::test_b"]}
    assert options == ["-m", "tests", "--co"]
    assert find_files([f"tests/style/../{Path(file).relative_to('tests')}"])[0].keys() == {
        Path(__file__)
    }
    for option in ("--ignore", "--deselect", "--rootdir", "-c", "--basetemp", "--confcutdir"):
        assert find_files([option, "tests"]) == ({}, [option, "tests"])
    assert TESTS / "test_docker.py" in find_files(["tests"])[0]


def test_each_lane_has_files_and_those_that_start_airflow_share_one():
    lanes = {lane_of(file).name for file in TESTS.rglob("test_*.py")}
    assert lanes == {lane.name for lane in LANES}
    starting = [
        file
        for file in TESTS.rglob("test_*.py")
        if "running_airflow(" in file.read_text() and file != Path(__file__)
    ]
    assert {lane_of(file).name for file in starting} == {"platform"}


def test_a_library_that_a_lane_does_without_is_refused_where_it_is_loaded(tmp_path):
    file = tmp_path / "test_loads.py"
    file.write_text(
        "import pytest\npytestmark = pytest.mark.fast\ndef test_a():\n    import optuna\n"
    )
    command = [sys.executable, "-m", "pytest", "--lane", "core", *OPTIONS, str(file)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "without which the lane core runs" in found.stdout
    assert "test_a loads ['optuna" in found.stdout


def shared_fixtures():
    """Yield the file, code and description of each fixture of a module or of a session."""
    for file in TESTS.rglob("test_*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            decorators = " ".join(map(ast.unparse, getattr(node, "decorator_list", ())))
            if "fixture(scope=" in decorators:
                yield file.name, ast.unparse(node), ast.get_docstring(node) or ""


def test_a_fixture_that_builds_its_own_says_why_and_they_are_few():
    """A server, a scheduler, a registry, a trained model: otherwise those of the whole run."""
    builders = [
        (name, description) for name, code, description in shared_fixtures() if BUILDS.search(code)
    ]
    assert [name for name, description in builders if "Its own: " not in description] == []
    assert len(builders) <= MOST_OF_THEIR_OWN
