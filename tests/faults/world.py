"""Folder, speed of time and logs that the processes of the fault test share."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from alerting.adapters.mlflow.file_cache import FolderFileCache
from alerting.adapters.mongo.mongod_access import address
from alerting.local.prepare import load_or_create
from alerting.ports import Platform
from alerting.settings.environment import Settings, read_settings
from tests.support import free_port

SECRET = "whsec_" + "c2VjcmV0" * 4
CALM = "calm"
STORMY = "stormy"


@dataclass(frozen=True)
class World:
    """One run of the test. `speed`: seconds of the plant per second of the wall."""

    folder: str
    seed: int
    speed: float
    mongod_port: int
    mail_port: int
    hook_port: int

    @classmethod
    def create(cls, folder: Path, seed: int, speed: float = 1.0) -> "World":
        world = cls(str(folder), seed, speed, free_port(), free_port(), free_port())
        load_or_create(world.path("home") / "secrets")
        world.path("world.json").write_text(json.dumps(asdict(world)))
        return world

    @classmethod
    def read(cls, folder: str) -> "World":
        return cls(**json.loads((Path(folder) / "world.json").read_text()))

    def path(self, name: str) -> Path:
        return Path(self.folder) / name

    @property
    def uri(self) -> str:
        return address(self.path("mongod"), self.mongod_port)

    @property
    def settings(self) -> Settings:
        """The platform as its users configure it: by the environment."""
        return read_settings(self.environ)

    @property
    def accepted(self) -> list[Mapping[str, Any]]:
        """Return the notes of all deliveries that receivers took."""
        return [note for note in self.notes("mail", "hook") if note["what"] == "accepted"]

    @property
    def environ(self) -> Mapping[str, str]:
        return {
            "ALERTING_HOME": str(self.path("home")),
            # the clock never shows an instant whose readings are not there
            "ALERTING_LATENCY": "0s",
            "ALERTING_MONGODB_URI": self.uri,
            "ALERTING_DATABASE": STORMY,
            "ALERTING_MLFLOW_URI": "http://127.0.0.1:9",  # nobody: models come from a cache
            **self.receivers,
        }

    @property
    def receivers(self) -> Mapping[str, str]:
        """The variables of whoever receives notifications."""
        return {
            "ALERTING_SMTP_HOST": "127.0.0.1",
            "ALERTING_SMTP_PORT": str(self.mail_port),
            "ALERTING_SMTP_TLS": "none",
            "ALERTING_SMTP_FROM": "alerting@plant.example",
            "ALERTING_EMAIL_SHIFT": "shift@plant.example",
            "ALERTING_EMAIL_CHIEF": "chief@plant.example",
            "ALERTING_EMAIL_CROWD": "crowd@plant.example",
            "ALERTING_WEBHOOK_MES": f"http://127.0.0.1:{self.hook_port}/alerts",
            "ALERTING_WEBHOOK_MES_SECRET": SECRET,
            "ALERTING_EGRESS_ALLOW": "127.0.0.1",
        }

    @property
    def end(self) -> datetime | None:
        """The last instant of the plant that is judged; None while the storm lasts."""
        path = self.path("end.txt")
        return datetime.fromisoformat(path.read_text()) if path.exists() else None

    def replace_text(self, name: str, text: str) -> None:
        """Write a file in one piece."""
        draft = self.path(f"{name}.draft")
        draft.write_text(text)
        draft.replace(self.path(name))

    def note(self, part: str, what: str, **more: Any) -> None:
        """One line, written in one piece: whoever is killed has written all of it or nothing."""
        line = json.dumps(
            {"t": time.time(), "pid": os.getpid(), "part": part, "what": what, **more}
        )
        log = os.open(self.path(f"{part}.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(log, f"{line}\n".encode())
        finally:
            os.close(log)

    def notes(self, *parts: str) -> list[Mapping[str, Any]]:
        """Return the notes of these parts, in order of time."""
        logs = [self.path(f"{part}.jsonl") for part in parts]
        lines = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
        return sorted(map(json.loads, lines), key=lambda n: n["t"])

    def last_note(self, part: str) -> Mapping[str, Any]:
        """The newest note of this part; empty before the first."""
        path = self.path(f"{part}.jsonl")
        if not path.exists():
            return {}
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 4096))
            lines = [
                line
                for line in log.read().splitlines()
                if line.startswith(b"{") and line.endswith(b"}")
            ]
        return json.loads(lines[-1]) if lines else {}


def with_cache(platform: Platform, world: World) -> Platform:
    """Return the platform with key and cache of the models of the home, of which every process of
    the test reads them."""
    settings = world.settings
    cache = FolderFileCache(settings.home / "cache" / "models")
    return replace(platform, model_key=settings.read_model_key(), model_file_cache=cache)
