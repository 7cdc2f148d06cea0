"""What people stated of files, by the form of these, in MongoDB."""

from alerting.ports import StoredPlan
from alerting.stores.database.documents import (
    STORED_PLANS,
    MongoDatabase,
    read_one,
    to_identified,
    upsert,
)

MOST_FORMS = 200


class StoredPlans:
    """What was stated of the last file of each form; the oldest leave."""

    def __init__(self, database: MongoDatabase) -> None:
        self._plans = database[STORED_PLANS]

    def find(self, form: str) -> StoredPlan | None:
        return read_one(STORED_PLANS, StoredPlan, self._plans.find_one({"_id": form}), "id")

    def keep(self, plan: StoredPlan) -> None:
        """Store a plan instead of the one of the same form; delete those beyond the newest
        `MOST_FORMS`. Idempotent."""
        document = to_identified(plan)
        upsert(lambda: self._plans.replace_one({"_id": plan.id}, document, upsert=True))
        newest = self._plans.find({}, {"_id": 1}).sort({"at": -1, "_id": 1})
        older = [stored["_id"] for stored in newest.skip(MOST_FORMS)]
        if older:
            self._plans.delete_many({"_id": {"$in": older}})

    def forget(self, form: str) -> None:
        """Delete the plan of a form. Idempotent."""
        self._plans.delete_one({"_id": form})
