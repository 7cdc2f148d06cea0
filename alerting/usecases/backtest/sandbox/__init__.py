"""A platform that only pretends: it reads what is really there, and whatever a use case writes stays in memory.

The same use cases that run live (train, evaluate, settle) run on it unchanged. Nothing in it can reach a live collection, the
registry, or a person: what has no business being called refuses to be.
"""

from alerting.usecases.backtest.sandbox.live_write import LiveWrite
from alerting.usecases.backtest.sandbox.memory_episodes import MemoryEpisodes
from alerting.usecases.backtest.sandbox.memory_evaluation import MemoryStates
from alerting.usecases.backtest.sandbox.memory_models import MemoryModels
from alerting.usecases.backtest.sandbox.platform import Shadow

__all__ = ["LiveWrite", "MemoryEpisodes", "MemoryModels", "MemoryStates", "Shadow"]
