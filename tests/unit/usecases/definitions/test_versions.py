from alerting.ports import DecisionRecord
from alerting.usecases.definitions.versions import champion_at, line_of_champions, segments
from tests.builders import at, classifier, revision


def decision(minute, version, promoted=True, verdict="promote"):
    return DecisionRecord(
        "too-moist", at(minute), 1, version, None, promoted, False, verdict, "better", {}, f"run-{version}", "platform"
    )


def test_a_stretch_is_cut_where_the_revision_or_the_champion_changed():
    first = revision(classifier(), at(0))
    second = revision(classifier(horizon="1h"), at(40), before=first)
    parts = segments([first, second], [decision(20, 1), decision(30, 2, promoted=False)], at(-10), at(60))
    assert [(p.start, p.end, p.revision and p.revision.number, p.model_version) for p in parts] == [
        (at(-10), at(0), None, None),
        (at(0), at(20), 1, None),
        (at(20), at(40), 1, 1),
        (at(40), at(60), 2, 1),
    ]


def test_a_rejected_challenger_never_comes_into_service():
    assert champion_at([decision(10, 1), decision(20, 2, promoted=False)], at(30)) == 1
    assert champion_at([decision(10, 1)], at(9)) is None


def test_a_refit_that_gave_way_serves_no_more_from_then_on_also_after_a_rollback_to_its_version():
    made = [decision(0, 1), decision(20, 1, verdict="gave_way"), decision(30, 2), decision(40, 1, verdict="rollback")]
    parts = segments([revision(classifier(), at(0))], made, at(0), at(60))
    assert [(p.start, p.model_version, p.by_twin) for p in parts] == [
        (at(0), 1, False),
        (at(20), 1, True),
        (at(30), 2, False),
        (at(40), 1, True),
    ]
    assert line_of_champions(made[:3]) == [1, 2]
    assert line_of_champions(made) == [1]
