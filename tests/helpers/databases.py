"""Databases on a real server, emptied for the next test."""

from collections.abc import Collection

from alerting.stores.database.documents import MongoDatabase


def empty_database(database: MongoDatabase, stays: Collection[str] = ()) -> None:
    """Delete all documents but those of some collections.

    One command says which collections hold any, whoever wrote them: of forty a test writes a few.
    """
    for name in filled_collections(database):
        if name not in stays:
            database[name].delete_many({})


def filled_collections(database: MongoDatabase) -> list[str]:
    """Return the names of the collections that hold documents, in one command."""
    names = database.list_collection_names()
    if not names:
        return []
    count = [{"$collStats": {"count": {}}}]
    unions = [{"$unionWith": {"coll": name, "pipeline": count}} for name in names[1:]]
    found = database[names[0]].aggregate([*count, *unions])
    return [one["ns"].partition(".")[2] for one in found if one["count"]]
