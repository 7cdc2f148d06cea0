"""A promotion decision as a Markdown page: the decision and its reason, for the engineer who opens the training's run."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerting.learning.metrics.flatten import merge_metrics
from alerting.learning.selection.proposal import CandidateSummary, DatasetProfile, Proposal

METRIC_TITLES = {
    "ap": "average precision",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
    "event_recall": "share of problems found",
    "false_alarms_per_week": "false alarms a week and asset",
    "episode_precision": "precision over episodes",
    "time_in_alarm": "share of time in alarm",
    "median_lead_time": "median lead time",
}
# The five metrics by which engineers compare models; MLflow sorts by name, and these names come before all others.
MAIN_METRICS = {
    "event_recall": "1 share of problems found",
    "false_alarms_per_week": "2 false alarms a week and asset",
    "median_lead_time": "3 median lead time in minutes",
    "episode_precision": "4 precision over episodes",
    "ap": "5 average precision",
}
CANDIDATE_METRICS = {key: METRIC_TITLES[key] for key in ("ap", "roc_auc")}
_HEADLINES = {
    "promote": "The challenger is better and goes into service",
    "provisional": "The challenger goes into service provisionally",
    "keep": "The champion stays",
    "cannot_tell": "The evidence shows no difference; the champion stays",
    "no_challenger": "No challenger: nothing exceeds chance",
    "rejected": "A person rejected the challenger",
    "stale": "Too late: another model is in service since",
}
_MOST_VARIABLES = 10
_MINUTE = "%Y-%m-%d %H:%M"


def decision_markdown(proposal: Proposal) -> str:
    """Return the page of a decision, or of a proposal that waits for approval."""
    waits = ", waiting for approval" if proposal.waiting else ""
    parts = [
        f"# {proposal.definition}: {_headline(proposal)}{waits}",
        proposal.reason,
        _comparison_section(proposal),
        _candidates(proposal.leaderboard),
        "\n\n".join(f"## Chance\n\n{line}" for line in chance_lines(proposal.evidence)),
        _threshold(proposal.test),
        _test(proposal.test),
        _importance(proposal.importance),
        _data(proposal),
        _answers(proposal),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(proposal: Proposal) -> str:
    return _HEADLINES.get(proposal.verdict, proposal.verdict)


def side_by_side(proposal: Proposal) -> str:
    """Return champion and challenger as a Markdown table, on their common unseen window.

    Without such a window it shows the challenger's test period.
    """
    evidence = proposal.evidence
    metrics_by_model: dict[str, Mapping[str, Any]] = {
        model: merge_metrics(evidence["rows"][model], evidence["at_threshold"][model]) if "rows" in evidence else {}
        for model in ("champion", "challenger")
    }
    challenger = metrics_by_model["challenger"] or proposal.test
    lines = [
        f"| {title} | {format_metric(metrics_by_model['champion'], key)} | {format_metric(challenger, key)} |"
        for key, title in METRIC_TITLES.items()
    ]
    versions = f"| | champion {proposal.champion_version or '(none)'} | challenger {proposal.challenger_version or '(none)'} |"
    return "\n".join([versions, "| --- | ---: | ---: |", *lines])


def headline_metrics(test: Mapping[str, Any]) -> dict[str, float]:
    """Return the five main metrics of the test period, as far as they are known, by their names in MLflow."""
    found = {key: test.get(key) for key in MAIN_METRICS}
    scaled = {key: value / 60 if key == "median_lead_time" else value for key, value in found.items() if value is not None}
    return {MAIN_METRICS[key]: float(value) for key, value in scaled.items()}


def metrics_text(test: Mapping[str, Any]) -> str:
    """Describe the five metrics in one line: `share of problems found 0.8 (0.6 to 1), ...`."""
    return ", ".join(f"{METRIC_TITLES[key]} {format_metric(test, key)}" for key in MAIN_METRICS)


def dataset_lines(profile: DatasetProfile) -> list[str]:
    """Describe the data of a training, one line each."""
    parts = [
        f"{name}: {part.rows} rows, {part.positives} before a problem, {part.start:{_MINUTE}} to {part.end:{_MINUTE}} UTC"
        for name, part in profile.parts.items()
    ]
    whole = (
        f"{profile.problems} problems on {profile.assets} assets; {profile.columns} columns of "
        f"{profile.variables} variables; hash {profile.hash}"
    )
    dropped = ", ".join(f"{count} {reason}" for reason, count in profile.dropped.items() if count)
    return [*parts, whole, *([f"rows left out: {dropped}"] if dropped else []), *profile.notes]


def candidate_line(candidate: CandidateSummary) -> str:
    """Describe the result of a search in one line."""
    cut = ", cut short by the time budget" if candidate.cut_short else ""
    return f"{candidate.title}: {candidate_metrics(candidate)} out of fold, best of {candidate.trials} trials{cut}"


def candidate_metrics(candidate: CandidateSummary) -> str:
    """Describe the metrics of a candidate: `average precision 0.61 (0.52 to 0.7), ...`."""
    return ", ".join(f"{title} {format_metric(vars(candidate), key)}" for key, title in CANDIDATE_METRICS.items())


def ranked(leaderboard: Sequence[CandidateSummary]) -> list[CandidateSummary]:
    """Return the candidates, the best first."""
    return sorted(leaderboard, key=lambda candidate: -candidate.ap)


def decision_lines(proposal: Proposal) -> list[str]:
    """Describe the decision and its reason, one line each."""
    candidates = [candidate_line(candidate) for candidate in ranked(proposal.leaderboard)]
    test = [f"challenger, test period: {metrics_text(proposal.test)}"] if "ap" in proposal.test else []
    return [*candidates, *chance_lines(proposal.evidence), *test, f"{_headline(proposal)}. {proposal.reason}"]


def _comparison_section(proposal: Proposal) -> str:
    evidence = proposal.evidence
    if "rows" not in evidence:
        return ""
    window = evidence["window"]
    left_out = (
        f" {evidence['acted_rows']} of them belong to episodes that were acted upon and are left out."
        if evidence["acted_rows"]
        else ""
    )
    return (
        f"## Champion against challenger\n\nBoth scored {window['rows']} instants that neither has seen, "
        f"from {_instant(window['start'])} to {_instant(window['end'])}, with {evidence['events']} problems.{left_out} "
        f"In brackets: 95 % intervals.\n\n{side_by_side(proposal)}"
    )


def _candidates(leaderboard: Sequence[CandidateSummary]) -> str:
    rows = [
        f"| {c.title} | {format_metric(vars(c), 'ap')} | {format_metric(vars(c), 'roc_auc')} "
        f"| {c.trials}{' (cut short)' if c.cut_short else ''} |"
        for c in ranked(leaderboard)
    ]
    head = "| candidate | average precision | ROC-AUC | trials |\n| --- | ---: | ---: | ---: |"
    return "\n".join(
        ["## Candidates\n\nOut of fold, walking forward through the training period. In brackets: 95 % intervals.\n", head, *rows]
    )


def chance_lines(evidence: Mapping[str, Any]) -> list[str]:
    """Return the sentence on the test against chance; none where it failed, because the reason says so."""
    chance = evidence.get("chance", {})
    return [chance["message"]] if chance.get("passed") else []


def _threshold(test: Mapping[str, Any]) -> str:
    if "threshold" not in test:
        return ""
    return f"## Threshold\n\n{test['threshold']:.3g}: {test['threshold_reason']}. See `evidence/threshold.png`."


def _test(test: Mapping[str, Any]) -> str:
    if "ap" not in test:
        return ""
    rows = [f"| {title} | {format_metric(test, key)} |" for key, title in METRIC_TITLES.items()]
    if "n_events" in test:
        rows.append(f"| problems, episodes, false alarms | {test['n_events']}, {test['n_episodes']}, {test['n_false_alarms']} |")
    persistence = test.get("baseline", {}).get("ap")
    beside = f" The last known value alone would have an average precision of {_number(persistence)}." if persistence else ""
    head = "| challenger | figure |\n| --- | ---: |"
    return "\n".join(
        [
            f"## Test period\n\nScored once, after model and threshold were chosen. In brackets: 95 % intervals.{beside}\n",
            head,
            *rows,
        ]
    )


def _importance(shares: Mapping[str, float]) -> str:
    if not shares:
        return ""
    whole = sum(shares.values()) or 1.0
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    rows = [f"| {name} | {share / whole:.0%} |" for name, share in ranked[:_MOST_VARIABLES]]
    others = [share for _, share in ranked[_MOST_VARIABLES:]]
    if others:
        rows.append(f"| {len(others)} more | {sum(others) / whole:.0%} |")
    return "\n".join(["## Variables that it uses\n", "| variable | share |\n| --- | ---: |", *rows])


def _data(proposal: Proposal) -> str:
    profile = proposal.dataset
    rows = [
        f"| {name} | {part.rows} | {part.positives} | {part.start:{_MINUTE}} | {part.end:{_MINUTE}} |"
        for name, part in profile.parts.items()
    ]
    notes = [f"- {note}" for note in [*profile.notes, *proposal.test.get("notes", [])]]
    return "\n".join(
        [
            f"## Data\n\nRevision {proposal.revision} of the definition, as of {proposal.as_of:{_MINUTE}} UTC; "
            f"{profile.columns} columns of {profile.variables} variables on {profile.assets} assets, "
            f"{profile.problems} problems. Hash `{profile.hash}`.\n",
            "| part | rows | before a problem | from (UTC) | to (UTC) |\n| --- | ---: | ---: | --- | --- |",
            *rows,
            *(["", *notes] if notes else []),
        ]
    )


def _answers(proposal: Proposal) -> str:
    """Describe the effect of operators' feedback; empty without feedback."""
    texts = [text for text in (proposal.answers, proposal.answers_difference) if text]
    return "\n\n".join(["## Feedback of operators", *texts]) if texts else ""


def format_metric(metrics: Mapping[str, Any], key: str) -> str:
    """Format one metric with its confidence interval: `0.61 (0.52 to 0.7)`; `-` where it is unknown."""
    bounds, say = metrics.get("intervals", {}).get(key), _minutes if key == "median_lead_time" else _number
    return say(metrics.get(key)) + (f" ({say(bounds[0])} to {say(bounds[1])})" if bounds else "")


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.0f} min"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _instant(iso: str) -> str:
    return f"{iso[:10]} {iso[11:16]}"
