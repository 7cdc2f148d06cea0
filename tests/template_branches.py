"""Which branches of Jinja templates a run of tests has rendered.

A template that is rendered says `took(...)` where a branch begins. All environments of this package
are strict: a name that is undefined, or an attribute that is gone, fails the test that renders its
branch. `untaken.txt` has the branches that no test renders: it may only become shorter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, nodes

UNTAKEN = Path(__file__).with_name("untaken_branches.txt")
TAKEN: set[str] = set()


def record_branches() -> None:
    """Let each template that is compiled from now on note the branches that it renders."""
    generate = Environment._generate

    def noting(
        self: Environment, source: nodes.Template, name: str | None, *rest: Any, **options: Any
    ) -> str:
        if name is not None:
            self.globals["took"] = take
            list(mark(source, name))
        return generate(self, source, name, *rest, **options)

    Environment._generate = noting


def take(branch: str, value: object = None) -> object:
    """Note that a branch is rendered, and return its value."""
    TAKEN.add(branch)
    return value


def mark(template: nodes.Template, name: str) -> Iterator[str]:
    """Let a template note its branches, and yield them: bodies of macros, blocks, loops and
    conditions, by the words of the condition."""
    name = name.removeprefix("web/").removeprefix("imports/")  # folders that need not be named
    seen: Counter[str] = Counter()

    def number(kind: str, about: str) -> str:
        branch = f"{name} {kind} {about}"
        seen[branch] += 1
        return branch if seen[branch] == 1 else f"{branch} ({seen[branch]})"

    kinds = (nodes.Macro, nodes.Block, nodes.For, nodes.If, nodes.CondExpr)
    for node in list(template.find_all(kinds)):
        match node:
            case nodes.Macro() | nodes.Block():
                branch = number(type(node).__name__.lower(), node.name)
                node.body.insert(0, statement(branch))
                yield branch
            case nodes.For() | nodes.If():
                kind = type(node).__name__.lower()
                about = words(node.iter if isinstance(node, nodes.For) else node.test)
                for body, what in ((node.body, kind), (node.else_, f"{kind} not")):
                    if body:
                        branch = number(what, about)
                        body.insert(0, statement(branch))
                        yield branch
            case nodes.CondExpr():
                about = words(node.test)
                for field in ("expr1", "expr2"):
                    if (value := getattr(node, field)) is not None:
                        branch = number("value if" if field == "expr1" else "value if not", about)
                        setattr(node, field, call(branch, value))
                        yield branch


def statement(branch: str) -> nodes.Node:
    return nodes.ExprStmt(call(branch)).set_lineno(1)


def call(branch: str, *values: nodes.Expr) -> nodes.Expr:
    name = nodes.Name("took", "load")
    return nodes.Call(name, [nodes.Const(branch), *values], [], None, None).set_lineno(1)


def words(node: nodes.Node) -> str:
    """Return the names, attributes and constants of an expression."""
    found = []
    for part in [node, *node.find_all(nodes.Expr)]:
        named = getattr(part, "name", None) or getattr(part, "attr", None)
        found += [str(named)] if named else []
        found += [repr(part.value)] if isinstance(part, nodes.Const) else []
    return " ".join(found)


def all_branches() -> set[str]:
    """Return the branches of all templates of reports and of the console."""
    from alerting.console.rendering import _environment
    from alerting.reporting.templates import environment

    found = set()
    for one in (_environment(), environment()):
        for name in one.list_templates(extensions=["html", "md", "txt", "xml"]):
            source = one.loader.get_source(one, name)[0]
            found |= set(mark(one.parse(source, name), name))
    return found


def untaken(taken: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the branches that no test has rendered and that are not known as such, and those that
    are known and were rendered, or are gone."""
    known = set(UNTAKEN.read_text(encoding="utf-8").splitlines())
    missing = all_branches() - set(taken)
    return sorted(missing - known), sorted(known - missing)
