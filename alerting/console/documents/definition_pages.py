"""Definitions at the console: the list, one with its revisions, models and reports on tabs, and the
editor, with texts to start from, a preview on the past, scenarios, and the effects of a change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from pydantic import BeforeValidator, Field

from alerting.adapters.yaml_documents import parse_yaml
from alerting.console.access import Engineer, Served, Viewer, actor_of
from alerting.console.alarms.alarm_charts import (
    charts_of_last_days,
    present_mutes,
    preview_figure,
    raises_spark,
)
from alerting.console.alarms.report_tables import report_values
from alerting.console.api.parameters import (
    EXAMPLE,
    MOST_VALUES,
    NAME,
    SCENARIO_EXAMPLE,
    FormField,
    FormText,
    Id,
    NameQuery,
    read_yaml_document,
    write_yaml,
)
from alerting.console.documents.definition_answers import (
    DefinitionSummary,
    ForecastView,
    summarise,
    view_forecast,
)
from alerting.console.documents.definition_api import (
    PreviewId,
    PreviewJob,
    Previews,
    RunningPreviews,
    begin_preview,
)
from alerting.console.documents.document_api import (
    ConsoleKind,
    Draft,
    EditorAnswer,
    FormFields,
    PressedButton,
    ReviewView,
    SentDraft,
)
from alerting.console.documents.document_pages import (
    apply_draft,
    render_editor,
    render_page,
    review_draft,
)
from alerting.console.documents.draft_variables import (
    find_draft_assets,
    last_values,
    needs_model,
    offer_variables,
    switch_settable,
    takes_advice,
)
from alerting.console.documents.starting_texts import (
    MOST_OFFERED,
    ChosenSubject,
    alert_at_limit,
    asks_for_variable,
    find_subject,
    list_starts,
    starting_text,
)
from alerting.console.model_values import model_values
from alerting.console.plant.trend_picture import read_instant
from alerting.console.rendering import (
    FormEngineer,
    FormOperator,
    address_with,
    language_of,
    render,
    zone_of,
)
from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    Revision,
)
from alerting.definitions.asset_documents import asset_titles
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.kinds.registry import definition_types
from alerting.ports import Document, Platform, Progress
from alerting.usecases.alarm_load.definition_overview import (
    ORDERS,
    STATES,
    DefinitionLine,
    WantedDefinitions,
    definition_line,
    find_definitions,
)
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.draft_training import train_draft
from alerting.usecases.backtest.preview import CACHED_S, PreviewedAlarms, can_preview
from alerting.usecases.definitions.next_steps import clock_times
from alerting.usecases.definitions.scenarios import run_scenarios
from alerting.usecases.document_kinds import DEFINITIONS, DefinitionEffects
from alerting.usecases.document_life import StoredDocument
from alerting.usecases.operators.links_and_misses import report_miss
from alerting.usecases.scoring.remaining_lives import newest_lives
from alerting.usecases.training.definition_dataset import require_model

router = APIRouter(include_in_schema=False)
LINES_SHOWN = 50
EPISODES_SHOWN = 10


@router.get("/definitions", response_class=HTMLResponse)
def definitions(
    request: Request,
    platform: Served,
    _: Viewer,
    text: NameQuery = "",
    state: NameQuery = "",
    asset: NameQuery = "",
    sort: NameQuery = "",
    after: Annotated[str, Query(max_length=NAME)] = "",
) -> str:
    """Return the list of wanted definitions, from a name on."""
    filters = WantedDefinitions(text.strip(), state if state in STATES else "", asset.strip())
    order = sort if sort.removeprefix("-") in ORDERS else ""
    listed = find_definitions(platform, platform.clock.now(), filters, after, LINES_SHOWN, order)
    named = {name for line in listed.lines for name in written_assets(line.latest)}
    titles = asset_titles(platform.assets.get_many(named).values())
    return render(
        "definitions/definitions.html",
        request,
        found=listed,
        sparks={
            line.name: raises_spark(line.raises, language_of(request)) for line in listed.lines
        },
        assets={line.name: shown_assets(line.latest, titles) for line in listed.lines},
        wanted=filters,
        order=order,
        states=STATES,
        number=sum(listed.states.values()),
        address=lambda **changed: address_with(
            "/definitions", vars(filters) | {"sort": order} | changed
        ),
        budget=platform.budget.per_day,
        first=not after,
        now=platform.clock.now(),
    )


def page_values(
    request: Request,
    platform: Platform,
    stored: StoredDocument[Definition],
    status: DefinitionLine | None,
) -> dict[str, Any]:
    """Return the values of the page of a definition. `status`: its line, None if it was never
    valid."""
    now = platform.clock.now()
    line = status or definition_line(platform, now, stored.name)
    is_trained = line.latest is not None and isinstance(line.latest.definition, ModelDefinition)
    tab = chosen_tab(request.url.path, request.query_params)
    is_first = tab == "alarms"
    episodes = (
        platform.episodes.find(definition=stored.name, limit=EPISODES_SHOWN) if is_first else ()
    )
    named = {*(episode.asset for episode in episodes), *written_assets(line.latest)}
    titles = asset_titles(platform.assets.get_many(named).values())
    return {
        "d": line,
        "clock_times": clock_times(stored.read) if stored.read else (),
        "spark": raises_spark(line.raises, language_of(request)),
        "tab": tab,
        "tabs": {key: name for key, name in TABS.items() if is_trained or key != "model"},
        "episodes": episodes,
        "charts": charts_of_last_days(request, platform, line, now)
        if is_trained and is_first
        else (),
        "asset_titles": titles,
        "lives": newest_lives(platform, line.latest.definition, now)
        if is_first and line.latest is not None
        else {},
        "assets": shown_assets(line.latest, titles),
        "budget": platform.budget.per_day,
        "days": platform.budget.days,
        "mutes": present_mutes(request, platform, now, definition=stored.name),
        **(model_values(request, platform, stored.name) if tab == "model" else {}),
        **(report_values(platform, stored.name) if tab == "reports" else {}),
    }


TABS = {
    "alarms": translatable("Alarms"),
    "revisions": translatable("Revisions"),
    "document": translatable("Document"),
    "model": translatable("Model"),
    "reports": translatable("Reports"),
}


def chosen_tab(path: str, query: Mapping[str, str]) -> str:
    """Return the tab of the page of a definition that an address shows."""
    tab = {"models": "model", "reports": "reports", "misses": "reports"}.get(path.split("/")[1])
    if tab is None and ("from" in query or path.endswith("/restore")):
        tab = "revisions"
    chosen = tab or query.get("tab", "")
    return chosen if chosen in TABS else "alarms"


@router.get("/models/{name}", response_class=HTMLResponse)
def show_models(name: Id, request: Request, platform: Served, _: Viewer) -> Response:
    """Return the page of a definition with its models."""
    return render_page(DEFINITION_PAGES, request, platform, name)


@router.get("/reports", response_class=HTMLResponse)
def reports(
    request: Request, platform: Served, _: Viewer, definition: NameQuery | None = None
) -> Response:
    """Return the page of performance reports of all definitions, or the page of one with its
    reports."""
    if definition:
        return render_page(DEFINITION_PAGES, request, platform, definition)
    shown = report_values(platform)
    return HTMLResponse(render("reports.html", request, now=platform.clock.now(), **shown))


@router.post("/misses", response_class=HTMLResponse)
def send_miss(
    request: Request,
    platform: Served,
    person: FormOperator,
    definition: FormField = "",
    asset: FormField = "",
    at: FormField = "",
    comment: FormText = "",
) -> Response:
    """Record a reported miss. `at`: local time of the plant, as the form gives it."""
    try:
        if not at:
            raise UserError(translatable("give the time at which the problem happened"))
        moment = read_instant(request, at)
        report_miss(
            platform, definition, asset, moment, comment, actor_of(person), platform.clock.now()
        )
    except NotFound:
        raise
    except UserError as fault:
        typed = {"asset": asset, "at": at, "comment": comment, "refusal": fault.message}
        return render_page(
            DEFINITION_PAGES, request, platform, definition, status_code=422, typed=typed
        )
    return RedirectResponse(f"/reports?definition={definition}#misses", 303)


editor_routes = APIRouter(include_in_schema=False)
WEEKS = (1, 2, 4, 8, 13)
_PATIENCE_S = 1.5  # for a preview, before its page shows progress
_SCENARIOS = translatable("the scenarios")


@editor_routes.get("/definitions/new", response_class=HTMLResponse)
def choose_start(
    request: Request,
    platform: Served,
    _: Engineer,
    start: NameQuery = "",
    asset: NameQuery = "",
    variable: NameQuery = "",
    limit_of: NameQuery = "",
) -> str:
    """Return the page that asks for a question, or the editor with the text to start from.
    `limit_of`: the definition whose alert at the limit is that text."""
    if limit_of:
        draft = Draft(alert_at_limit(platform, limit_of), as_form=False)
        return render_editor(DEFINITION_PAGES, request, platform, draft, EditorAnswer())
    subject = find_subject(platform, asset, variable)
    if not start:
        named = subject if asset or variable else ChosenSubject()
        return render("definitions/starts.html", request, starts=list_starts(), subject=named)
    if not asks_for_variable(start):
        subject = replace(subject, variables=())
    draft = Draft(starting_text(platform, start, subject), as_form=False)
    answer = EditorAnswer(more={"start": start, "subject": subject})
    return render_editor(DEFINITION_PAGES, request, platform, draft, answer)


@editor_routes.get("/previews/{id}", response_class=HTMLResponse)
def show_preview(
    id: PreviewId, request: Request, platform: Served, person: Engineer, previews: RunningPreviews
) -> str:
    """Return the editor with one's own preview: its progress, or its result."""
    job = previews.find(person.name, id)
    if job.draft is None:
        raise NotFound(f"preview {id!r} was begun by a program")
    weeks = max(1, round((job.identity[2] - job.identity[1]) / timedelta(weeks=1)))
    answer = EditorAnswer(more={"preview": job, "weeks": weeks})
    return render_editor(DEFINITION_PAGES, request, platform, job.draft, answer)


