"""Model families by name; a family's module and library are imported at first use."""

from functools import cache
from importlib import import_module

from alerting.definitions.families import (
    BUILT_IN,
    PERSISTENCE,
    find_added,
    is_installed,
    require_family,
)
from alerting.definitions.faults import UserError
from alerting.learning.models.families.contract import ModelFamily


@cache
def get_family(name: str) -> ModelFamily:
    """Return a family: a module's `FAMILY`, or the object that a package names.

    Raises UserError if there is none, or if that of the package is not a family of this name.
    """
    if name in (*BUILT_IN, PERSISTENCE) or is_installed(name):
        return import_module(f"{__package__}.{name}").FAMILY  # type: ignore[no-any-return]
    try:
        entry = find_added(require_family(name))
    except ValueError as unknown:
        raise UserError(*unknown.args) from unknown
    family = entry.load() if entry else None
    if not isinstance(family, ModelFamily) or family.name != name:
        raise UserError(
            f"{entry.value if entry else name} is not a ModelFamily of the name {name!r}; mend the "
            "package that adds it"
        )
    return family
