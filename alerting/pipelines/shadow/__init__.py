"""A platform that only pretends: it reads what is really there, and whatever a use case writes stays in memory.

The same use cases that run live (train, evaluate, settle) run on it unchanged. Nothing in it can reach a live collection, the
registry, or a person: what has no business being called refuses to be.
"""

from alerting.pipelines.shadow.live_write import LiveWrite
from alerting.pipelines.shadow.memory_episodes import MemoryEpisodes
from alerting.pipelines.shadow.memory_evaluation import MemoryStates
from alerting.pipelines.shadow.memory_models import MemoryModels
from alerting.pipelines.shadow.platform import Shadow

__all__ = ["LiveWrite", "MemoryEpisodes", "MemoryModels", "MemoryStates", "Shadow"]
