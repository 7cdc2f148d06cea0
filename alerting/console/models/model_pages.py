"""Pages of models: what is trained, what waits for a decision, and what each model found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id
from alerting.console.language import language_of
from alerting.console.web.rendering import render
from alerting.console.web.values import value_shapes
from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition, ModelDefinition, TrainedDefinition
from alerting.definitions.wording.language import Language, template, translatable
from alerting.learning.metrics.confidence import merge_metrics
from alerting.learning.selection.proposal import Proposal
from alerting.ports import DecisionRecord, ModelUnavailable, PlatformAlert
from alerting.reporting.base.messages import NONE, number, seconds
from alerting.reporting.definition.decisions import (
    describe_unseen,
    explain_waiting,
    summarise_decision,
)
from alerting.reporting.figures.bars import importance_bars
from alerting.reporting.figures.operating_curve import curve_line, operating_points
from alerting.reporting.page.decision_text import (
    candidate_titles,
    cut_short_lines,
    format_metric,
    metric_lines,
    proposed_alert,
    ranked,
    side_by_side,
)
from alerting.usecases.alarm_load.asset_overview import newest_importance
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.platform_alerts import DRIFTED, MISCALIBRATED
from alerting.usecases.registry.registration import ModelEvidence
from alerting.usecases.training.overview import model_lines, model_report
from alerting.usecases.training.progress import training_under_way

router = APIRouter(include_in_schema=False)
STATE_NAMES = {
    "waiting": translatable("waits for a decision"),
    "training": translatable("in training"),
    "requested": translatable("training requested"),
    "failed": translatable("training failed"),
    "cancelled": translatable("training cancelled"),
    "due": translatable("not trained yet"),
    "refused": translatable("no model"),
    "serving": translatable("in service"),
}


_COMPARED = {
    "event_recall": template("Problems found"),
    "false_alarms_per_week": template("False alarms a week and asset"),
    "median_lead_time": template("Median lead time"),
    "episode_precision": template("Alarms that are right"),
    "time_in_alarm": template("Time in alarm"),
    "ap": template("Average precision of the scores"),
}


@router.get("/models", response_class=HTMLResponse)
def list_models(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of all models."""
    return render(
        "model_list.html",
        request,
        lines=model_lines(platform),
        states=STATE_NAMES,
        now=platform.clock.now(),
    )


