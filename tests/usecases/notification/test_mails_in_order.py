"""The mails of whole episodes of a model, in order, as a reader sees them: subject, first lines,
and what must not be there."""

import pytest

from alerting.episodes.episode import OutcomeRecord, Transition
from alerting.episodes.prediction_rule import HORIZON_PASSED
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.notification.routing import correct_if_known_late
from alerting.usecases.operators import operate
from tests.builders import at as minute_of
from tests.helpers.coming_true import NORMAL, Line, at, last_humidity, warned  # noqa: F401 - fixture
from tests.helpers.episodes import episode
from tests.helpers.notifications import notice
from tests.helpers.ovens import ANN
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.usefixtures("last_humidity")
EXPECTED = "Moisture will probably exceed 5 % within 30 min (100 %; alarm at 50 %)."
PREDICTED = f"It was predicted Thu 1 Jan 00:10: {EXPECTED}"
RAISED = ("MEDIUM", EXPECTED, "Since Thu 1 Jan 00:10 (just now); expected by Thu 1 Jan 00:40.")
HAPPENING = (
    "It is happening",
    "Moisture is 5.5 %, limit 5 %, since Thu 1 Jan 00:25.",
    f"Predicted Thu 1 Jan 00:10 (25 min ago): {EXPECTED}",
)
IS_OVER = "Thu 1 Jan 00:10 to 01:10 (1 h): the problem is over."


def mails(line):
    """The change that the subject of each mail names, and the next two lines of the mail."""
    found = []
    for message in line.mail.messages:
        happened, _, alert = message.subject.partition(": ")
        assert alert == "Biscuits too moist on oven-1"
        assert message.text.startswith(f"{message.subject}\n")
        found.append((happened, *message.text.splitlines()[1:3]))
    return found


def test_expected_acknowledged_happening_over():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    line.run(5, 10)
    operate.acknowledge(line.platform, line.episodes[0].id, ANN, at(12))
    line.run(*range(15, 90, 5))
    happened = "It happened. As of Thu 1 Jan 00:35: "
    known = "Moisture is 5.5 %, limit 5 %, since Thu 1 Jan 00:25."
    assert mails(line) == [RAISED, HAPPENING, ("Over", IS_OVER, happened + known)]
    raised, happening, over = (message.text for message in line.mail.messages)
    assert over.splitlines()[3:] == [PREDICTED]
    assert "What to do: Slow the belt down" in raised
    assert "What to do: Slow the belt down" in happening


def test_a_problem_known_after_the_end_is_one_correction():
    line = warned(Line(delay=30, predict="state"))
    line.run(*range(5, 200, 5))
    passed = "Thu 1 Jan 00:10 to 00:50 (40 min): the risk is low again, without the problem so far."
    corrected = "It came after all, Thu 1 Jan 00:25; that was known only after the predicted time."
    assert mails(line) == [
        RAISED,
        ("Over", passed, PREDICTED),
        ("It happened after all", corrected, PREDICTED),
    ]


@pytest.mark.parametrize("later", [0, 30])
def test_no_correction_while_the_continuation_happens_however_many_episodes_follow(later):
    platform = in_memory_platform()
    line = Line()
    first = episode(
        0,
        "too-moist",
        condition="closed",
        closed_at=minute_of(30),
        is_prediction=True,
        valid_until=minute_of(30),
        transitions=(Transition("closed", minute_of(30), "platform", HORIZON_PASSED),),
        outcome_record=OutcomeRecord("hit", "it occurred", True, minute_of(25), False, False, 1),
    )
    second = episode(
        31, "too-moist", continues=first.id, is_prediction=True, happening_at=minute_of(35)
    )
    for stored, told in (((first, second), 1), ((first,), 2)):
        changes = EpisodeChanges(platform)
        for one in (*stored, *(episode(100 + n, "too-moist") for n in range(later))):
            changes.add(one)
        changes.notify([notice(f"{first.id}:raised:mail", 0, episode=first.id)])
        correct_if_known_late(changes, line.definition, first, minute_of(500))
        assert len(changes.of_episode(first.id)) == told
