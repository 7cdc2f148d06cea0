"""A plant on which every kind of write can be done as people do it: in the browser, by the API, by
a command, by a link in a mail, and in MongoDB itself."""

import csv
import io
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module

import yaml
from typer.testing import CliRunner

from alerting.adapters.passwords_and_links import SignedLinks
from alerting.cli import main
from alerting.definitions.sources import parse_source
from alerting.notifications.notification import Notification
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import store_messages
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import ADMIN
from tests.helpers.console.pages import WallClock, csrf_of
from tests.helpers.console.people import app_of, browser_of, person_on, sign_in
from tests.helpers.episodes import episode
from tests.helpers.streamed_messages import SOURCE, message
from tests.in_memory_platform import HandClock, Mailbox, platform_on

ACCOUNT = "account-of-the-host"


class AuditedPlant:
    """The plant; `boss` is an administrator in a browser, `api` an admin's program."""

    def __init__(self, monkeypatch, folder, stores):
        self.folder = folder
        self.wall = WallClock()
        # by the real time the database deletes sessions that are over
        self.wall.instant = datetime.now(UTC)
        self.mail = Mailbox("mail")
        clock = HandClock(at(600))
        self.stores = stores
        made = platform_on(self.stores, [self.mail], clock)
        links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now)
        self.platform = replace(made, links=links)
        self.platform.assets.store_assets([oven()])
        apply(self.platform, [too_hot()], "engineer", at(0), "first")
        self.episode = episode(590)
        self.platform.episodes.insert(self.episode)
        person_on(self.platform, self.wall(), "boss", "admin")
        person_on(self.platform, self.wall(), "anna")
        self.app = app_of(self.platform, self.wall)
        self.boss = browser_of(self.app)
        sign_in(self.boss, "boss")
        self.api = browser_of(self.app, "10.0.0.9", headers=ADMIN)
        for place in {place.partition(":")[0] for place, _ in main.COMMANDS.values()}:
            module = import_module(f"alerting.cli.{place}")
            for function, of_test in (
                ("platform", lambda: nullcontext(self.platform)),
                ("user", lambda: ACCOUNT),
            ):
                if hasattr(module, function):
                    monkeypatch.setattr(module, function, of_test)

    def post(self, path, page="/account", browser=None, **data):
        browser = browser or self.boss
        answer = browser.post(path, data={"csrf": csrf_of(browser.get(page)), **data})
        assert answer.status_code < 400, answer.text
        return answer

    def send(self, path, method="post", **body):
        answer = self.api.request(method, f"/api/v1{path}", json=body or None)
        assert answer.status_code < 400, answer.text
        return answer.json()

    def run(self, *words):
        done = CliRunner().invoke(main.app, [str(w) for w in words], env={"COLUMNS": "300"})
        assert done.exit_code == 0, done.output
        return done.stdout

    def file(self, document):
        path = self.folder / "document.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def browser(self, name):
        made = browser_of(self.app, "10.0.0.8")
        assert sign_in(made, name).status_code == 303
        return made

    def edit(self, collection, name, **fields):
        """Change a document as an editor of the database does, and do the upkeep twice."""
        self.stores.database[collection].update_one(
            {"name": name}, {"$set": fields}, bypass_document_validation=True
        )
        self.upkeep()

    def upkeep(self):
        for _ in range(2):
            maintain(self.platform, self.platform.clock.now())

    def letter(self):
        now = at(595)
        letter = Notification("n1", "mail", "raised", "too hot", now, None, "dead", 9)
        self.platform.notifications.add([replace(letter, error="no answer")])

    def dead_message(self):
        row = {"at": "2026-01-05T12:00:00Z", "values": {"t": 1}}
        store_messages(self.platform, parse_source(SOURCE), [message(row)], at(1), lambda _: False)
        SOURCES.apply(self.platform, [{**SOURCE, "time": "at"}], "engineer", at(2))

    def token(self):
        given = {"name": "gateway", "owner": "boss", "role": "sender"}
        ends_at = self.wall() + timedelta(days=30)
        return self.send("/tokens", **given, ends_at=ends_at.isoformat())["key"]

    def follow(self, number):
        """Open a link of a mail: 0 acknowledges, 1 says that the alarm was right."""
        url = self.platform.links.answer_links(self.episode.id, "mail", True)[number].url
        answer = browser_of(self.app).post(url.partition("testserver")[2], data={"confirm": "yes"})
        assert answer.status_code == 200, answer.text

    def mute(self):
        target = {"definition": "too-hot", "asset": "oven-1"}
        return self.send("/mutes", **target, **{"for": "2h"}, reason="repair")["id"]

    def found(self, what):
        """Return the newest entry of an action as the API, a page and the export show it; all
        three have it."""
        [entry, *_] = self.send(f"/audit?what={what}", "get")["items"]
        page = self.boss.get("/audit", params={"what": what}).text
        exported = self.boss.get("/audit.csv", params={"what": what}).text
        [row, *_] = csv.DictReader(io.StringIO(exported))
        columns = ("actor", "subject", "origin", "why")
        assert [row[k] for k in columns] == [entry[k] for k in columns]
        assert entry["subject"] in re.sub(r"<[^>]+>", "", page).replace("&#39;", "'")
        return entry, row["changes"], re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
