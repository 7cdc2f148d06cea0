"""Contract of the stores of sinks: how far each has delivered, and its dead letters."""

from dataclasses import replace

from alerting.ports import SinkLetter, SinkMessage, SinkProgress, SinkStep
from tests.builders import at
from tests.helpers.stores import broken_in_memory

MESSAGE = SinkMessage("out:e:1", "alarms", "too-hot", "oven-1", at(1), {"a": [1]}, "high")


def letter(number, minute=1):
    id = f"out:e:{number}"
    return SinkLetter(id, "out", replace(MESSAGE, key=id), "no", at(minute))


def step(position, sent=1, letters=(), alarms=None):
    return SinkStep(position, at(2), sent, 3, at(2), alarms or {}, letters)


def test_a_sink_begins_once_also_after_a_fault(stores):
    one = stores.sink_deliveries
    assert one.progress("out") == SinkProgress()
    one.set_fault("out", "away", at(0))
    one.begin("out", "a", at(1))
    one.begin("out", "z", at(9))
    found = one.progress("out")
    assert (found.position, found.until, found.sent, found.fault) == ("a", at(1), 0, "away")
    assert not one.advance("out", None, step("b"))
    assert one.advance("out", "a", replace(step("b"), selected="all"))
    assert one.advance("out", "b", step("c"))
    assert (one.progress("out").position, one.progress("out").selected) == ("c", "all")


def test_only_the_process_that_stood_there_advances_a_sink_which_may_begin_without_a_position(
    stores,
):
    one = stores.sink_deliveries
    one.begin("out", None, at(1))
    assert (one.progress("out").position, one.progress("out").until) == (None, at(1))
    assert one.advance("out", None, step("a"))
    assert not one.advance("out", None, step("b"))
    assert one.advance("out", "a", step("b", sent=2))
    found = one.progress("out")
    assert (found.position, found.sent, found.left_out) == ("b", 3, 6)
    assert (found.until, found.sent_at, found.fault) == (at(2), at(2), None)


def test_a_fault_stays_since_it_came_until_something_is_delivered(stores):
    one = stores.sink_deliveries
    one.set_fault("out", "away", at(1))
    one.set_fault("out", "still away", at(5))
    assert (one.progress("out").fault, one.progress("out").fault_at) == ("still away", at(1))
    assert one.advance("out", None, step("a", sent=0))
    assert (one.progress("out").fault, one.progress("out").sent_at) == (None, None)
    one.set_fault("out", "away", at(9))
    assert one.progress("out").fault_at == at(9)


def test_the_number_of_changes_that_are_out_never_falls(stores):
    one = stores.sink_deliveries
    one.advance("out", None, step("a", alarms={"e": 3, "f": 1}))
    one.advance("out", "a", step("b", alarms={"e": 2}))
    assert one.sent_alarms("out", {"e", "f", "g"}) == {"e": 3, "f": 1}
    assert one.sent_alarms("other", {"e"}) == {}


def test_dead_letters_are_kept_whole_and_once_until_they_are_sent_again_or_removed(stores):
    one = stores.sink_deliveries
    first = letter(1)
    second = letter(2, minute=2)
    one.advance("out", None, step("a", letters=[second, first]))
    one.advance("out", "a", step("b", letters=[letter(2, minute=9)]))
    assert (one.letters("out", 9), one.letters("out", 1)) == ([first, second], [first])
    assert (one.count_letters("out"), one.count_letters("other")) == (2, 0)
    assert one.letters("out", 9, again=True) == []
    assert one.retry_letters("out") == 2
    assert [found.id for found in one.letters("out", 9, again=True)] == [first.id, second.id]
    still = replace(first, reason="still no")
    one.replace_letter(still)
    one.remove_letters([second.id])
    assert (one.letters("out", 9), one.letters("out", 9, again=True)) == ([still], [])


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
