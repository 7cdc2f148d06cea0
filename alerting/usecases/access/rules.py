"""Rules by which a port is narrowed to a part of the plant, and the port that follows them.

A rule gets the port's method with its arguments by name. A method without a rule is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import Signature, signature
from typing import Any, NoReturn

from alerting.definitions.wording.language import translatable
from alerting.operators.actions import NotAllowed
from alerting.ports import Episodes, Shelves, Sources
from alerting.usecases.access.visible import VisiblePart

Given = dict[str, Any]
OUT_OF_SCOPE = translatable(
    "this concerns more of the plant than the part that this account may see"
)


@dataclass(frozen=True)
class Sight:
    """The part that one account sees, and the stores of the whole plant that rules ask."""

    person: str
    part: VisiblePart
    episodes: Episodes
    shelves: Shelves
    sources: Sources
    _meets: dict[str, bool] = field(default_factory=dict)

    def sees(self, asset: object) -> bool:
        """Return whether an asset of this name is visible."""
        return asset in self.part.assets

    def reads(self, asset: object) -> bool:
        """Return whether the readings of an asset count for a visible one."""
        return asset in self.part.assets or asset in self.part.above

    def shows(self, definition: object) -> bool:
        """Return whether a definition of this name is visible: every asset of it is."""
        return definition in self.part.definitions

    def works_on(self, definition: str) -> bool:
        """Return whether a definition is visible, or an episode of it, which names it."""
        if self.shows(definition):
            return True
        if definition not in self._meets:
            found = self.episodes.find(definition, limit=1, assets=self.part.assets)
            self._meets[definition] = bool(found)
        return self._meets[definition]

    def sees_episode(self, id: str) -> bool:
        """Return whether an episode is on a visible asset."""
        episode = self.episodes.get(id)
        return episode is not None and self.sees(episode.asset)

    def sees_shelf(self, id: object) -> bool:
        """Return whether a shelf is on a visible asset."""
        shelf = self.shelves.get(id) if isinstance(id, str) else None
        return shelf is not None and self.sees(shelf.asset)

    def sees_source(self, name: str) -> bool:
        """Return whether all rows of a source are of one asset, which is visible."""
        source = self.sources.get(name)
        return source is not None and self.sees(source.asset)


class Call:
    """A method of a port, called with its arguments by their names in the protocol."""

    def __init__(self, port: Any, method: Callable[..., Any], parameters: Signature) -> None:
        self.port = port
        self._method = method
        self._parameters = parameters

    def __call__(self, **given: Any) -> Any:
        bound = self._parameters.bind(self.port, **given)
        return self._method(*bound.args[1:], **bound.kwargs)

    def name_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Given:
        """Return all arguments of a call, those that are left out among them."""
        bound = self._parameters.bind(self.port, *args, **kwargs)
        bound.apply_defaults()
        _, *arguments = bound.arguments.items()
        return dict(arguments)


Rule = Callable[[Sight, Call, Given], Any]
Check = Callable[[Sight, Any], bool]


class NarrowedPort:
    """A port of which each method follows its rule."""

    def __init__(
        self, port: object, protocol: Any, rules: Mapping[str, Rule], sight: Sight
    ) -> None:
        self._port = port
        self._protocol = protocol
        self._rules = rules
        self._sight = sight

    def __getattr__(self, name: str) -> Any:
        rule = self._rules.get(name)
        if rule is None or name.startswith("_"):
            refuse()
        method = getattr(self._port, name)
        if not callable(method):
            return method
        call = Call(self._port, method, signature(getattr(self._protocol, name)))
        return lambda *args, **kwargs: rule(self._sight, call, call.name_arguments(args, kwargs))


def refuse() -> NoReturn:
    """Raise NotAllowed: it concerns more than the visible part."""
    raise NotAllowed(OUT_OF_SCOPE)


def allowed(_: Sight, call: Call, given: Given) -> Any:
    """Call the method of the port as it is."""
    return call(**given)


def one(check: Check) -> Rule:
    """Return a rule for a method that gives one thing or None."""

    def rule(sight: Sight, call: Call, given: Given) -> Any:
        found = call(**given)
        return found if found is not None and check(sight, found) else None

    return rule


def each(check: Check) -> Rule:
    """Return a rule for a method that gives a list."""

    def rule(sight: Sight, call: Call, given: Given) -> list[Any]:
        return [found for found in call(**given) if check(sight, found)]

    return rule


def by_key(check: Check) -> Rule:
    """Return a rule for a method that gives a mapping, checked by its keys."""

    def rule(sight: Sight, call: Call, given: Given) -> dict[Any, Any]:
        return {key: found for key, found in call(**given).items() if check(sight, key)}

    return rule


def by_value(check: Check) -> Rule:
    """Return a rule for a method that gives a mapping, checked by its values."""

    def rule(sight: Sight, call: Call, given: Given) -> dict[Any, Any]:
        return {key: found for key, found in call(**given).items() if check(sight, found)}

    return rule


def asked(argument: str, check: Check, otherwise: Callable[[], Any]) -> Rule:
    """Return a rule for a method that reads what an argument names; `otherwise`: its answer where
    that is not visible."""

    def rule(sight: Sight, call: Call, given: Given) -> Any:
        return call(**given) if check(sight, given[argument]) else otherwise()

    return rule


def only(argument: str, check: Check) -> Rule:
    """Return a rule for a method that reads many by an argument, which keeps the visible ones."""

    def rule(sight: Sight, call: Call, given: Given) -> Any:
        return call(**{**given, argument: [x for x in given[argument] if check(sight, x)]})

    return rule


def writing(argument: str, check: Check) -> Rule:
    """Return a rule for a method that writes a thing; it is refused if that is not visible."""

    def rule(sight: Sight, call: Call, given: Given) -> Any:
        return call(**given) if check(sight, given[argument]) else refuse()

    return rule


def writing_all(argument: str, check: Check) -> Rule:
    """Return a rule for a method that writes or reads several; it is refused if one of them is not
    visible."""

    def rule(sight: Sight, call: Call, given: Given) -> Any:
        things = _repeatable(given[argument])
        if not all(check(sight, thing) for thing in things):
            refuse()
        return call(**{**given, argument: things})

    return rule


def _repeatable(things: Iterable[Any]) -> Any:
    return things if hasattr(things, "__len__") else list(things)


def read_visible(sight: Sight, call: Call, given: Given) -> Any:
    """Call a method that reads the assets it is given: with the visible ones alone."""
    asset = given.get("asset")
    if asset is not None and not sight.sees(asset):
        return []
    wanted = given.get("assets")
    visible = sight.part.assets
    return call(**{**given, "assets": visible if wanted is None else visible & set(wanted)})
