"""No code decides by the words of a sentence: a fact is a value beside its text, so that a text can
be reworded, translated or shown by another clock without a change of what happens."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REMEDY = "reads a sentence: give the fact a name of its own (a field, a kind, a type of exception)"
# The few that must read a text which another program wrote, or in which people write options, or
# that compare a whole text with the constant that it is.
ALLOWED: dict[str, str] = {
    "alerting/kinds/protocol.py: carried_reason": "compares with constants",
    "alerting/usecases/notification/message_texts.py: _end_lines": "compares with constants",
    "alerting/usecases/notification/message_texts.py: _open_lines": "compares with a constant",
    "alerting/usecases/operators/known_plant.py: _lacks_model": "compares with constants",
    "alerting/usecases/training/due.py: reason_of": "leaves out a name, and decides nothing",
    "alerting/adapters/mongo/migration.py: transition_of_today": "where it stood before",
    "alerting/adapters/scored_files.py: run": "hides the path of a file, and decides nothing",
    "alerting/adapters/sources/sftp.py: _explain_fault": "paramiko 4 has no type for it",
    "alerting/console/plant/import_pages.py: _import_page": "offers the options that a text names",
    "alerting/console/plant/import_pages.py: _options": "offers first what a text names",
    "alerting/stores/database/documents.py: cut_message": "PyMongo 4 adds the state of all servers",
}
# Modules that read the instants of files and of stored values.
PARSERS = frozenset({
    "alerting/adapters/files/cells.py",
    "alerting/adapters/files/recognition.py",
    "alerting/adapters/mongo/migration.py",
    "alerting/definitions/wording/language.py",
})  # fmt: skip
STAMP = re.compile(r"\\d\{4\}-(\\d\\d|\\d\{2\})-")

MAKERS = {"template", "templates", "translatable", "translatable_count", "in_english", "joined"}
MAKERS |= {"count_in_english", "join_first", "join_with_and", "join_with_or", "with_command"}
NAMES = {"reason", "message", "sentence", "note", "summary", "headline", "detail", "why"}
NAMES |= {"answer", "fault", "doubt", "conclusion"}
# Of several: `name in faults` asks a mapping, `"word" in notes` reads them.
SEVERAL = {f"{name}s" for name in NAMES} | {"statistics"}
EXCEPTIONS = {"error", "exception", "exc", "failure", "fault", "refusal"}
# functions and methods that give the same text, or its items
SAME_TEXT = {"str", "repr", "shown", "first_line", "list", "tuple", "set", "sorted", "reversed"}
SAME_TEXT |= {"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "join", "values", "items"}
PATTERNS = {"match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split"}
# as a bare attribute these are read, too: `any(map(reason.startswith, words))`
READS = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition"}
CALLED = READS | {"split", "rsplit", "replace", "find", "rfind", "index", "count"}


class Reader(ast.NodeVisitor):
    """Collects the lines of a module at which a sentence is read, each with its function."""

    def __init__(self, tree):
        self.reads = {}
        self.scopes = []
        self.visit(tree)

    def visit_FunctionDef(self, node):
        names = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg) and is_typed(a)}
        outer = self.scopes[-1] if self.scopes else ("", set(), set())
        caught = {n.name for n in ast.walk(node) if isinstance(n, ast.ExceptHandler)} | outer[2]
        self.scopes.append((node.name, names | outer[1], caught))
        while self.bind(node):
            pass
        self.generic_visit(node)
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - called by `ast`

    def bind(self, function):
        """Add names of a function that are bound to sentences. Return whether there were any."""
        _, names, _ = self.scopes[-1]
        before = len(names)
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[target], value=value):
                    pass
                case (
                    ast.AnnAssign(target=target, value=value)
                    | ast.NamedExpr(target=target, value=value)
                    | ast.For(target=target, iter=value)
                    | ast.comprehension(target=target, iter=value)
                ):
                    pass
                case _:
                    continue
            if isinstance(target, ast.Name) and (self.is_sentence(value) or is_typed(node)):
                names.add(target.id)
        return len(names) > before

    def is_sentence(self, node):
        """Return whether an expression is a text that is written for people."""
        _, names, caught = self.scopes[-1] if self.scopes else ("", set(), set())
        match node:
            case ast.Name(id=name) if name.lstrip("_") in NAMES | SEVERAL or name in names:
                return True
            case ast.Attribute(value=ast.Name(id=name), attr="args") if name in EXCEPTIONS | caught:
                return True
            case ast.Attribute(attr=name) if name in NAMES | SEVERAL:
                return True
            case ast.Call(func=ast.Name(id=name)) if name in MAKERS:
                return True
            case (
                ast.FormattedValue(value=ast.Name(id=name))
                | ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)])
            ) if name in EXCEPTIONS | caught:
                return True
        return any(map(self.is_sentence, parts_of(node)))

    def report(self, node):
        self.reads.setdefault(node.lineno, self.scopes[-1][0] if self.scopes else "<module>")

    def visit_Compare(self, node):
        for left, how, right in zip(
            [node.left, *node.comparators], node.ops, node.comparators, strict=False
        ):
            if isinstance(how, ast.In | ast.NotIn):
                is_word = isinstance(left, ast.Constant | ast.JoinedStr) or is_wording(left)
                is_read = self.is_sentence(right) and (is_word or not is_several(right))
                is_read |= self.is_sentence(left) and is_wording(right)
            else:
                is_read = (self.is_sentence(left) and is_wording(right)) or (
                    self.is_sentence(right) and is_wording(left)
                )
            if is_read:
                self.report(node)
        self.generic_visit(node)

    def visit_Call(self, node):
        match node.func:
            case ast.Attribute(value=ast.Constant(), attr="join") if ast.unparse(
                node.args[0]
            ).endswith(".split()"):
                return  # white space alone is made even
            case ast.Attribute(value=ast.Name(id="str"), attr=name) if name in CALLED:
                is_read = any(map(self.is_sentence, node.args[:1]))
            case ast.Attribute(value=of, attr=name):
                is_read = name in CALLED and self.is_sentence(of)
                is_read |= name in PATTERNS and any(map(self.is_sentence, node.args))
                is_read |= (
                    name == "get" and is_wording(of) and any(map(self.is_sentence, node.args[:1]))
                )
            case _:
                is_read = False
        if is_read:
            self.report(node)
        self.generic_visit(node)

    def visit_Attribute(self, node):
        if node.attr in READS and self.is_sentence(node.value):
            self.report(node)
        self.generic_visit(node)

    def visit_Subscript(self, node):
        if is_wording(node.value) and self.is_sentence(node.slice):
            self.report(node)
        self.generic_visit(node)

    def visit_Match(self, node):
        patterns = [case.pattern for case in node.cases]
        patterns += [p for choice in patterns for p in getattr(choice, "patterns", ())]
        if self.is_sentence(node.subject) and any(
            isinstance(p, ast.MatchValue) and isinstance(p.value, ast.Constant) for p in patterns
        ):
            self.report(node)
        self.generic_visit(node)


def parts_of(node):
    """Return the expressions whose text an expression gives, as it is or in another form."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[part, *_]) if name in SAME_TEXT:
            return [part]
        case ast.Call(func=ast.Attribute(value=part, attr=name)) if name in SAME_TEXT:
            return [part, *node.args]
        case (
            ast.Subscript(value=part)
            | ast.Starred(value=part)
            | ast.NamedExpr(value=part)
            | ast.FormattedValue(value=part)
            | ast.GeneratorExp(elt=part)
            | ast.ListComp(elt=part)
            | ast.SetComp(elt=part)
        ):
            return [part]
        case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts):
            return parts
        case ast.IfExp(body=part, orelse=instead):
            return [part, instead]
    return []