@router.get("/models/{name}", response_class=HTMLResponse)
def models(name: Id, request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of a definition's models."""
    revision = require_revision(platform.definitions, name)
    definition = revision.definition
    now = platform.clock.now()
    titled = {"name": name, "title": definition.title or name}
    if not isinstance(definition, ModelDefinition):
        return render("models.html", request, line=None, now=now, **titled)
    report = model_report(platform, name)
    history = report.history
    decisions = report.decisions
    assets = platform.assets.all()
    variables = {
        name: variable.title
        for asset in assets
        for name, variable in asset.variables.items()
        if variable.title
    }
    measured = newest_importance(decisions)
    shown = measured.evidence["importance"]["variables"] if measured else {}
    return render(
        "models.html",
        request,
        line=report.line,
        states=STATE_NAMES,
        history=history,
        values=value_shapes(platform, definition, assets, request),
        without_alarm=_has_values_alone(decisions, history["champion"]),
        under_way=training_under_way(
            history["unfinished"], now, datetime.now(UTC), platform.line_speed()
        ),
        training=_training(history["training"]),
        importance=importance_bars(shown, variables, language_of(request)) if measured else None,
        measured=measured,
        waiting=report.waiting,
        why_waiting=report.waiting and explain_waiting(report.waiting.objection),
        comparison=comparison_rows(report.waiting, language_of(request)),
        evidence=report.evidence,
        unseen=report.evidence and describe_unseen(report.evidence.version, report.evidence.test),
        variables=variables,
        curve=describe_curve(report.evidence, definition),
        provisional=next((_reason(d) for d in reversed(decisions) if d.promoted), ""),
        decisions=[
            (d, _summary(d), proposed_alert(d.evidence)) for d in list(reversed(decisions))[:20]
        ],
        alerts=_alerts(platform, name, assets),
        links=_links(request, platform, name, report.evidence),
        now=now,
        **titled,
    )


def _alerts(platform: Platform, name: str, assets: Sequence[Asset]) -> list[PlatformAlert]:
    """Return the open alerts on a model and on the inputs from its assets."""
    subjects = {MISCALIBRATED: {name}, DRIFTED: {asset.name for asset in assets}}
    found = platform.platform_alerts.open()
    return [alert for alert in found if alert.subject in subjects.get(alert.kind, ())]


def describe_curve(evidence: ModelEvidence | None, definition: Definition) -> dict[str, Any] | None:
    """Return the operating points of a version, with their places in a plot; None if its training
    stored none."""
    if evidence is None or not isinstance(definition, TrainedDefinition):
        return None
    points = operating_points(evidence.curve, definition.operating_point.max_time_in_alarm)
    if not points:
        return None
    places = curve_line(points)
    return {
        "points": list(zip(points, places, strict=True)),
        "path": " ".join(
            f"{x * 10:g},{y * 10:g}"
            for point, (x, y) in zip(points, places, strict=True)
            if point.at_most is not None
        ),
        "most": max(point.on_all for point in points),
        "assets": points[0].assets or 1,
    }


def comparison_rows(proposal: Proposal | None, language: Language) -> list[list[str]]:
    """Return what a person compares as rows of cells, the first with the headings: the version in
    service, if there is one, and the one that waits."""
    if proposal is None:
        return []
    evidence = proposal.evidence
    if "compared" in evidence:
        heading, _, *rows = side_by_side(proposal).splitlines()
        return [[cell.strip() for cell in row.strip("|").split("|")] for row in (heading, *rows)]
    waits = proposal.refreshed_version or proposal.challenger_version
    models = {"challenger": language.say("version {version}, which waits", version=str(waits))}
    measured = {"challenger": proposal.test}
    if "rows" in evidence:
        measured = {
            model: merge_metrics(evidence["rows"][model], evidence["at_threshold"][model])
            for model in ("champion", "challenger")
        }
        served = str(proposal.champion_version)
        present = {"champion": language.say("version {version}, in service", version=served)}
        models = present | models
    return [
        ["", *models.values()],
        *(
            [
                language.translate(title),
                *(_metric(measured[model], key, language) for model in models),
            ]
            for key, title in _COMPARED.items()
            if any(measured[model].get(key) is not None for model in models)
        ),
    ]


def _metric(metrics: Mapping[str, Any], key: str, language: Language) -> str:
    """Return a metric with its interval in this language."""

    def show(value: float) -> str:
        if key == "median_lead_time":
            return seconds(value, language)
        is_share = key in ("event_recall", "episode_precision", "time_in_alarm")
        return language.share(value) if is_share else number(value, 3, language)

    value = metrics.get(key)
    bounds = metrics.get("intervals", {}).get(key)
    if value is None or not bounds:
        return NONE if value is None else show(value)
    low, high = map(show, bounds)
    return f"{show(value)} ({language.say('{low} to {high}', low=low, high=high)})"


def _links(
    request: Request,
    platform: Platform,
    name: str,
    evidence: ModelEvidence | None,
) -> dict[str, str]:
    """Return addresses of the run in MLflow and of the DAG in Airflow."""
    try:
        run = None if evidence is None else platform.runs.page(evidence.run_id)
    except ModelUnavailable:
        run = None
    airflow = request.app.state.airflow
    found = {"MLflow": run, "Airflow": airflow and f"{airflow}/dags/train__{name}"}
    return {title: address for title, address in found.items() if address}


def _has_values_alone(decisions: Sequence[DecisionRecord], version: int | None) -> bool:
    """Return whether the values of a version serve without an alarm."""
    served = [d for d in decisions if d.promoted and d.challenger_version == version]
    return version is not None and bool(served) and "values" in served[-1].evidence


def _training(training: Any | None) -> dict[str, Any] | None:
    if training is None:
        return None
    lines = [vars(candidate) for candidate in ranked(training["leaderboard"])]
    titles = candidate_titles(training["leaderboard"])
    test = training["test"]
    return {
        "run": training["run_id"],
        "titles": list(titles.values()),
        "candidates": [
            [
                line["family"].replace("_", " "),
                *(format_metric(line, key) for key in titles),
                line["trials"],
            ]
            for line in lines
        ],
        "lines": [
            *cut_short_lines(training["leaderboard"]),
            *training["chance"],
            *(metric_lines(test) if "ap" in test else ()),
            *test.get("notes", ()),
        ],
    }


def _summary(decision: DecisionRecord) -> str:
    d = decision
    return summarise_decision(d.verdict, d.champion_version, d.actor, d.reason, d.evidence)


def _reason(decision: DecisionRecord) -> str:
    """Return why a model serves, without what the candidates below say of the search."""
    return _summary(replace(decision, evidence={**decision.evidence, "cut_short": None}))
