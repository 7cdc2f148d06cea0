"""The steps to a first alarm, by what there is."""

from alerting.usecases.alarm_load.definition_overview import first_steps

STEPS = ["connect", "look", "ask", "preview", "apply", "notify"]
# whether there are data, definitions, active ones and routes -> what is done, and what is next
CASES = {
    (False, False, False, False): ([], "connect"),
    (True, False, False, False): (STEPS[:1], "look"),
    (True, True, False, False): (STEPS[:3], "preview"),
    (True, True, True, False): (STEPS[:5], "notify"),
    (False, False, False, True): (["notify"], "connect"),
    (False, True, False, True): (["ask", "notify"], "connect"),
    (True, True, True, True): (STEPS, None),
}


def test_each_step_knows_whether_it_is_done_and_one_is_next():
    found = {}
    for there in CASES:
        steps = first_steps(*there)
        assert [step.name for step in steps] == STEPS
        following = [step.name for step in steps if step.is_next]
        found[there] = ([step.name for step in steps if step.is_done], *(following or [None]))
    assert found == CASES