def is_several(node):
    """Return whether a name or an attribute is that of several sentences."""
    return getattr(node, "id", getattr(node, "attr", "")) in SEVERAL


def is_typed(node):
    """Return whether a parameter or a variable is annotated as a text with its template."""
    annotation = getattr(node, "annotation", None)
    return annotation is not None and "Translatable" in ast.unparse(annotation)


def is_wording(node):
    """Return whether an expression is a literal of two or more words, or a constant of a module."""
    match node:
        case ast.Constant(value=str(text)):
            return len(text.split()) > 1
        case ast.Name(id=name):
            return name.strip("_").isupper()
        case (
            ast.Tuple(elts=parts)
            | ast.List(elts=parts)
            | ast.Set(elts=parts)
            | ast.Dict(keys=parts)
        ):
            return any(map(is_wording, parts))
        case ast.BinOp(left=left, right=right):
            return is_wording(left) or is_wording(right)
        case ast.JoinedStr():
            return True
    return False


def reads(source):
    """Return line and function of each place of a module that reads a sentence."""
    return sorted(Reader(ast.parse(source)).reads.items())


def modules():
    """Yield path and source of each module of the product."""
    for folder in ("alerting", "dags"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_no_code_reads_a_sentence():
    places = {
        f"{path}: {function}": f"{path}:{line}: {function} {REMEDY}"
        for path, source in modules()
        for line, function in reads(source)
    }
    assert [said for place, said in places.items() if place not in ALLOWED] == []
    assert ALLOWED.keys() - places.keys() == set(), "strike these out of ALLOWED"


def test_no_code_looks_for_instants_in_a_text():
    places = {path for path, source in modules() if STAMP.search(source)}
    assert places - PARSERS == set(), "an instant in a sentence is a value of its template"
    assert PARSERS - places == set(), "strike these out of PARSERS"


@pytest.mark.parametrize(
    "read",
    [
        "'late' in t.reason",
        "'late' not in reason.lower()",
        "LATE in episode.reason",
        "any('late' in note for note in x.notes)",
        "[n for n in notes if 'late' in n]",
        "'late' in notes",
        "t.reason.startswith(LATE)",
        "any(map(t.reason.startswith, KINDS))",
        "str(error).strip().endswith('.')",
        "error.args[0].startswith('no')",
        "alert.message.removeprefix('The model: ')",
        "(reason or '').removesuffix('.')",
        "reason.partition(': ')[2]",
        "f'{fault.message}'.split('; ')",
        "summary.replace('0 alarms', 'no alarm')",
        "headline.find('alarm') >= 0",
        "str.count(why, 'x')",
        "doubt == 'too few rows'",
        "'too few rows' != fault",
        "reason == FIRST",
        "reason in {FIRST, 'was late again'}",
        "reason in KINDS | {FIRST}",
        "{'too few rows': 1}.get(reason)",
        "TEXTS[reason]",
        "re.search('late', reason)",
        "LATE.sub('', decision.reason)",
        "pattern.fullmatch(str(refusal))",
        "translatable('It is late.').startswith('It')",
        "joined('; ', a, b).split('; ')",
        "text = str(refusal)\n    'late' in text",
        "text: str = t.reason\n    return text.startswith('x')",
        "if (text := t.reason).startswith('x'): pass",
        "for line in notes:\n        line.startswith('x')",
        "match t.reason:\n        case 'late': pass",
        "try: f()\n    except ValueError as e:\n        return 'late' in str(e)",
        "text: Translatable = f()\n    return 'late' in text",
    ],
)
def test_a_read_is_reported(read):
    assert reads(f"def decide():\n    {read}") != []
    assert reads(f"async def decide():\n    {read}") != []


@pytest.mark.parametrize(
    "harmless",
    [
        "name in faults",
        "fault.path.startswith('x')",
        "summary.count == 0",
        "decision.objection == 'worse values'",
        "' '.join(reason.split())",
        "language.translate(reason)",
        "if reason: pass",
        "faults[name] = reason",
        "len(notes) > 2",
        "match fault:\n        case Fault(path='x'): pass",
        "reason == stored.reason",
        "f'{name}: {reason}'",
        "isinstance(error, LookupError)",
        "error.code in (13, 18)",
    ],
)
def test_what_reads_no_sentence_is_not_reported(harmless):
    assert reads(f"def decide():\n    {harmless}") == []
