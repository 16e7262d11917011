"""The storage of a workspace: records as rows of SQLite."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from airflow_provider_cio.emulator.records import (
    Activity,
    CustomObject,
    Document,
    Person,
    Segment,
    StoredRelationship,
    decode_document,
    encode_json,
    object_key,
    object_of,
    person_key,
    person_of,
)
from airflow_provider_cio.emulator.tables import (
    COUNTED_TABLES,
    MEMBER_COUNT,
    MEMBERS,
    PERSON_BY,
    RELATIONSHIPS,
    TABLES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.emulator.operations import ObjectRef, PersonRef

#: A condition of a query and its parameter.
_Condition: TypeAlias = tuple[str, Any]

#: The largest integer in SQLite.
_MAX_KEY = 2**63 - 1


class Store:
    """Store the records of one workspace.

    Args:
        database: The path of an SQLite file, or ``:memory:``. A power failure can damage the file, because
            writes are not synchronous.
    """

    def __init__(self, database: str) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None, cached_statements=256)
        self._connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;"
        )
        self._connection.executescript(TABLES)
        self._execute = self._connection.execute

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit the changes made in a ``with`` block, or none of them after an exception."""
        self._execute("BEGIN")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def counts(self) -> dict[str, int]:
        """Return the number of records of each kind."""
        counts = {}
        for table in COUNTED_TABLES:
            (counts[table],) = self._execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return counts

    # People

    def person(self, ref: PersonRef) -> Person | None:
        """Return the person with an identifier; None if there is none."""
        if ref.key == "cio_id":
            row = self._execute(PERSON_BY["key"], (person_key(ref.value),)).fetchone()
        else:
            row = self._execute(PERSON_BY[ref.key], (ref.value,)).fetchone()
        return row and person_of(row)

    def save_person(self, person: Person) -> None:
        """Insert or update a person."""
        values = (person.id, person.email, encode_json(person.attributes))
        if person.key is None:
            insert = "INSERT INTO people (id, email, attributes, created) VALUES (?, ?, ?, ?)"
            person.key = self._execute(insert, (*values, person.created)).lastrowid
        else:
            update = "UPDATE people SET id = ?, email = ?, attributes = ? WHERE key = ?"
            self._execute(update, (*values, person.key))

    def delete_person(self, person: Person) -> None:
        """Delete a person with all relationships and segment memberships."""
        self._execute("DELETE FROM people WHERE key = ?", (person.key,))

    def people(self, search: str, limit: int, offset: int) -> list[Person]:
        """Return people whose identifiers or attributes contain a text, the newest first."""
        select = "SELECT key, created, attributes FROM people"
        contains = ("instr(lower(attributes), lower(?))", search or None)
        return [person_of(row) for row in self._page(select, [contains], "key DESC", limit, offset)]

    # Objects

    def custom_object(self, ref: ObjectRef) -> CustomObject | None:
        """Return the object with these identifiers; None if there is none."""
        columns = "SELECT key, object_type_id, object_id, created, attributes FROM objects "
        if ref.cio_object_id:
            row = self._execute(columns + "WHERE key = ?", (object_key(ref.cio_object_id),)).fetchone()
        else:
            row = self._execute(
                columns + "WHERE object_type_id = ? AND object_id = ?", (ref.object_type_id, ref.object_id)
            ).fetchone()
        return row and object_of(row)

    def save_object(self, custom_object: CustomObject) -> None:
        """Insert or update an object."""
        if custom_object.key is None:
            insert = (
                "INSERT INTO objects (object_type_id, object_id, created, attributes) VALUES (?, ?, ?, ?)"
            )
            values = (
                custom_object.object_type_id,
                custom_object.object_id,
                custom_object.created,
                encode_json(custom_object.attributes),
            )
            custom_object.key = self._execute(insert, values).lastrowid
        else:
            update = "UPDATE objects SET attributes = ? WHERE key = ?"
            self._execute(update, (encode_json(custom_object.attributes), custom_object.key))

    def delete_object(self, custom_object: CustomObject) -> None:
        """Delete an object with all its relationships."""
        self._execute("DELETE FROM objects WHERE key = ?", (custom_object.key,))

    def custom_objects(self, search: str, limit: int, offset: int) -> list[CustomObject]:
        """Return objects whose id or attributes contain a text, the newest first."""
        select = "SELECT key, object_type_id, object_id, created, attributes FROM objects"
        contains = ("instr(lower(object_id || attributes), lower(?))", search or None)
        return [object_of(row) for row in self._page(select, [contains], "key DESC", limit, offset)]

    def object_types(self) -> list[str]:
        """Return the object types in use, and type 1, which every workspace with objects has."""
        rows = self._execute("SELECT '1' UNION SELECT object_type_id FROM objects ORDER BY 1")
        return [row[0] for row in rows]

    # Relationships

    def relationship(self, person: Person, custom_object: CustomObject) -> Document | None:
        """Return the attributes of a relationship; None if it does not exist."""
        query = "SELECT attributes FROM relationships WHERE person = ? AND object = ?"
        row = self._execute(query, (person.key, custom_object.key)).fetchone()
        return row and decode_document(row[0])

    def save_relationship(self, person: Person, custom_object: CustomObject, attributes: Document) -> None:
        """Insert or update a relationship."""
        upsert = "INSERT OR REPLACE INTO relationships (person, object, attributes) VALUES (?, ?, ?)"
        self._execute(upsert, (person.key, custom_object.key, encode_json(attributes)))

    def delete_relationship(self, person: Person, custom_object: CustomObject) -> None:
        """Delete a relationship."""
        self._execute(
            "DELETE FROM relationships WHERE person = ? AND object = ?", (person.key, custom_object.key)
        )

    def relationships(
        self,
        *,
        person: Person | None = None,
        custom_object: CustomObject | None = None,
        search: str = "",
        limit: int,
        offset: int,
    ) -> list[StoredRelationship]:
        """Return the relationships of a person, of an object, or of all, that contain a text."""
        text = "people.attributes || object_id || relationships.attributes"
        conditions = [
            ("person = ?", person and person.key),
            ("object = ?", custom_object and custom_object.key),
            (f"instr(lower({text}), lower(?))", search or None),
        ]
        rows = self._page(RELATIONSHIPS, conditions, "person, object", limit, offset)
        return [
            StoredRelationship(person_of(row[:3]), object_of(row[3:8]), decode_document(row[8]))
            for row in rows
        ]

    # Segments

    def segments(self) -> list[Segment]:
        """Return all segments."""
        rows = self._execute("SELECT id, name, description, type, created FROM segments ORDER BY id")
        return [Segment(*row) for row in rows]

    def segment(self, segment_id: int) -> Segment | None:
        """Return the segment with an id; None if there is none."""
        query = "SELECT id, name, description, type, created FROM segments WHERE id = ?"
        row = self._execute(query, (min(segment_id, _MAX_KEY),)).fetchone()
        return row and Segment(*row)

    def segments_of(self, person: Person) -> list[Segment]:
        """Return the segments that a person is in."""
        query = """SELECT id, name, description, type, created FROM segments
                   WHERE type = 'dynamic' OR id IN (SELECT segment FROM members WHERE person = ?)
                   ORDER BY id"""
        return [Segment(*row) for row in self._execute(query, (person.key,))]

    def create_segment(self, name: str, description: str) -> Segment:
        """Create an empty manual segment."""
        created = int(time.time())
        insert = "INSERT INTO segments (name, description, type, created) VALUES (?, ?, 'manual', ?)"
        segment_id = self._execute(insert, (name, description, created)).lastrowid
        return Segment(segment_id or 0, name, description, "manual", created)

    def delete_segment(self, segment: Segment) -> None:
        """Delete a segment, and keep its people."""
        self._execute("DELETE FROM segments WHERE id = ?", (segment.id,))

    def members(self, segment: Segment, after: int, limit: int) -> list[Person]:
        """Return people of a segment in the order of their keys, from the first key above `after`."""
        rows = self._execute(MEMBERS, {"segment": segment.id, "after": after, "limit": limit})
        return [person_of(row) for row in rows]

    def count_members(self, segment: Segment) -> int:
        """Return the number of people in a segment."""
        count: int = self._execute(MEMBER_COUNT, {"segment": segment.id}).fetchone()[0]
        return count

    def add_member(self, segment: Segment, person: Person) -> None:
        """Add a person to a segment."""
        insert = "INSERT OR IGNORE INTO members (segment, person) VALUES (?, ?)"
        self._execute(insert, (segment.id, person.key))

    def remove_member(self, segment: Segment, person: Person) -> None:
        """Remove a person from a segment."""
        self._execute("DELETE FROM members WHERE segment = ? AND person = ?", (segment.id, person.key))

    # Activities

    def add_activity(self, activity: str, person: Person | None, content: dict[str, Any]) -> None:
        """Record an activity with the current time."""
        insert = "INSERT INTO activities (type, at, person, content) VALUES (?, ?, ?, ?)"
        values = (activity, int(time.time()), person and person.key, encode_json(content))
        self._execute(insert, values)

    def activities(
        self, *, activity: str | None = None, person: Person | None = None, limit: int, offset: int
    ) -> list[Activity]:
        """Return the activities of a type, of a person, or of all, the newest first."""
        select = "SELECT key, type, at, content FROM activities"
        conditions = [("type = ?", activity), ("person = ?", person and person.key)]
        rows = self._page(select, conditions, "key DESC", limit, offset)
        return [Activity(key, kind, at, msgspec.json.decode(content)) for key, kind, at, content in rows]

    def _page(
        self, select: str, conditions: list[_Condition], order: str, limit: int, offset: int
    ) -> sqlite3.Cursor:
        """Select one page of rows.

        Conditions whose parameter is None are left out, so that SQLite uses its indexes for the others.
        """
        given = [condition for condition in conditions if condition[1] is not None]
        clause = "WHERE " + " AND ".join(sql for sql, _ in given) if given else ""
        query = f"{select} {clause} ORDER BY {order} LIMIT ? OFFSET ?"
        return self._execute(query, (*(parameter for _, parameter in given), limit, offset))
