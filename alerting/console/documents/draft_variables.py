"""Variables of the assets that a draft of a definition names, to choose from: with title, unit and
newest value, and whether operators can set them, which is a field of the asset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from alerting.console.api.parameters import read_yaml_document
from alerting.console.documents.document_api import Draft, EditorAnswer, PressedButton
from alerting.console.plant.trend_picture import numeric_names
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import flat_changes
from alerting.definitions.wording.language import Language
from alerting.kinds.registry import definition_types, sometimes_trained_kinds, trained_kinds
from alerting.ports import Document, Platform
from alerting.reporting.phrases import number
from alerting.usecases.ingestion.asset_import import ASSETS, AssetEffects


@dataclass(frozen=True)
class OfferedVariable:
    """A variable to choose, of some assets. `last`: its newest value with its unit, else the unit;
    `settable`: on how many of the `declared` assets operators can set it; `is_computed`: so they
    can set it nowhere."""

    name: str
    title: str
    last: str
    settable: int
    declared: int
    is_computed: bool

    @property
    def about(self) -> str:
        """Return its title, value and unit."""
        return ", ".join(part for part in (self.title, self.last) if part)


def offer_variables(
    assets: Sequence[Asset], last: Mapping[str, str]
) -> tuple[OfferedVariable, ...]:
    """Return the variables of assets, each once, by name. `last`: newest values by name."""
    declared: dict[str, list[Variable]] = {}
    for asset in assets:
        for name, variable in asset.variables.items():
            declared.setdefault(name, []).append(variable)
    return tuple(
        OfferedVariable(
            name,
            variables[-1].title or "",
            " ".join(part for part in (last.get(name), variables[-1].unit) if part),
            sum(variable.controllable for variable in variables),
            len(variables),
            any(variable.computed is not None for variable in variables),
        )
        for name, variables in sorted(declared.items())
    )


def _written(draft: Draft) -> Document:
    """Return the document of a draft, empty for a text that is no document."""
    try:
        return read_yaml_document(draft.text, "the text")
    except UserError:
        return {}


def find_draft_assets(platform: Platform, draft: Draft) -> Sequence[Asset]:
    """Return the assets that a draft names, faulty as it may be."""
    names = _written(draft).get("assets")
    written = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return [
        asset
        for asset in platform.assets.find_matching(written)
        if any(fnmatchcase(asset.name, pattern) for pattern in written)
    ]


def takes_advice(draft: Draft) -> bool:
    """Return whether alarms of a draft come with advice on what operators can set."""
    kind = definition_types().get(str(_written(draft).get("kind")))
    return kind is not None and issubclass(kind, TrainedDefinition)


def needs_model(draft: Draft) -> bool:
    """Return whether a draft has a model, which a training makes."""
    document = _written(draft)
    kind = str(document.get("kind"))
    prefixes = tuple(f"{path}." for path in sometimes_trained_kinds().get(kind, ()))
    return kind in trained_kinds() or any(
        f"{path}.".startswith(prefixes) for path in flat_changes({}, document)
    )


def last_values(platform: Platform, assets: Sequence[Asset], language: Language) -> dict[str, str]:
    """Return the newest numbers of the variables of the first five assets, by name, as people read
    them."""
    last: dict[str, str] = {}
    few = assets[:5]
    newest = platform.readings.newest_readings(platform.clock.now(), [a.name for a in few])
    for asset in few:
        if asset.name in newest:
            until = newest[asset.name].ts
            since = dict.fromkeys(numeric_names(asset), until - timedelta(days=1))
            values = platform.readings.newest_values(asset, since, until)
            for name in values:
                numbers = values[name].dropna()
                if len(numbers):
                    last.setdefault(str(name), number(float(numbers.iloc[-1]), 4, language))
    return last


def switch_settable(pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer:
    """Declare in the assets of a draft whether operators can set a variable: nowhere if they could
    everywhere, else everywhere. Raises UserError if a definition would become faulty by it."""
    platform = pressed.platform
    name = pressed.sent.do.partition(":")[2]
    assets = [a for a in find_draft_assets(platform, pressed.sent.draft) if name in a.variables]
    becomes = not all(asset.variables[name].controllable for asset in assets)
    documents = []
    for asset in assets:
        document = ASSETS.write(asset)
        document["variables"][name] = {**document["variables"][name], "controllable": becomes}
        effects = ASSETS.review(platform, document).effects
        if isinstance(effects, AssetEffects) and effects.broken:
            raise UserError(
                f"{effects.broken[0].title} needs this variable to be set by operators: change it "
                "on the page of the asset"
            )
        documents.append(document)
    why = "operators can set it" if becomes else "operators cannot set it"
    now = platform.clock.now()
    ASSETS.apply(platform, documents, pressed.person.name, now, f"{name}: {why}", on_host=False)
    return answer
