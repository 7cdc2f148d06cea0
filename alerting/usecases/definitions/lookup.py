"""Find definitions and their revisions by name."""

from alerting.definitions.faults import NotFound, UserError, shown, unknown_definition
from alerting.definitions.model import Revision
from alerting.definitions.wording.language import translatable
from alerting.ports import Definitions, Document


def require_document(definitions: Definitions, name: str) -> Document:
    """Return the stored document of a definition, also a faulty one. Raises UserError with the
    names that may be meant."""
    found = next(
        (one for one in definitions.documents() if name in (one.get("name"), one.get("_label"))),
        None,
    )
    if found is None:
        names = [r.name for r in definitions.latest_revisions()]
        raise UserError(unknown_definition(name, names))
    return {key: value for key, value in found.items() if not key.startswith("_")}


def newest_of_target(definitions: Definitions, name: str) -> Revision | None:
    """Return the newest valid revision for work on a target of a definition, as an episode or a
    mute, which an account may do that does not see all its assets; None without one."""
    return next(reversed(definitions.revisions(name)), None)


def require_revision(definitions: Definitions, name: str, number: int | None = None) -> Revision:
    """Return the newest (or the given) revision. Raises UserError if there is none; its message
    names the existing ones, or the faults of this one."""
    newest = definitions.newest_revision(name)
    if newest is None and (faults := definitions.faulty().get(name)):
        raise NotFound(
            translatable(
                "the definition {name} has faults and no valid revision yet: {faults}",
                name=shown(name),
                faults="; ".join(faults),
            )
        )
    if newest is None:
        names = [r.name for r in definitions.latest_revisions()]
        raise NotFound(unknown_definition(name, names))
    if number in (None, newest.number):
        return newest
    found = next((r for r in definitions.revisions(name) if r.number == number), None)
    if found is None:
        raise NotFound(f"definition {name!r} has no revision {number}; it has 1 to {newest.number}")
    return found


def active(definitions: Definitions) -> list[Revision]:
    """Return the newest revisions of the definitions in service, sorted by name."""
    return [r for r in definitions.latest_revisions() if r.definition.state == "active"]
