"""The tables of a workspace in SQLite."""

from __future__ import annotations

TABLES = """
CREATE TABLE IF NOT EXISTS people (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- keys are never reused, so a cio_id stays unique
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
    person INTEGER,  -- no reference: an activity outlives its person
    content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS activities_by_type ON activities (type, key);
CREATE INDEX IF NOT EXISTS activities_by_person ON activities (person, key);
-- A new workspace has one data-driven segment, with all people. The API cannot create data-driven segments.
INSERT OR IGNORE INTO segments (id, name, description, type, created)
VALUES (1, 'Everyone', 'All people of the workspace', 'dynamic', unixepoch());
"""

#: The tables that the emulator's statistics count.
COUNTED_TABLES = ("people", "objects", "relationships", "segments", "activities")

#: Queries for a person by each identifier.
PERSON_BY = {
    "key": "SELECT key, created, attributes FROM people WHERE key = ?",
    "id": "SELECT key, created, attributes FROM people WHERE id = ?",
    "email": "SELECT key, created, attributes FROM people WHERE email = ?",
}

#: A page of a segment's members. The only data-driven segment has all people.
MEMBERS = """
SELECT key, created, attributes FROM people WHERE key > :after AND (
    (SELECT type FROM segments WHERE id = :segment) = 'dynamic'
    OR key IN (SELECT person FROM members WHERE segment = :segment)
) ORDER BY key LIMIT :limit
"""

MEMBER_COUNT = """
SELECT CASE (SELECT type FROM segments WHERE id = :segment)
    WHEN 'dynamic' THEN (SELECT count(*) FROM people)
    ELSE (SELECT count(*) FROM members WHERE segment = :segment)
END
"""

RELATIONSHIPS = """
SELECT people.key, people.created, people.attributes,
    objects.key, object_type_id, object_id, objects.created, objects.attributes,
    relationships.attributes
FROM relationships JOIN people ON person = people.key JOIN objects ON object = objects.key
"""
