"""Import of assets: given fields replace stored ones, the other fields stay. Names of assets and
event types from the texts of a file: `Ofen 2` means the asset Ofen_2, or the one with this title.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from unicodedata import normalize

from pydantic import ValidationError

from alerting.definitions.alert_definition import AssetIndex, matching_assets
from alerting.definitions.asset_documents import (
    NAME_LENGTH,
    NAME_PATTERN,
    Asset,
    AssetTree,
    EventType,
    Variable,
    asset_document,
    asset_faults,
    computed_faults,
    is_type_open,
    parse_asset,
)
from alerting.definitions.faults import Fault, UserError, name_hint, read_each, shown
from alerting.definitions.fields.definition_checks import faults_against_assets
from alerting.definitions.revisions import flat_changes
from alerting.definitions.wording.language import ENGLISH, join_with_and, template
from alerting.ports import Document, IngestionPorts, Readings
from alerting.readings.foreign_columns import TITLE_LENGTH, without_accents
from alerting.usecases.definitions.faults_and_platform_alerts import all_assets
from alerting.usecases.document_life import Changes, DocumentKind, DocumentReview


@dataclass(frozen=True)
class GivenAsset:
    """An asset document as written, perhaps with a few fields only; `origin` is its position in the
    file."""

    origin: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class AssetChange:
    """One field that the import changes; `before` is None for a new field."""

    asset: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class AssetsResult:
    """Changes that an import of assets makes, or with a dry run would make."""

    source: str
    assets: int
    created: tuple[str, ...]
    changes: tuple[AssetChange, ...]
    dry_run: bool


def import_assets(
    source: str,
    imported: Sequence[GivenAsset],
    plant: IngestionPorts,
    *,
    now: datetime,
    actor: str,
    dry_run: bool = False,
) -> AssetsResult:
    """Merge assets into the stored ones, attributes and variables one by one: given fields replace
    stored fields, other fields stay.

    Raises UserError with every fault of every asset, without a write: fields that are wrong or
    unknown, an asset that is given twice, a parent that is not known, a relation of variables that
    are no numbers of the asset, a computed variable that cannot be computed, or a new type for a
    variable of an asset that has readings.
    """
    existing = {a.name: a for a in plant.assets.all()}
    names = [str(asset.document.get("name")) for asset in imported]
    faults = [*_faults(imported, {*existing, *names})]
    merged = {}
    for name, partial in () if faults else zip(names, imported, strict=True):
        stored = asset_document(existing[name]) if name in existing else {}
        merged[name] = Asset.model_validate(_deep_merge(stored, partial.document))
    faults += [
        replace(fault, path=f"{asset.name}.{fault.path}")
        for asset in merged.values()
        for fault in faults_beside(asset, existing.get(asset.name), plant.readings)
    ]
    if faults:
        raise UserError(
            f"{source} has faults, and nothing was written:\n"
            + "\n".join(f"  - {f}" for f in faults)
        )
    changes = [
        change
        for asset in merged.values()
        for change in asset_changes(existing.get(asset.name), asset)
    ]
    changed = [a for a in merged.values() if existing.get(a.name) != a]
    if changed and not dry_run:
        plant.assets.store_assets(changed)
        for asset in changed:
            before = existing.get(asset.name)
            ASSETS.add_revision(plant, asset, actor, now, f"imported from {source}")
            plant.audit.add(
                actor,
                "asset imported",
                asset.name,
                now,
                before and _document(before),
                _document(asset),
                source,
            )
    created = tuple(name for name in merged if name not in existing)
    return AssetsResult(source, len(merged), created, tuple(changes), dry_run)


def with_stored_fields(plant: IngestionPorts, fields: Mapping[str, Any]) -> Document:
    """Return an asset document with these fields, and the stored ones of the asset beside them."""
    stored = plant.assets.get(str(fields.get("name")))
    return _deep_merge({} if stored is None else asset_document(stored), fields)


def _deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = (
            _deep_merge(inner, value)
            if isinstance(inner, Mapping) and isinstance(value, Mapping)
            else value
        )
    return merged


def _faults(imported: Sequence[GivenAsset], names: set[str]) -> Iterator[Fault]:
    origins: dict[str, str] = {}
    for asset in imported:
        name = str(asset.document.get("name"))
        if name in origins:
            twice = f"asset {shown(name)} occurs twice in this file"
            yield Fault(asset.origin, twice, origins[name])
        origins.setdefault(name, asset.origin)
        try:
            Asset.model_validate(dict(asset.document))
        except ValidationError as error:
            yield from (
                replace(fault, path=f"{asset.origin}: {fault.path}")
                for fault in asset_faults(error)
            )
        parent = asset.document.get("parent")
        if parent and parent not in names:
            reason = f"there is no asset {shown(parent)}"
            yield Fault(f"{asset.origin}: parent", reason, "import it with this file or before")


def faults_beside(asset: Asset, before: Asset | None, readings: Readings) -> list[Fault]:
    """Return the faults of relations, computed variables and new types of variables. They show only
    when the fields of an asset are taken together, or beside its readings. `before`: the stored
    asset."""
    faults = [*_relation_faults(asset), *computed_faults(asset)]
    return faults if before is None else [*faults, *_type_faults(readings, before, asset)]


def _type_faults(readings: Readings, before: Asset, after: Asset) -> list[Fault]:
    changed = [
        (name, _source_of(existing), _source_of(after.variables[name]))
        for name, existing in before.variables.items()
        if name in after.variables and _source_of(existing) != _source_of(after.variables[name])
    ]
    if not changed or readings.span(before.name) is None:
        return []
    return [
        Fault(
            f"variables.{name}.type",
            f"is {old} and cannot become {new}: there are readings of this asset",
            "declare the variable under another name, or before its readings",
        )
        for name, old, new in changed
    ]


def _source_of(variable: Variable) -> str:
    """Return the type of a measured variable; a computed one has other values."""
    return variable.type if variable.computed is None else "computed"


def _relation_faults(asset: Asset) -> Iterator[Fault]:
    for number, relation in enumerate(asset.relations):
        for name in (relation.variable, *relation.drivers):
            where = f"relations.{number}"
            if name not in asset.variables:
                yield Fault(
                    where,
                    f"the asset declares no variable {shown(name)}",
                    name_hint(name, asset.variables, "known variables"),
                )
            elif asset.variables[name].type == "category":
                yield Fault(
                    where,
                    f"{shown(name)} is a category; only numbers follow others",
                )


def _document(asset: Asset) -> dict[str, Any]:
    return asset.model_dump(mode="json", exclude_defaults=True)


def asset_changes(before: Asset | None, after: Asset) -> list[AssetChange]:
    """Return the fields in which an asset differs from the stored one, without its name."""
    changes = flat_changes({} if before is None else _document(before), _document(after))
    return [
        AssetChange(after.name, field, *values)
        for field, values in changes.items()
        if field != "name"
    ]


_VARIABLES = "variables."


Effect = Literal["begins", "ends", "stays"]


@dataclass(frozen=True)
class AffectedDefinition:
    """A definition that a change of an asset concerns. `variables`: changed variables that it
    reads; `applies`: whether it begins or ends to watch the asset; `faults`: faults that the change
    causes."""

    name: str
    title: str
    state: str
    variables: tuple[str, ...]
    applies: Effect
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class AssetEffects:
    """The definitions that a change of an asset concerns. `dropped`: variables that the asset no
    longer declares; their readings stay."""

    affected: tuple[AffectedDefinition, ...]
    dropped: tuple[str, ...]

    @property
    def broken(self) -> tuple[AffectedDefinition, ...]:
        """Return the definitions that would become faulty."""
        return tuple(definition for definition in self.affected if definition.faults)


def asset_as_written(asset: Asset) -> Document:
    """Return the document of an asset as people would write it: without fields at their default,
    with the type of a number only where nothing else states it."""
    document: Document = asset.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name, variable in asset.variables.items():
        written = document["variables"][name]
        if not is_type_open(variable) and is_type_open(Variable.model_validate(written)):
            document["variables"][name] = {"type": variable.type, **written}
    return document


def _effects(plant: IngestionPorts, asset: Asset, changes: Changes) -> AssetEffects:
    assets = all_assets(plant.assets)
    dropped = assets[asset.name].variables.keys() if asset.name in assets.names else ()
    return AssetEffects(
        tuple(_find_affected(plant, asset.name, assets, _with_assets(assets, [asset]), changes)),
        tuple(sorted({*dropped} - {*asset.variables})),
    )


def _with_assets(index: AssetIndex, new: Sequence[Asset]) -> AssetIndex:
    by_name = {asset.name: asset for asset in (*index.assets, *new)}
    return AssetIndex(by_name.values(), index.faulty)


class AssetKind(DocumentKind[IngestionPorts, Asset]):
    """The life of assets, whose parents may come with them."""

    def review_all(
        self, ports: IngestionPorts, documents: Sequence[Mapping[str, Any]], *, on_host: bool
    ) -> list[DocumentReview[Asset]]:
        """Return the effect of each document as it would be beside the others. Writes nothing."""
        read = read_each(documents, self.parse)[0]
        assets = _with_assets(all_assets(ports.assets), read)
        faults = {asset.name: tuple(_faults_of_parent(asset, assets)) for asset in read}
        return [
            DocumentReview(review.name, "new", (*faults[review.name], *review.faults))
            if faults.get(review.name)
            else review
            for review in super().review_all(ports, documents, on_host=on_host)
        ]


ASSETS = AssetKind(
    word="asset",
    store=lambda plant: plant.assets,
    model=Asset,
    parse=parse_asset,
    write=asset_as_written,
    applied="asset applied",
    faults=lambda plant, asset: faults_beside(asset, plant.assets.get(asset.name), plant.readings),
    effects=_effects,
    columns=("name", "title", "parent"),
    unrecorded=("platform", template("declared by rows, or edited in the database")),
)


def _faults_of_parent(asset: Asset, assets: AssetIndex) -> Iterator[Fault]:
    if asset.parent is not None and asset.parent not in assets.names:
        hint = name_hint(asset.parent, assets.names, "known assets")
        yield Fault("parent", f"there is no asset {shown(asset.parent)}", hint)
    elif asset.parent is not None:
        line = AssetTree(assets.assets).asset_and_ancestors(assets[asset.parent])
        if any(ancestor.name == asset.name for ancestor in line):
            yield Fault("parent", f"{shown(asset.parent)} belongs to this asset itself")


def _find_affected(
    plant: IngestionPorts,
    name: str,
    before: AssetIndex,
    after: AssetIndex,
    changes: Iterable[str],
) -> list[AffectedDefinition]:
    """Return the definitions, drafts included, that watch the asset before or after its change, and
    the definitions that become faulty by the change."""
    types = plant.assets.event_types()
    changed = {
        path.removeprefix(_VARIABLES).partition(".")[0]
        for path in changes
        if path.startswith(_VARIABLES)
    }
    affected = []
    for revision in plant.definitions.latest_revisions():
        definition = revision.definition
        if definition.state == "retired":
            continue
        was = any(item.name == name for item in matching_assets(definition, before))
        will = any(item.name == name for item in matching_assets(definition, after))
        new = faults_against_assets(definition, after, types)
        old = faults_against_assets(definition, before, types) if new else []
        faults = tuple(fault for fault in new if fault not in old)
        if was or will or faults:
            asset = (before if was else after)[name]
            read = changed.intersection(asset.with_parts(definition.variables_read(asset)))
            effect: Effect = "stays"
            if was != will:
                effect = "begins" if will else "ends"
            affected.append(
                AffectedDefinition(
                    definition.name,
                    definition.title or definition.name,
                    definition.state,
                    tuple(sorted(read)) if was or will else (),
                    effect,
                    faults,
                )
            )
    return sorted(affected, key=lambda item: (not item.faults, not item.variables, item.name))


Titles = Mapping[str, str | None]
"""Titles by name; None of a name without one."""
_WITHOUT_NAME = {
    "asset": "{text} is not a name of an asset: letters, digits, _ . - only, at most {most}; give "
    "an asset this title, or write a name",
    "event type": "{text} is not a name of an event type: letters, digits, _ . - only, at most "
    "{most}; write a name",
}
_ALMOST = {
    "asset": "{text} is almost {other}: write {name} if it is meant, or give it or another asset "
    "this title",
    "event type": "{text} is almost {other}: write {name} if it is meant, else another name",
}
_ALMOST_EARLIER = {
    "asset": "{text} is almost {other} on an earlier line: write both alike if they are one "
    "asset, or give each its title",
    "event type": "{text} is almost {other} on an earlier line: write both alike if they are one "
    "event type, else other names",
}
_MISSING = {
    "asset": "there is no asset",
    "event type": "there is no event type",
}
_FURTHER = str.maketrans("łŁđĐı", "lLdDi")


def titles_by_name(declared: Iterable[Asset | EventType]) -> dict[str, str | None]:
    """Return the titles of assets or event types by name."""
    return {named.name: named.title for named in declared}


def is_name(text: str) -> bool:
    """Return whether a text is a legal name as it stands."""
    return len(text) <= NAME_LENGTH and re.fullmatch(NAME_PATTERN, text) is not None


def name_from_text(text: str, prefix: str = "") -> str | None:
    """Return the name that a text gives after a prefix: `Ofen 2` gives `Ofen_2`.

    None for a text without a letter, and for a text with letters that no name can hold, because
    these would be lost.
    """
    spelled = without_accents(text).translate(_FURTHER)
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "_", spelled).strip("_.-")
    is_lossy = any(letter.isalpha() and not letter.isascii() for letter in spelled)
    name = prefix + legal
    if is_lossy or not re.search("[A-Za-z]", legal) or not text.isprintable() or not is_name(name):
        return None
    return name


class TextNames:
    """Names of the assets or event types of one file or delivery, by the texts of its rows.

    A text that is a legal name, with the prefix, is this name. Any other text means the asset or
    type with this title, else a name is derived. A text that differs from a known name or title, or
    from another text, only in capitals and marks is refused: it may mean the same thing.
    """

    def __init__(self, kind: str, prefix: str = "", stored: Callable[[], Titles] = dict) -> None:
        """`kind`: asset, or event type. `stored`: returns the titles of all stored ones; it is
        called only for a text that is no name."""
        self.kind = kind
        self.texts: dict[str, str] = {}
        """Texts by name, of names that are not written in the file."""
        self.prefix = prefix
        self._read_stored = stored
        self._names: dict[str, str] = {}
        self._legal: list[str] = []
        self._written: dict[str, str] = {}
        self._others: dict[str, str] = {}

    @property
    def missing(self) -> str:
        """Return the reason why a line without a text is bad."""
        return _MISSING[self.kind]

    def read(self, written: str) -> str:
        """Return the name for a text. Raises ValueError with the reason if it has none."""
        name = self._names.get(written)
        if name is None:
            name = self._find(written)
            self._names[written] = name
        return name

    def read_option(self, written: str, option: str) -> str:
        """Return the name for the text of an option. Raises UserError if it has none."""
        try:
            return self.read(written)
        except ValueError as reason:
            raise UserError(f"{option}: {reason.args[0]}") from None

    def new_titles(self) -> dict[str, str]:
        """Return, by new name, the text from which the name was derived, as its title."""
        return {name: text for name, text in self.texts.items() if name not in self._stored_titles}

    def _find(self, written: str) -> str:
        name = f"{self.prefix}{written}"
        if is_name(name):
            if self._others and name not in self._stored_titles:
                self._refuse_similar(written, self._others.get(_comparison_key(name)))
            self._legal.append(written)
            return name
        text = _normalize_spaces(written)
        name = self._find_by_title(text) or self._derive(written, text)
        self._others[_comparison_key(self.prefix + text)] = text
        if text != name:
            self.texts.setdefault(name, text)
        return name

    def _find_by_title(self, text: str) -> str | None:
        names = [n for n in self._names_by_title.get(text, ()) if n.startswith(self.prefix)]
        usual = name_from_text(text, self.prefix)
        if len(names) > 1 and usual not in names:
            raise ValueError(
                f"{shown(text)} is the title of {join_with_and(*names[:5])}; write the name"
            )
        return usual if usual in names else next(iter(names), None)

    def _derive(self, written: str, text: str) -> str:
        name = name_from_text(text, self.prefix) if len(text) <= TITLE_LENGTH else None
        if name is None:
            raise ValueError(
                ENGLISH.say(
                    _WITHOUT_NAME[self.kind], text=shown(self.prefix + written), most=NAME_LENGTH
                )
            )
        key = _comparison_key(name)
        title = self._stored_titles.get(name)
        if name not in self._stored_titles or (
            title is not None and _comparison_key(title) == _comparison_key(text)
        ):
            self._refuse_stored(text, self._names_by_key.get(key))
        self._refuse_similar(text, self._others.get(key) or self._find_written(key))
        return name

    def _find_written(self, key: str) -> str | None:
        """Return a text with this key that is a name as it stands."""
        while self._legal:
            written = self._legal.pop()
            self._written[_comparison_key(self.prefix + written)] = written
        return self._written.get(key)

    def _refuse_stored(self, text: str, stored: str | None) -> None:
        if stored is not None:
            title = self._stored_titles.get(stored)
            also = f"{stored} ({shown(title)})" if title else stored
            raise ValueError(
                ENGLISH.say(_ALMOST[self.kind], text=shown(text), other=also, name=stored)
            )

    def _refuse_similar(self, text: str, earlier: str | None) -> None:
        if earlier is not None and _normalize_spaces(earlier) != _normalize_spaces(text):
            raise ValueError(
                ENGLISH.say(_ALMOST_EARLIER[self.kind], text=shown(text), other=shown(earlier))
            )

    @cached_property
    def _stored_titles(self) -> Titles:
        return self._read_stored()

    @cached_property
    def _names_by_title(self) -> Mapping[str, list[str]]:
        by_title = defaultdict[str, list[str]](list)
        for name, title in self._stored_titles.items():
            if title is not None:
                by_title[_normalize_spaces(title)].append(name)
        return by_title

    @cached_property
    def _names_by_key(self) -> Mapping[str, str]:
        """Return the names by their own comparison keys and by the keys of their titles."""
        titles = {
            _comparison_key(title): name
            for name, title in self._stored_titles.items()
            if title is not None
        }
        return titles | {_comparison_key(name): name for name in self._stored_titles}


def _normalize_spaces(text: str) -> str:
    return re.sub(r"[ \u00a0\u2007\u2009\u202f]+", " ", normalize("NFC", text)).strip(" ")


def _comparison_key(text: str) -> str:
    """Return a text in small letters, with one space in place of all marks between words and
    numbers."""
    return " ".join(re.findall(r"[^\W_]+", without_accents(text).casefold()))
