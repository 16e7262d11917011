"""Rows of a people query become identify operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine.mapping.attributes import Attributes
from airflow_provider_cio.engine.mapping.columns import RESERVED_OF_PEOPLE, check_columns
from airflow_provider_cio.engine.mapping.email_owners import EmailOwners
from airflow_provider_cio.engine.mapping.identifiers import as_text, identifier_texts, other_identifier_texts
from airflow_provider_cio.engine.mapping.mapper import Mapped, Mapper
from airflow_provider_cio.engine.mapping.operations import IdentifyPerson, PersonEmail, PersonId
from airflow_provider_cio.engine.mapping.row_problems import RowProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.queries import Identifier, Nulls, PeopleQuery
    from airflow_provider_cio.engine.sources import Column, Row

#: Columns that name a person.
PERSON = ("id", "email")


class PeopleMapper(Mapper):
    """Turns rows of a people query into operations.

    Raises:
        QueryError: The columns cannot be used.
    """

    def __init__(
        self,
        query: PeopleQuery,
        columns: Sequence[Column],
        nulls: Nulls,
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        wanted: tuple[Identifier, ...] = (query.identify_by,) if query.identify_by else ("id", "email")
        check_columns(query.sql, columns, identifiers=PERSON, required=[wanted], reserved=RESERVED_OF_PEOPLE)
        super().__init__(query.name, columns, PERSON, on_rejection)
        names = [column.name for column in columns]
        self._shapes = [_Shape(identifier, names, nulls) for identifier in wanted if identifier in names]
        self._owners = EmailOwners() if "id" in names and "email" in names else None
        self._nobody = RowProblem(
            f"identifiers.{wanted[0]}", "required", f"the row has no {' and no '.join(wanted)}"
        )
        self._place = {name: names.index(name) for name in PERSON if name in names}

    def map(self, columns: Sequence[Values], faults: RowProblems) -> Mapped:
        """Identify the person of each row, by the first identifier that it has."""
        first, *second = self._shapes
        if None not in columns[first.place]:
            return first.map(columns, faults)
        for place in self._nobodies(columns):
            faults.setdefault(place, self._nobody)
        if not second:
            return first.map(columns, faults)
        named = [value is not None for value in columns[first.place]]
        keys: list[str] = [""] * len(named)
        contents: list[Any] = [None] * len(named)
        for shape, is_first in ((first, True), (second[0], False)):
            places = [place for place, by_first in enumerate(named) if by_first is is_first]
            part_faults: RowProblems = {}
            mapped = shape.map([[column[place] for place in places] for column in columns], part_faults)
            for place, key, content in zip(places, *mapped, strict=True):
                keys[place], contents[place] = key, content
            for place, fault in part_faults.items():
                faults.setdefault(places[place], fault)
        return Mapped(keys, contents)

    def compare(self, first: int, columns: Sequence[Values], faults: RowProblems) -> None:
        """Find addresses that are sent twice, with another id each: an address is one id's only."""
        if not self._owners:
            return
        ids, emails = columns[self._place["id"]], columns[self._place["email"]]
        places: Sequence[int] = range(len(ids))
        if faults or None in ids or None in emails:
            places = [
                place
                for place in places
                if place not in faults and ids[place] is not None and emails[place] is not None
            ]
            ids, emails = [ids[place] for place in places], [emails[place] for place in places]
        clashes = self._owners.clashes([first + place for place in places], emails, list(map(str, ids)))
        for number, owner in clashes.items():
            message = f"email is also that of row {owner}, which has another id: one address, one person"
            faults[number - first] = RowProblem("attributes.email", "duplicate", message)

    def name(self, row: Row) -> str:
        """Name the person."""
        return next((as_text(row[shape.place]) for shape in self._shapes if row[shape.place] is not None), "")

    def _nobodies(self, columns: Sequence[Values]) -> list[int]:
        """List the places of rows that have no identifier at all."""
        both = zip(*(columns[shape.place] for shape in self._shapes), strict=True)
        return [place for place, values in enumerate(both) if not any(value is not None for value in values)]


class _Shape:
    """How a row becomes a person named by one of the two identifiers; the other one is an attribute."""

    def __init__(self, identifier: Identifier, names: Sequence[str], nulls: Nulls) -> None:
        self.place = names.index(identifier)
        self._name = identifier
        self._identifiers: Callable[[str], PersonId | PersonEmail] = (
            PersonId if identifier == "id" else PersonEmail
        )
        self._attributes = Attributes(names, (identifier,), nulls)
        self._other_name = "email" if identifier == "id" else "id"
        self._other = names.index(self._other_name) if self._other_name in names else None

    def map(self, columns: Sequence[Values], faults: RowProblems) -> Mapped:
        """Identify the person of each row."""
        texts = identifier_texts(self._name, columns[self.place], faults)
        if self._other is not None:
            columns = list(columns)
            columns[self._other] = other_identifier_texts(self._other_name, columns[self._other], faults)
        people = map(self._identifiers, texts)
        # An e-mail address is the same in any case.
        keys = texts if self._name == "id" else list(map(str.lower, texts))
        return Mapped(keys, map(IdentifyPerson, people, self._attributes.of_rows(columns)))
