"""Options that people stated for files, by the form of these, in MongoDB."""

from alerting.ports import StoredForm
from alerting.stores.database.documents import (
    FILE_FORMS,
    MongoDatabase,
    read_one,
    to_identified,
    upsert,
)

MOST_FORMS = 200


class FileForms:
    """Options stated for the last file of each form; the oldest are deleted."""

    def __init__(self, database: MongoDatabase) -> None:
        self._forms = database[FILE_FORMS]

    def find(self, form: str) -> StoredForm | None:
        return read_one(FILE_FORMS, StoredForm, self._forms.find_one({"_id": form}), "id")

    def keep(self, form: StoredForm) -> None:
        """Store a form, or replace it; delete those beyond the newest `MOST_FORMS`. Idempotent."""
        document = to_identified(form)
        upsert(lambda: self._forms.replace_one({"_id": form.id}, document, upsert=True))
        newest = self._forms.find({}, {"_id": 1}).sort({"at": -1, "_id": 1})
        older = [stored["_id"] for stored in newest.skip(MOST_FORMS)]
        if older:
            self._forms.delete_many({"_id": {"$in": older}})

    def forget(self, form: str) -> None:
        """Delete a form. Idempotent."""
        self._forms.delete_one({"_id": form})
