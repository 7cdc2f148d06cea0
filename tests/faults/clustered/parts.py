"""The parts of a cluster that are killed: workers, APIs, stream services, scheduler, broker, and
the primary of the database, which may also step down."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from tests.cluster.whole import Whole
from tests.faults.parts import Part
from tests.faults.storm import Storm
from tests.faults.world import World
from tests.helpers.brokers import Redis
from tests.helpers.replica_set import Members
from tests.helpers.scheduler import Started

DOWN_S = (0.0, 10.0)
START_S = 20.0
"""Time that a part is left alone after its return, and the others of its group while it is away."""
DATABASE = "primary"
BROKER = "broker"


class ClusterPart(Part):
    """A part of the cluster, which ends it. `group`: of those that stand in for each other."""

    group: str
    returned_at = -START_S

    def bring_back(self, now: float) -> None:
        super().bring_back(now)
        self.returned_at = time.monotonic()

    def stop(self) -> None:
        self.wanted = False


class Service(ClusterPart):
    """A process that the cluster has started."""

    def __init__(self, world: World, name: str, started: Started) -> None:
        super().__init__(world, name)
        self.group = name.rstrip("-0123456789")
        self.wanted = True
        self._started = started

    @property
    def pid(self) -> int:
        return self._started.process.pid

    @property
    def running(self) -> bool:
        return self._started.is_running

    def start(self) -> None:
        self._started.start()

    def _stop_at_once(self) -> None:
        self._started.kill()


class Broker(ClusterPart):
    """Redis, which forgets everything when it is killed."""

    group = BROKER

    def __init__(self, world: World, redis: Redis) -> None:
        super().__init__(world, BROKER)
        self._redis = redis

    @property
    def pid(self) -> int:
        return self._redis.pid

    @property
    def running(self) -> bool:
        return self._redis.is_running

    def start(self) -> None:
        self._redis.start()

    def _stop_at_once(self) -> None:
        self._redis.kill()


class Primary(ClusterPart):
    """The member of the database that takes the writes: killed, or told to step down. It is back
    when the set is complete again."""

    group = DATABASE

    def __init__(self, world: World, members: Members) -> None:
        super().__init__(world, DATABASE)
        self._members = members
        self._killed: int | None = None

    @property
    def pid(self) -> int:
        return self._members.pid

    @property
    def running(self) -> bool:
        return self._killed is None

    def start(self) -> None:
        if self._killed is not None:
            self._members.start(self._killed)
        self._killed = None
        self._members.await_all()

    def step_down(self, now: float) -> None:
        """Let another member take its place, and wait until it has."""
        self._hit("step down", now, 0.0)
        try:
            self._members.step_down()
        except PyMongoError as fault:  # no member is near enough
            self.world.note("storm", "refused", of=self.name, why=str(fault))
        self._members.await_all()

    def _stop_at_once(self) -> None:
        self._killed = self._members.kill_primary()


@dataclass
class ClusterStorm(Storm):
    """Kills one part of each group at a time, as machines are lost, and lets it start again."""

    parts: Sequence[ClusterPart]

    def _strike(self, chance: random.Random, now: float) -> None:
        groups = sorted({part.group for part in self.parts})
        group = chance.choice(groups)
        others = [part for part in self.parts if part.group == group]
        part = chance.choice(others)
        down = chance.uniform(*DOWN_S)
        if any(one.is_hit or one.returned_at > now - START_S for one in others):
            return
        if isinstance(part, Primary) and chance.random() < 0.5:
            part.step_down(now)
        else:
            part.kill(now, down)


def all_parts(world: World, whole: Whole) -> list[ClusterPart]:
    """Return everything that may be lost."""
    scheduler = whole.cluster.airflow.parts["airflow-scheduler"]
    started = {**whole.cluster.workers, **whole.services, "scheduler": scheduler}
    started.pop("mlflow")
    services = [Service(world, name, one) for name, one in started.items()]
    return [Primary(world, whole.members), Broker(world, whole.cluster.redis), *services]
