"""The documents beside the code: decision records have their parts, and the modules and functions
that pages name exist."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")})


def test_the_index_of_decision_records_names_every_record_and_its_title():
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for record in folder.glob("[0-9]*.md"):
        number, title = (
            record.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(" ", 1)
        )
        assert f"- [{number}]({record.name}) {title}\n" in index, record.name


RECORDS = ROOT / "docs" / "adr"
REFERENCE = re.compile(
    r"\b(?:records?|ADRs?)\s+\[?(\d{4})\b|\badr/(\d{4})|\]\((\d{4})-[\w-]+\.md\)", re.IGNORECASE
)
"""`record 0012`, `ADR 0012`, `docs/adr/0012…` and links among records."""


def numbers_of_records():
    return {record.name[:4] for record in RECORDS.glob("[0-9]*.md")}


def referenced_numbers(text):
    return {next(filter(None, groups)) for groups in REFERENCE.findall(text)}


def test_every_reference_to_a_record_leads_to_it():
    known = numbers_of_records()
    folders = ("alerting", "benchmarks", "config", "dags", "docs", "tests", "tools")
    files = [ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("*.md")]
    for folder in folders:
        for ending in ("*.py", "*.md", "*.html", "*.yaml", "*.yml", "*.toml", "*.sh"):
            files.extend((ROOT / folder).rglob(ending))
    found = {
        (str(file.relative_to(ROOT)), number)
        for file in files
        if file != Path(__file__)
        for number in referenced_numbers(file.read_text(encoding="utf-8"))
    }
    assert len(found) > 30
    assert len(known) <= 30
    assert sorted(one for one in found if one[1] not in known) == []


def test_every_decision_record_has_its_parts_and_at_most_200_words():
    for record in RECORDS.glob("[0-9]*.md"):
        text = record.read_text(encoding="utf-8")
        parts = [title.split()[0] for title in re.findall(r"^## (.+)$", text, re.MULTILINE)]
        assert parts == ["Context", "Decision", "Alternatives", "Consequences"], record.name
        assert re.search(r"^Status: (accepted|proposed)\.$", text, re.MULTILINE), record.name
        assert len(text.split()) <= 200, record.name


def test_every_module_that_a_page_names_exists():
    folders = ("alerting", "benchmarks", "config", "dags", "docs", "tests", "tools")
    files = [
        f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.py")
    ]
    ends = {file[at:] for file in files for at in range(len(file)) if file[at] == "/"}
    named = re.compile(r"`([\w./-]+\.py)`")
    assert [
        (page.name, module)
        for page in PAGES
        for module in named.findall(page.read_text(encoding="utf-8"))
        if f"/{module}" not in ends
    ] == []


def test_every_function_of_the_walkthrough_stands_in_its_module():
    page = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| .*?\| `([\w./]+\.py)` \| (.+) \|$", page, re.MULTILINE)
    steps += re.findall(r"`([\w./]+\.py)`\s\((`\w+`)\)", page)
    assert len(steps) > 40
    missing = []
    for module, functions in steps:
        path = ROOT / module if module.startswith("dags/") else ROOT / "alerting" / module
        code = path.read_text(encoding="utf-8") if path.exists() else ""
        missing += [
            (module, f)
            for f in re.findall(r"`(\w+)`", functions)
            if not re.search(rf"^\s*(def|class) {f}\b", code, re.MULTILINE)
        ]
    assert missing == []


def test_the_layers_of_the_architecture_are_those_of_the_contract_of_imports():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = contracts["importlinter"]["contracts"][0]["layers"]
    # in parentheses: a folder that may be deleted, which no page of the code needs to name
    required = [layer for layer in layers if not layer.startswith("(")]
    order = {n.strip("()"): at for at, layer in enumerate(required) for n in layer.split(" | ")}
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    named = [re.split(r"[/.]", name)[0] for cell in cells for name in re.findall(r"`(.+?)`", cell)]
    assert named[0] == "dags"
    assert set(named[1:]) == order.keys()
    assert [order[name] for name in named[1:]] == sorted(order.values())


def test_every_name_in_the_prose_of_a_page_about_the_code_exists():
    """Names of functions, methods and fields in prose, e.g. `deliver_now`."""
    folders = ("alerting", "benchmarks", "dags", "tests", "tools")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    known = set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in files)))
    missing = []
    for name in (
        "docs/walkthrough.md",
        "docs/architecture.md",
        "docs/extending.md",
        "CONTRIBUTING.md",
    ):
        page = re.sub(r"```.*?```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        named = re.findall(r"`([A-Za-z]\w*(?:_\w+|\(\)))`", page)
        missing += [(name, one) for one in named if one.removesuffix("()") not in known]
    assert missing == []


def test_the_glossary_is_sorted_and_every_term_has_a_meaning_and_an_example():
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^- \*\*(.+?)\*\*: (.*) E\.g\. (.*)$", page, re.MULTILINE)
    terms = [term.lower().replace("_", " ") for term, _, _ in rows]
    assert len(rows) == page.count("\n- **") > 50
    assert terms == sorted(terms)
    assert [
        term for term, meaning, example in rows if not meaning.strip() or not example.strip()
    ] == []
