"""The walks of `docs/walkthrough.md`, followed function by function: of a reading to its mail, of a
definition into service."""

import re
import sys
from itertools import dropwhile, groupby, zip_longest
from operator import gt
from pathlib import Path
from typing import NamedTuple

import pytest

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.adapters.receivers.egress import Egress
from alerting.adapters.receivers.email import EmailChannel
from alerting.definitions.file_form import FileForm
from alerting.settings.environment import Smtp
from alerting.usecases.document_kinds import DEFINITIONS
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.tables import check_readings
from alerting.usecases.notification.delivery import deliver_now
from tests.builders import at, too_hot
from tests.helpers.mail_server import serving_mail
from tests.helpers.mutes import mute_target
from tests.helpers.ovens import ANN, oven_platform
from tests.in_memory_platform import Mailbox

ROOT = Path(__file__).parents[2]
MOST_MODULES = 15
MOST_FUNCTIONS = 30
MOST_OF_APPLY = 12
PARTS_OF_FUNCTIONS = {"<lambda>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"}


def steps_below(title):
    """Return the steps of the first table below a title: each module with its functions."""
    page = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
    table = page.partition(title)[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    steps = re.findall(r"^\| .+ \| `([\w./]+\.py)` \| (.+) \|$", table, re.MULTILINE)
    return [(module, re.findall(r"`(\w+)`", names)) for module, names in steps]


def size_told(of):
    """Return the size of a walk that the page tells."""
    page = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
    sentence = rf"{of} runs at most (\d+) functions of (\d+) modules, and comes back (\d+) times"
    [numbers] = re.findall(sentence, page)
    return Size(*map(int, numbers))


READING = steps_below("## The walk of one reading")
APPLY = steps_below("**Into service.**")


class Size(NamedTuple):
    """How many functions a walk runs, of how many modules, and how often it comes back to one that
    it had left; comprehensions and lambdas are parts of their function."""

    functions: int
    modules: int
    returns: int


class Followed:
    """Functions of the package in the order in which they are first called inside the block."""

    def __init__(self):
        self.calls = {}
        self.visits = []

    def _note(self, frame, event, _):
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(f"{ROOT}/alerting/"):
            module = path.removeprefix(f"{ROOT}/alerting/")
            code = frame.f_code
            self.calls.setdefault((module, code.co_name), len(self.calls))
            if code.co_name not in PARTS_OF_FUNCTIONS:
                self.visits.append((module, code.co_qualname, code.co_firstlineno))

    def __enter__(self):
        self._before = sys.getprofile()
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_):
        sys.setprofile(self._before)

    def in_another_order(self, walk):
        """Return the steps of a walk that were not called, or before an earlier one."""
        steps = [(module, name) for module, names in walk for name in names]
        called = sorted((one for one in steps if one in self.calls), key=self.calls.get)
        return [(one, other) for one, other in zip_longest(steps, called) if one != other]

    def size(self, first):
        """Return the size of the walk from the first call of a function on, by its qualified
        name."""
        visits = [*dropwhile(lambda visit: visit[1] != first, self.visits)]
        modules = [module for module, _ in groupby(module for module, *_ in visits)]
        number = len(set(modules))
        return Size(len(set(visits)), number, len(modules) - number)


def send(platform, folder, minute, value):
    """Import a file with one reading, evaluate, and deliver."""
    file = folder / "line.csv"
    file.write_text(f"timestamp,temperature\n{at(minute).isoformat()},{value}\n")
    checked = check_readings(ReadingsFile(file, FileForm(asset="oven-1")), platform)
    checked.write(now=at(minute + 1), actor="engineer")
    platform.clock.instant = at(minute + 1)
    evaluate(platform, None, at(minute + 1))
    deliver_now(platform, at(minute + 1))


@pytest.fixture
def by_mail():
    """Return a platform that sends mails, with a definition in service, and where they come."""
    with serving_mail() as start:
        inbox, port = start()
        server = Smtp("127.0.0.1", port, "none", "Alerting <alerting@plant.example>")
        mail = EmailChannel("mail", "shift@plant.example", server, Egress(["127.0.0.1"]))
        yield oven_platform(mail, notify={"channels": ["mail"]}), inbox


def test_a_reading_takes_the_way_to_its_mail_that_the_walkthrough_tells(by_mail, tmp_path):
    platform, inbox = by_mail
    send(platform, tmp_path, 1, 180.0)
    assert inbox.mails == []
    with Followed() as followed:
        send(platform, tmp_path, 3, 230.0)
    [(_, received)] = inbox.mails
    assert "230" in received.get_body(("plain",)).get_content()
    assert followed.in_another_order(READING) == []
    size = followed.size("Checked.write")
    assert min(size) > 20
    assert not any(map(gt, size, size_told("From write to mail"))), size


def test_the_walk_of_a_mute_is_no_longer_than_the_walkthrough_tells(by_mail, tmp_path):
    platform, _ = by_mail
    send(platform, tmp_path, 3, 230.0)
    with Followed() as followed:
        mute_target(platform, "too-hot", "oven-1", ANN, at(5), at(60), "cleaning")
    [muted] = platform.episodes.find()
    assert muted.muted_by
    size = followed.size("start_mute")
    assert not any(map(gt, size, size_told("A mute"))), size


def test_a_definition_takes_the_way_into_service_that_the_walkthrough_tells():
    platform = oven_platform(Mailbox("mail"))
    document = too_hot(name="hotter", above=240.0)
    with Followed() as followed:
        DEFINITIONS.apply(platform, [document], "engineer", at(0), "test")
    assert platform.definitions.newest_revision("hotter").number == 1
    assert followed.in_another_order(APPLY) == []


def test_the_walk_of_a_reading_is_short_and_visits_no_module_twice():
    modules = [module for module, _ in READING]
    assert 10 <= len(modules) == len(set(modules)) <= MOST_MODULES
    assert sum(len(names) for _, names in READING) <= MOST_FUNCTIONS
    assert 5 <= sum(len(names) for _, names in APPLY) <= MOST_OF_APPLY