@editor_routes.post("/previews/{id}/end", response_class=Response, status_code=204)
def end_preview(id: PreviewId, person: FormEngineer, previews: RunningPreviews) -> None:
    """Stop one's own preview, because its page is left; a result stays."""
    previews.find(person.name, id).cancelled.set()


def _run_scenarios(pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer:
    """Return the answer with the results of scenarios, of a text that is a list or a scenario file.
    Raises UserError."""
    parsed = parse_yaml(pressed.sent.draft.scenarios, _SCENARIOS, MOST_VALUES)
    written = parsed[0] if len(parsed) == 1 else None
    listed = written.get("scenarios") if isinstance(written, dict) else written
    if not isinstance(listed, list) or not listed:
        raise UserError(
            translatable("the scenarios: write a list, each with a title, readings, and expect")
        )
    tested = run_scenarios(pressed.document, listed, _SCENARIOS, pressed.platform.zone)
    return replace(answer, more={"tested": tested})


def _save_draft(pressed: PressedButton, _: EditorAnswer) -> Response:
    document = {**pressed.document, "state": "draft"}
    return apply_draft(DEFINITION_PAGES, replace(pressed, document=document))


def _stop_preview(pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer:
    pressed.request.app.state.previews.cancel(pressed.person.name)
    return review_draft(DEFINITION_PAGES, pressed, answer)


def _preview(pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer | Response:
    """Begin a preview, and lead to its page. A page that asks by itself gets the review of a draft
    without a possible preview."""
    if pressed.sent.input("live"):
        subject = written_subject(pressed.platform, pressed.document)
        if not can_preview(subject.definition):
            return review_draft(DEFINITION_PAGES, pressed, answer)
    previews: Previews = pressed.request.app.state.previews
    owner = pressed.person.name
    platform = pressed.platform
    weeks = _chosen_weeks(pressed.sent)
    start, end = _period(previews.find_newest(owner), platform.clock.now(), weeks)
    job = begin_preview(platform, previews, owner, pressed.document, start, end, pressed.sent.draft)
    job.ended.wait(_PATIENCE_S)
    return RedirectResponse(f"/previews/{job.id}", 303)


def _train_draft(pressed: PressedButton, _: EditorAnswer) -> Response:
    """Begin the training of a draft in memory, and lead to its page. Raises UserError."""
    previews: Previews = pressed.request.app.state.previews
    platform = pressed.platform
    owner = pressed.person.name
    period = _period(previews.find_newest(owner), platform.clock.now(), _chosen_weeks(pressed.sent))
    subject = written_subject(platform, pressed.document)
    require_model(subject.revision)
    identity = (f"training {subject.revision.hash}", *period)
    draft = pressed.sent.draft
    name = subject.definition.name

    def compute(progress: Progress, require_time: Callable[[], None]) -> PreviewedAlarms:
        return train_draft(platform, subject, platform.clock.now(), progress, require_time)

    job = previews.run(PreviewJob(owner, name, identity, draft, is_training=True), compute)
    job.ended.wait(_PATIENCE_S)
    return RedirectResponse(f"/previews/{job.id}", 303)


def _chosen_weeks(sent: SentDraft | None) -> int:
    weeks = sent.input("weeks") if sent else ""
    return int(weeks) if weeks in map(str, WEEKS) else 4


def _period(before: PreviewJob | None, now: datetime, weeks: int) -> tuple[datetime, datetime]:
    """Return the period of the person's previous preview, whose series are held, else the last
    weeks."""
    length = timedelta(weeks=weeks)
    if before is not None:
        _, start, end = before.identity
        if end - start == length and timedelta(0) <= now - end < timedelta(seconds=CACHED_S):
            return start, end
    return now - length, now


def _edit_values(
    request: Request, platform: Platform, draft: Draft, answer: EditorAnswer
) -> dict[str, Any]:
    """Return the values that the editor of definitions shows beside a draft: its preview and
    scenarios."""
    job: PreviewJob | None = answer.more.get("preview")
    newest = platform.definitions.newest_revision(draft.name) if draft.name else None
    made = job.made if job else None
    assets = platform.assets.all()
    draft_assets = find_draft_assets(platform, draft)
    is_running = job is not None and not job.ended.is_set()
    last = {} if is_running else last_values(platform, draft_assets, language_of(request))
    events = platform.assets.event_types() if draft.as_form else ()
    figure, drawn_asset = _preview_figure(request, job)
    review = answer.review
    accepted = answer.sent.accepted if answer.sent else ""
    effects = review.effects if review else None
    is_beyond = isinstance(effects, DefinitionEffects) and effects.breaks_budget
    return {
        "variables": offer_variables(draft_assets or assets, last),
        "settable": offer_variables(draft_assets, last) if takes_advice(draft) else (),
        "offered": {
            "assets": {asset.name: asset.title or "" for asset in assets},
            "problem.event": {type.name: type.title or "" for type in events},
        },
        "described": describe_definition(platform, review.read) if review else "",
        "title": (newest.definition.title or draft.name) if newest else draft.name,
        "may_be_draft": not newest or newest.definition.state == "draft",
        "job": job,
        "running": is_running,
        "trains": needs_model(draft),
        "made": made,
        "figure": figure,
        "drawn_asset": drawn_asset,
        "asset_titles": asset_titles(
            platform.assets.get_many(_named_assets(made, drawn_asset)).values()
        ),
        "budget": platform.budget.per_day,
        "all_weeks": WEEKS,
        "weeks": answer.more.get("weeks") or _chosen_weeks(answer.sent),
        "example": write_yaml([SCENARIO_EXAMPLE]),
        "most_offered": MOST_OFFERED,
        "tested": answer.more.get("tested", ()),
        "start": answer.more.get("start", ""),
        "about": answer.more.get("subject"),
        "accepted": accepted,
        "is_fresh": _is_fresh(draft, answer),
        "asks_for_load": bool(accepted) or (is_beyond and bool(answer.fault)),
    }


def _is_fresh(draft: Draft, answer: EditorAnswer) -> bool:
    """Return whether a page asks for the preview of its text when it is opened."""
    subject: ChosenSubject | None = answer.more.get("subject")
    is_whole = subject is None or not (subject.assets or subject.variables)
    return answer.sent is None and "preview" not in answer.more and bool(draft.text) and is_whole


def _preview_figure(request: Request, job: PreviewJob | None) -> tuple[Markup, str]:
    """Return the chart of a preview, its result or a sketch while it is under way, and the asset
    that is drawn; empty without one."""
    if job is None or job.draft is None:
        return Markup(), ""
    document = read_yaml_document(job.draft.text, translatable("the text"))
    drawn = job.made.drawn if job.made else job.sketch
    if drawn is None or (job.made is None and job.ended.is_set()):
        return Markup(), ""
    language = language_of(request)
    names = {"suppressed": language.say("suppressed by design")}
    if job.made and job.made.compared:
        compared = job.made.compared
        names["draft"] = f"{language.say('only here')}: {compared.only_draft}"
        names["both"] = f"{language.say('in both')}: {compared.both}"
        names["served"] = f"{language.say('only in service')}: {compared.only_served}"
    elif job.made:
        is_problem = bool(job.made.problems)
        names |= {"problem": language.say("problem")} if drawn.problem else {}
        names["draft"] = language.say("problem" if is_problem else "would be an alarm")
    if not job.made:
        document = {}  # a limit moves once the result is there
    return preview_figure(drawn, zone_of(request), language, document, names), drawn.asset


def _named_assets(made: PreviewedAlarms | None, drawn_asset: str) -> set[str]:
    named = {episode.asset for episode in made.newest} if made else set()
    problems = made.problems.newest if made and made.problems else ()
    return named | {problem.asset for problem in problems} | ({drawn_asset} - {""})


class DefinitionReviewView(ReviewView):
    """The effect of a document; a faulty one has faults alone. `clock_times`: its hours and
    schedule, with their time zones; `load`: null if the change cannot cause alarms; `next`: when it
    is evaluated or trained."""

    warnings: list[str] = Field(default_factory=list)
    clock_times: list[str] = Field(default_factory=list)
    load: Annotated[
        ForecastView | None,
        BeforeValidator(lambda forecast: view_forecast(forecast) if forecast else None),
    ] = None
    next: str | None = None


def _starting_fields(document: Document) -> frozenset[str]:
    """Return the fields with which a definition of the kind of a document begins."""
    starts_of_kind = definition_types()[str(document["kind"])].starts
    return frozenset(key for start in starts_of_kind for key in start.fields("", 0.0))


DEFINITION_PAGES = ConsoleKind(
    DEFINITIONS,
    example=EXAMPLE,
    title=translatable("Definitions"),
    new=translatable("New definition"),
    reads="read",
    own_list=True,
    page="definitions/definition.html",
    line_view=DefinitionSummary,
    view_status=summarise,
    review_view=DefinitionReviewView,
    status=lambda platform, definition, now: definition_line(platform, now, definition.name),
    more=page_values,
    as_form=False,
    editor="definitions/editor.html",
    editing=_edit_values,
    fields=FormFields(starting=_starting_fields, named=frozenset({"variable", "by"})),
    new_page="/definitions/new",
    buttons={
        "preview": _preview,
        "train": _train_draft,
        "test": _run_scenarios,
        "draft": _save_draft,
        "stop": _stop_preview,
        "settable": switch_settable,
    },
)


def written_assets(latest: Revision | None) -> Sequence[str]:
    """Return the names and patterns of assets in the newest revision of a definition."""
    return latest.definition.assets if latest else ()


def shown_assets(latest: Revision | None, titles: Mapping[str, str]) -> str:
    """Return the assets of a definition by their titles, and patterns as they are written."""
    return ", ".join(titles.get(name, name) for name in written_assets(latest))


def describe_definition(platform: Platform, definition: Definition | None) -> str:
    """Return what a definition watches, with titles and units of the variables; empty if it watches
    none."""
    if definition is None:
        return ""
    matched = platform.assets.find_matching(definition.assets)
    variables = {name: variable for asset in matched for name, variable in asset.variables.items()}
    events = {type.name: type.title or type.name for type in platform.assets.event_types()}
    return definition.describe(variables, events)
