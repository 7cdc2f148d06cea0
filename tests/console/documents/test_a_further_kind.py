"""A kind of documents that is declared here has list, page, editor, API and commands."""

from contextlib import nullcontext
from functools import partial

import pytest
import yaml
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, ValidationError

from alerting import wiring
from alerting.adapters.memory.plant import MemoryDocumentStore
from alerting.console.app import create_app
from alerting.definitions.faults import DocumentRefused, Fault
from alerting.usecases.document_kinds import KINDS
from alerting.usecases.document_life import DocumentKind
from tests.helpers.command_line import output, run, write
from tests.helpers.console.api import ADMIN, TOKENS
from tests.helpers.console.forms import fields_of
from tests.helpers.console.pages import ADMIN_TOKEN, lacks, log_in
from tests.in_memory_platform import in_memory_platform


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    minutes: float
    state: str = "active"


def parse(document):
    try:
        return Recipe.model_validate(dict(document))
    except ValidationError as error:
        faults = [Fault(str(one["loc"][0]), one["msg"]) for one in error.errors()]
        raise DocumentRefused(document.get("name"), faults) from error


STORE = MemoryDocumentStore()
WRITE = partial(Recipe.model_dump, exclude_defaults=True)
RECIPES = DocumentKind(
    word="recipe",
    store=lambda _: STORE,
    model=Recipe,
    parse=parse,
    write=WRITE,
    applied="recipe applied",
    removed="recipe removed",
    columns=("name", "minutes"),
)


@pytest.fixture
def platform(monkeypatch, tmp_path):
    made = in_memory_platform()
    monkeypatch.setitem(KINDS, "recipe", RECIPES)
    monkeypatch.setattr(wiring, "open_platform", lambda *_, **__: nullcontext(made))
    monkeypatch.chdir(tmp_path)
    return made


def test_a_further_kind_has_commands_api_list_page_and_editor(platform):
    assert "new" in output(
        "apply", write("r.yaml", {"name": "rye", "minutes": 40}), "--as", "recipe"
    )
    assert "minutes" in run("check", write("x.yaml", {"name": "x"}), "--as", "recipe").output
    assert "rye" in output("list", "recipes")
    assert yaml.safe_load(output("show", "rye")) == {"name": "rye", "minutes": 40}
    browser = TestClient(create_app(platform, TOKENS), follow_redirects=False)
    url = "/api/v1/recipes"
    assert [one["name"] for one in browser.get(url, headers=ADMIN).json()["items"]] == ["rye"]
    made = browser.put(f"{url}/oat", json={"minutes": 9}, headers=ADMIN | {"if-none-match": "*"})
    assert (made.status_code, made.json()["revision"]) == (201, 1)
    log_in(browser, ADMIN_TOKEN)
    fields = fields_of(browser.get("/recipes/rye/edit").text) | {"N:minutes": "soon"}
    faulty = browser.post("/recipes/rye/edit", data={**fields, "do": "apply"})
    assert (faulty.status_code, "valid number" in faulty.text) == (422, True)
    fields["N:minutes"] = "45"
    assert browser.post("/recipes/rye/edit", data={**fields, "do": "apply"}).status_code == 303
    assert lacks(browser.get("/recipes/rye?from=1").text, "<ins>45</ins>", "Restore it") == []
    assert lacks(browser.get("/recipes").text, 'href="/recipes/rye"', "/new-recipe") == []
    removed = browser.delete(f"{url}/oat", headers=ADMIN | {"if-match": '"1"'})
    assert (removed.status_code, STORE.documents()) == (204, [{"name": "rye", "minutes": 45}])
