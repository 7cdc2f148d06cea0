"""One definition of a kind with a model on one asset: trained, evaluated as live, and compared with
its past."""

from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, check
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.in_memory_platform import in_memory_platform


def platform_with(asset, rows, document):
    """Return a platform with an asset, its readings and an applied definition."""
    made = in_memory_platform()
    made.assets.store_assets([asset])
    add_readings(made, rows, at(0))
    check(made, [document])
    apply(made, [document], "engineer", at(0), "test")
    return made


def trained_at(platform, name, minute):
    """Train in this minute and return the decision."""
    platform.clock.instant = at(minute)
    return train(platform, name, at(minute))


def evaluated(platform, instants):
    """Evaluate at each of these minutes and return the counts of the last one."""
    for minute in instants:
        platform.clock.instant = at(minute)
        counts = evaluate(platform, None, at(minute))
    return counts


def in_service(made, decided, instants):
    """Assert that a model went into service by itself, and evaluate it without anything unknown."""
    assert (decided.promote, decided.waiting, decided.verdict) == (True, False, "promote")
    counts = evaluated(made, instants)
    assert (counts.unknown, counts.unreadable) == ({}, {})
    return made


def kept(platform, name):
    """Return when the episodes were raised and closed that late data did not refute."""
    return sorted(
        (e.raised_at, e.closed_at) for e in platform.episodes.find(name) if not e.withdrawn
    )


def assert_past_agrees_with_live(platform, name, start, end):
    """Assert that backtest, evaluation of the past and report show the episodes of live
    evaluation."""
    live = kept(platform, name)
    run = backtest(platform, named_subject(platform, name), at(start), at(end))
    assert sorted((e.raised_at, e.closed_at) for e in run.episodes) == live
    assert evaluate_past(platform, name, at(start), at(end)).raised == 0
    report = make_report(platform, name, at(start), at(end), at(end))
    assert sum(report.metrics["outcomes"].values()) == len(live)


def life_of(asset, rows, document, trained, until, described):
    """Return the results of a definition: the refusal, or decision, notes, and its episodes as
    `described`."""
    platform = in_memory_platform()
    platform.assets.store_assets([asset])
    add_readings(platform, rows, at(0))
    try:
        apply(platform, [document], "engineer", at(0), "test")
        decided = trained_at(platform, document["name"], trained)
    except Exception as refusal:
        return str(refusal)
    notes = (decided.evidence or {}).get("notes")
    if decided.waiting:
        return "waiting", decided.reason, notes
    evaluated(platform, range(trained, until, 97))
    return decided.reason, notes, [described(episode) for episode in platform.episodes.find()]


def described(episode):
    """Return the parts of an episode that people see."""
    e = episode
    times = (e.raised_at, e.closed_at, e.valid_until)
    result = (e.severity_peak, e.outcome_record)
    return *times, *result, e.evaluation.value, e.evaluation.reason, e.title, e.guidance
