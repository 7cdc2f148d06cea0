"""What operators said, in MongoDB; never overwritten."""

from contextlib import suppress

from pymongo.errors import DuplicateKeyError

from alerting.episodes.episode import Feedback
from alerting.stores.documents import MongoDatabase, fingerprint, from_document, to_document
from alerting.stores.indexes import FEEDBACK


class MongoFeedback:
    """Port `FeedbackLog`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._feedback = database[FEEDBACK]

    def append(self, feedback: Feedback) -> None:
        """Keep it; the very same feedback sent again is kept once."""
        with suppress(DuplicateKeyError):
            self._feedback.insert_one({**to_document(feedback), "key": fingerprint(feedback)})

    def of(self, episode: str) -> list[Feedback]:
        """All feedback on an episode, oldest first."""
        return [
            from_document(Feedback, found) for found in self._feedback.find({"episode": episode}).sort([("at", 1), ("_id", 1)])
        ]
