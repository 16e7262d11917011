"""People, objects, relationships, segments and activities, as rows of SQLite."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from airflow_provider_cio.emulator.operations import ObjectRef, PersonRef

Document: TypeAlias = dict[str, tuple[str, int]]
"""Attributes with the Unix seconds of their last change, by name."""

TABLES = """
CREATE TABLE IF NOT EXISTS people (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, so that a cio_id stays unique
    id TEXT UNIQUE,
    email TEXT UNIQUE COLLATE NOCASE,
    created INTEGER NOT NULL,
    attributes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS objects (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    object_type_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    created INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    UNIQUE (object_type_id, object_id)
);
CREATE TABLE IF NOT EXISTS relationships (
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
    attributes TEXT NOT NULL,
    PRIMARY KEY (person, object)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS relationships_of_objects ON relationships (object, person);
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('dynamic', 'manual')),
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS members (
    segment INTEGER NOT NULL REFERENCES segments ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    PRIMARY KEY (segment, person)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_by_person ON members (person);
CREATE TABLE IF NOT EXISTS activities (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    person INTEGER,  -- no reference: what happened outlives the person
    content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS activities_by_type ON activities (type, key);
CREATE INDEX IF NOT EXISTS activities_by_person ON activities (person, key);
-- The data-driven segment that every workspace starts with here: all people. The API cannot create one.
INSERT OR IGNORE INTO segments (id, name, description, type, created)
VALUES (1, 'Everyone', 'All people of the workspace', 'dynamic', unixepoch());
"""

Condition: TypeAlias = tuple[str, Any]
"""A condition of a query and its parameter."""

MAX_KEY = 2**63 - 1
"""The largest number that SQLite holds."""

COUNTED = ("people", "objects", "relationships", "segments", "activities")

PERSON_BY = {
    "key": "SELECT key, created, attributes FROM people WHERE key = ?",
    "id": "SELECT key, created, attributes FROM people WHERE id = ?",
    "email": "SELECT key, created, attributes FROM people WHERE email = ?",
}

# Members of a data-driven segment are computed: for the only one there is, everybody.
MEMBERS = """
SELECT key, created, attributes FROM people WHERE key > :after AND (
    (SELECT type FROM segments WHERE id = :segment) = 'dynamic'
    OR key IN (SELECT person FROM members WHERE segment = :segment)
) ORDER BY key LIMIT :limit
"""

_decode_document = msgspec.json.Decoder(Document).decode
_encoder = msgspec.json.Encoder()


def encode_document(document: Document) -> str:
    """The attributes as a column of text."""
    return _encoder.encode(document).decode()


class Person(Struct):
    """A person; `key` is None until the person is saved for the first time. `created` is in Unix seconds."""

    created: int
    attributes: Document
    key: int | None = None

    @property
    def id(self) -> str | None:
        """The person's own id."""
        return self.attributes["id"][0] if "id" in self.attributes else None

    @property
    def email(self) -> str | None:
        """The person's e-mail address."""
        return self.attributes["email"][0] if "email" in self.attributes else None

    @property
    def cio_id(self) -> str:
        """The identifier that never changes; empty before the person is saved."""
        return "" if self.key is None else f"a3{self.key:06x}"

    @property
    def identifiers(self) -> dict[str, str | None]:
        """All three, as the App API shows them."""
        return {"email": self.email, "id": self.id, "cio_id": self.cio_id}


class Thing(Struct):
    """An object in Customer.io's sense; `key` is None until it is saved for the first time."""

    object_type_id: str
    object_id: str
    created: int
    attributes: Document
    key: int | None = None

    @property
    def cio_object_id(self) -> str:
        """The identifier that never changes."""
        return f"ob{self.key:06x}"


class Segment(Struct):
    """A segment; `type` is ``manual`` or ``dynamic``."""

    id: int
    name: str
    description: str
    type: str
    created: int


class Related(Struct):
    """One relationship with both of its sides."""

    person: Person
    thing: Thing
    attributes: Document


class Activity(Struct):
    """One entry of the activity log; `content` is a JSON object."""

    key: int
    type: str
    at: int
    content: dict[str, Any]


def _person(row: tuple[int, int, str]) -> Person:
    return Person(key=row[0], created=row[1], attributes=_decode_document(row[2]))


def _thing(row: tuple[int, str, str, int, str]) -> Thing:
    return Thing(row[1], row[2], row[3], _decode_document(row[4]), key=row[0])


def _key_of(cio_id: str, prefix: str) -> int | None:
    """The row that a ``cio_id`` or ``cio_object_id`` names; None if it cannot be one of ours."""
    found = re.fullmatch(prefix + "([0-9a-f]{6,15})", cio_id)
    return int(found[1], 16) if found else None


class Store:
    """All rows of one workspace.

    Args:
        database: A file, or ``:memory:``. A file outlives the process, though perhaps not a power cut.
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
        """Everything inside happens, or nothing of it."""
        self._execute("BEGIN")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def counts(self) -> dict[str, int]:
        """How many rows there are of each kind."""
        return {table: self._execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED}  # noqa: S608

    # People

    def person(self, ref: PersonRef) -> Person | None:
        """The person named, if there is one."""
        if ref.key == "cio_id":
            row = self._execute(PERSON_BY["key"], (_key_of(ref.value, "a3"),)).fetchone()
        else:
            row = self._execute(PERSON_BY[ref.key], (ref.value,)).fetchone()
        return row and _person(row)

    def save_person(self, person: Person) -> None:
        """Insert or update the person."""
        values = (person.id, person.email, encode_document(person.attributes))
        if person.key is None:
            insert = "INSERT INTO people (id, email, attributes, created) VALUES (?, ?, ?, ?)"
            person.key = self._execute(insert, (*values, person.created)).lastrowid
        else:
            update = "UPDATE people SET id = ?, email = ?, attributes = ? WHERE key = ?"
            self._execute(update, (*values, person.key))

    def delete_person(self, person: Person) -> None:
        """Delete the person, and with it relationships and memberships."""
        self._execute("DELETE FROM people WHERE key = ?", (person.key,))

    def people(self, search: str, limit: int, offset: int) -> list[Person]:
        """The newest people whose identifiers or attributes contain the text."""
        select = "SELECT key, created, attributes FROM people"
        contains = ("instr(lower(attributes), lower(?))", search or None)
        return [_person(row) for row in self._page(select, [contains], "key DESC", limit, offset)]

    # Objects

    def thing(self, ref: ObjectRef) -> Thing | None:
        """The object named, if there is one."""
        columns = "SELECT key, object_type_id, object_id, created, attributes FROM objects "
        if ref.cio_object_id:
            row = self._execute(columns + "WHERE key = ?", (_key_of(ref.cio_object_id, "ob"),)).fetchone()
        else:
            row = self._execute(
                columns + "WHERE object_type_id = ? AND object_id = ?", (ref.object_type_id, ref.object_id)
            ).fetchone()
        return row and _thing(row)

    def save_thing(self, thing: Thing) -> None:
        """Insert or update the object."""
        if thing.key is None:
            insert = (
                "INSERT INTO objects (object_type_id, object_id, created, attributes) VALUES (?, ?, ?, ?)"
            )
            values = (thing.object_type_id, thing.object_id, thing.created, encode_document(thing.attributes))
            thing.key = self._execute(insert, values).lastrowid
        else:
            update = "UPDATE objects SET attributes = ? WHERE key = ?"
            self._execute(update, (encode_document(thing.attributes), thing.key))

    def delete_thing(self, thing: Thing) -> None:
        """Delete the object, and with it its relationships."""
        self._execute("DELETE FROM objects WHERE key = ?", (thing.key,))

    def things(self, search: str, limit: int, offset: int) -> list[Thing]:
        """The newest objects whose id or attributes contain the text."""
        select = "SELECT key, object_type_id, object_id, created, attributes FROM objects"
        contains = ("instr(lower(object_id || attributes), lower(?))", search or None)
        return [_thing(row) for row in self._page(select, [contains], "key DESC", limit, offset)]

    def object_types(self) -> list[str]:
        """The types in use, and type 1: a workspace that uses objects has that."""
        rows = self._execute("SELECT '1' UNION SELECT object_type_id FROM objects ORDER BY 1")
        return [row[0] for row in rows]

    # Relationships

    def relationship(self, person: Person, thing: Thing) -> Document | None:
        """The attributes of the relationship, if there is one."""
        query = "SELECT attributes FROM relationships WHERE person = ? AND object = ?"
        row = self._execute(query, (person.key, thing.key)).fetchone()
        return row and _decode_document(row[0])

    def save_relationship(self, person: Person, thing: Thing, attributes: Document) -> None:
        """Insert or update the relationship."""
        upsert = "INSERT OR REPLACE INTO relationships (person, object, attributes) VALUES (?, ?, ?)"
        self._execute(upsert, (person.key, thing.key, encode_document(attributes)))

    def delete_relationship(self, person: Person, thing: Thing) -> None:
        """End the relationship."""
        self._execute("DELETE FROM relationships WHERE person = ? AND object = ?", (person.key, thing.key))

    def relationships(
        self,
        *,
        person: Person | None = None,
        thing: Thing | None = None,
        search: str = "",
        limit: int,
        offset: int,
    ) -> list[Related]:
        """Relationships of one person, of one object, or of all, that contain the text."""
        select = """
            SELECT people.key, people.created, people.attributes,
                   objects.key, object_type_id, object_id, objects.created, objects.attributes,
                   relationships.attributes
            FROM relationships JOIN people ON person = people.key JOIN objects ON object = objects.key"""
        text = "people.attributes || object_id || relationships.attributes"
        conditions = [
            ("person = ?", person and person.key),
            ("object = ?", thing and thing.key),
            (f"instr(lower({text}), lower(?))", search or None),
        ]
        rows = self._page(select, conditions, "person, object", limit, offset)
        return [Related(_person(row[:3]), _thing(row[3:8]), _decode_document(row[8])) for row in rows]

    # Segments

    def segments(self) -> list[Segment]:
        """All segments."""
        rows = self._execute("SELECT id, name, description, type, created FROM segments ORDER BY id")
        return [Segment(*row) for row in rows]

    def segment(self, segment_id: int) -> Segment | None:
        """The segment, if there is one."""
        query = "SELECT id, name, description, type, created FROM segments WHERE id = ?"
        row = self._execute(query, (min(segment_id, MAX_KEY),)).fetchone()
        return row and Segment(*row)

    def segments_of(self, person: Person) -> list[Segment]:
        """The segments a person is in."""
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
        """Delete the segment, not its people."""
        self._execute("DELETE FROM segments WHERE id = ?", (segment.id,))

    def members(self, segment: Segment, after: int, limit: int) -> list[Person]:
        """People of the segment, by key, from the one after key `after`."""
        rows = self._execute(MEMBERS, {"segment": segment.id, "after": after, "limit": limit})
        return [_person(row) for row in rows]

    def count_members(self, segment: Segment) -> int:
        """How many people are in the segment."""
        query = """SELECT CASE (SELECT type FROM segments WHERE id = :segment) WHEN 'dynamic'
                   THEN (SELECT count(*) FROM people)
                   ELSE (SELECT count(*) FROM members WHERE segment = :segment) END"""
        count: int = self._execute(query, {"segment": segment.id}).fetchone()[0]
        return count

    def add_member(self, segment: Segment, person: Person) -> None:
        """Put the person into the segment."""
        insert = "INSERT OR IGNORE INTO members (segment, person) VALUES (?, ?)"
        self._execute(insert, (segment.id, person.key))

    def remove_member(self, segment: Segment, person: Person) -> None:
        """Take the person out of the segment."""
        self._execute("DELETE FROM members WHERE segment = ? AND person = ?", (segment.id, person.key))

    # Activities

    def add_activity(self, activity: str, person: Person | None, content: dict[str, Any]) -> None:
        """Note what has happened just now."""
        insert = "INSERT INTO activities (type, at, person, content) VALUES (?, ?, ?, ?)"
        values = (activity, int(time.time()), person and person.key, _encoder.encode(content).decode())
        self._execute(insert, values)

    def activities(
        self, *, activity: str | None = None, person: Person | None = None, limit: int, offset: int
    ) -> list[Activity]:
        """The newest activities of a type, of a person, or of all."""
        select = "SELECT key, type, at, content FROM activities"
        conditions = [("type = ?", activity), ("person = ?", person and person.key)]
        rows = self._page(select, conditions, "key DESC", limit, offset)
        return [Activity(key, kind, at, msgspec.json.decode(content)) for key, kind, at, content in rows]

    def _page(
        self, select: str, conditions: list[Condition], order: str, limit: int, offset: int
    ) -> sqlite3.Cursor:
        """Rows that meet the conditions whose parameter is not None; the others would only hide indexes."""
        given = [condition for condition in conditions if condition[1] is not None]
        clause = "WHERE " + " AND ".join(sql for sql, _ in given) if given else ""
        query = f"{select} {clause} ORDER BY {order} LIMIT ? OFFSET ?"
        return self._execute(query, (*(parameter for _, parameter in given), limit, offset))
