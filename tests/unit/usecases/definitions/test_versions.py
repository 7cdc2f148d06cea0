from alerting.ports import DecisionRecord
from alerting.usecases.definitions.versions import champion_at, segments
from tests.builders import at, classifier, revision


def decision(minute, version, promoted=True):
    return DecisionRecord(
        "too-moist", at(minute), 1, version, None, promoted, False, "promote", "better", {}, f"run-{version}", "platform"
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
