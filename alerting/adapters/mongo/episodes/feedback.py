"""Feedback of operators in MongoDB; never overwritten."""

from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import MongoDatabase, fingerprint, from_document, to_document
from alerting.adapters.mongo.indexes import FEEDBACK
from alerting.episodes.episode import Feedback


class MongoFeedback:
    """Port `FeedbackLog`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._feedback = database[FEEDBACK]

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:
        key = fingerprint(feedback) if once is None else fingerprint("once", once)
        try:
            self._feedback.insert_one({**to_document(feedback), "key": key})
        except DuplicateKeyError:
            found = self._feedback.find_one({"key": key})
            return feedback if found is None else from_document(Feedback, found)
        return feedback

    def of(self, episode: str) -> list[Feedback]:
        return [
            from_document(Feedback, found) for found in self._feedback.find({"episode": episode}).sort([("at", 1), ("_id", 1)])
        ]
