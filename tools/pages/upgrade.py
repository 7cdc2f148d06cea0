"""Make the page of what somebody must do who upgrades, from the table of what left."""

from collections.abc import Iterable

from alerting.definitions.removed_features import REMOVED_IN_0_2_0, Removed

_INTRODUCTION = """# Upgrade to 0.2.0

Made from the code by `make docs`; do not edit. `alerting prepare` and `alerting up` name each setting, collection, kind and
field that left and that an existing home has, with what does it now; nothing is deleted, and the rest works. A stored
document that is refused stands still: apply another one of its name, or delete it in MongoDB. A command that left says
which one does its work. What pages and reports no longer show is in the [changelog](../CHANGELOG.md).
"""  # noqa: E501
_BEFORE = frozenset(
    (
        "archived_files",
        "ALERTING_ARCHIVE_AFTER",
        "ALERTING_BACKUP*",
        "ALERTING_OIDC",
        "account.scope",
        "token.scope",
        "xgboost",
        "a blend of several families",
    )
)
"""What is to be done, or to be known, before the first start."""
_SCRIPTS = ("command", "option", "argument", "DAG", "metric", "deployment", "executor")
_PROGRAMS = ("operation", "parameter", "key", "module", "call")
_GROUPS = ("definition ", "source ", "sink ", "route ", "notification ")
_WITHOUT_GROUP = """Commands have no group for a kind of documents any more: `source apply FILES` is `alerting apply FILES`, and
so are `check`, `list`, `show` (of definitions `export`), `try` (`test`), `read` (`backfill`: with `--again`), `retry` and
`replay`; dead letters are in `alerting list dead`.
"""  # noqa: E501
_UNSAID = frozenset(("command", "setting", "field", "operation", "collection", "module", "call"))
"""What an entry is, where its section or its name says it."""


def upgrade_page() -> str:
    """Return the Markdown of what must be replaced by hand, with what does it now, said once for
    all that it does."""
    left = [one for one in REMOVED_IN_0_2_0 if not _is_without_group(one)]
    before = (one for one in left if one.name in _BEFORE)
    scripts = (one for one in left if one.sort in _SCRIPTS)
    programs = (one for one in left if one.sort in _PROGRAMS)
    return "\n".join(
        [
            _INTRODUCTION,
            f"## Before the first start\n\n{_list(before)}",
            f"## Scripts\n\n{_WITHOUT_GROUP}\n{_list(scripts)}",
            f"## Programs that use the API\n\n{_list(programs)}",
        ]
    )


def _list(entries: Iterable[Removed]) -> str:
    names: dict[tuple[str, str], list[str]] = {}
    for one in entries:
        names.setdefault((one.sort, one.instead), []).append(f"`{one.name}`")
    rows = (
        f"- {'' if what in _UNSAID else f'{what} '}{', '.join(of)}: {instead}\n"
        for (what, instead), of in names.items()
    )
    return "".join(rows)


def _is_without_group(one: Removed) -> bool:
    """Return whether it is a command that has only lost the group before its verb."""
    is_of_a_group = one.sort == "command" and one.name.startswith(_GROUPS)
    return is_of_a_group and one.instead.startswith("alerting ")
