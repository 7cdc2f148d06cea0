"""An in-memory platform: it reads live data, and every write of a use case stays in memory.

The use cases that run live (train, evaluate, determine outcomes) run on it unchanged. It cannot write to a live collection or
the registry, or notify a person: operations that only a live platform may do raise LiveWrite.
"""

from alerting.usecases.backtest.sandbox.live_write import LiveWrite
from alerting.usecases.backtest.sandbox.memory_episodes import MemoryEpisodes
from alerting.usecases.backtest.sandbox.memory_evaluation import MemoryStates
from alerting.usecases.backtest.sandbox.memory_models import MemoryModels
from alerting.usecases.backtest.sandbox.platform import Sandbox

__all__ = ["LiveWrite", "MemoryEpisodes", "MemoryModels", "MemoryStates", "Sandbox"]
