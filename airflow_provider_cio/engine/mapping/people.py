"""People: each row of the query creates or updates a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_cio.engine.mapping.attributes import Attributes
from airflow_provider_cio.engine.mapping.columns import RESERVED_FOR_PEOPLE, check_columns
from airflow_provider_cio.engine.mapping.email_owners import EmailOwners
from airflow_provider_cio.engine.mapping.identifiers import (
    as_texts,
    identifier_texts,
    secondary_identifier_texts,
)
from airflow_provider_cio.engine.mapping.mapper import Mapper, Payloads
from airflow_provider_cio.engine.mapping.operations import IdentifyPerson, person_identifiers
from airflow_provider_cio.engine.mapping.query import Query
from airflow_provider_cio.engine.mapping.row_keys import RowKeys
from airflow_provider_cio.engine.mapping.row_problems import RowProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.sources import Column

#: The columns that identify a person.
_IDENTIFIERS = ("id", "email")


@dataclass(frozen=True, kw_only=True)
class PeopleQuery(Query):
    """A query whose rows are people. Every column that is not the identifier is an attribute.

    Args:
        sql: The SELECT, rendered.
        identify_by: The column that identifies a person. By default it is ``id``, and ``email`` in rows
            whose id is NULL.
        create: Whether a row creates its person if the person does not exist.
    """

    name: ClassVar = "people"
    identify_by: Identifier | None = None
    create: bool = True

    def mapper(
        self, columns: Sequence[Column], nulls: Nulls, on_rejection: Callable[[Rejection], None]
    ) -> Mapper:
        """Return a mapper for rows with these columns."""
        return PeopleMapper(self, columns, nulls, on_rejection)

    @property
    def updates_only(self) -> bool:
        """Whether rows create no people."""
        return not self.create

    @property
    def key_columns(self) -> Sequence[Sequence[str]]:
        """The columns that identify a row."""
        return [(self.identify_by,) if self.identify_by else _IDENTIFIERS]

    @property
    def failed_change_types(self) -> list[str]:
        """The types of activities with which Customer.io logs changes that it did not apply."""
        return ["failed_attribute_change"]


class PeopleMapper(Mapper):
    """Turns rows into operations that identify people.

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
        allowed: tuple[Identifier, ...] = (query.identify_by,) if query.identify_by else ("id", "email")
        check_columns(columns, identifiers=_IDENTIFIERS, required=[allowed], reserved=RESERVED_FOR_PEOPLE)
        super().__init__(query.name, RowKeys(query.key_columns, columns), columns, _IDENTIFIERS, on_rejection)
        names = [column.name for column in columns]
        self._column_index = {name: names.index(name) for name in _IDENTIFIERS if name in names}
        self._identifications = [
            _Identification(identifier, names, nulls, update_only=query.updates_only)
            for identifier in allowed
            if identifier in names
        ]
        self._email_owners = EmailOwners() if len(self._column_index) == len(_IDENTIFIERS) else None
        self._no_identifier = RowProblem(
            f"identifiers.{allowed[0]}", "required", f"the row has no {' and no '.join(allowed)}"
        )

    def _payloads(self, columns: Sequence[Values], problems: RowProblems) -> Payloads:
        """Identify the person of each row by the first identifier that is not NULL."""
        first, *second = self._identifications
        if None not in columns[first.column_index]:
            return first.payloads(columns, problems)
        for index in self._rows_without_identifier(columns):
            problems.setdefault(index, self._no_identifier)
        if not second:
            return first.payloads(columns, problems)
        has_first = [value is not None for value in columns[first.column_index]]
        order_keys: list[str] = [""] * len(has_first)
        payloads: list[Any] = [None] * len(has_first)
        for identification, uses_first in ((first, True), (second[0], False)):
            indexes = [index for index, by_first in enumerate(has_first) if by_first is uses_first]
            part_problems: RowProblems = {}
            part = identification.payloads(
                [[column[index] for index in indexes] for column in columns], part_problems
            )
            for index, order_key, payload in zip(indexes, *part, strict=True):
                order_keys[index], payloads[index] = order_key, payload
            for part_index, problem in part_problems.items():
                problems.setdefault(indexes[part_index], problem)
        return Payloads(order_keys, payloads)

    def _find_conflicts(self, first: int, columns: Sequence[Values], problems: RowProblems) -> None:
        """Find email addresses that an earlier row has with another id."""
        if not self._email_owners:
            return
        ids, emails = columns[self._column_index["id"]], columns[self._column_index["email"]]
        indexes: Sequence[int] = range(len(ids))
        if problems or None in ids or None in emails:
            indexes = [
                index
                for index in indexes
                if index not in problems and ids[index] is not None and emails[index] is not None
            ]
            ids, emails = [ids[index] for index in indexes], [emails[index] for index in indexes]
        conflicts = self._email_owners.conflicts([first + index for index in indexes], emails, as_texts(ids))
        for row_index, owner_row_index in conflicts.items():
            message = (
                f"email is also in row {owner_row_index}, with another id. In Customer.io an email address"
                " belongs to one person"
            )
            problems[row_index - first] = RowProblem("attributes.email", "duplicate", message)

    def _rows_without_identifier(self, columns: Sequence[Values]) -> list[int]:
        """Return the indexes of the rows in which all identifiers are NULL."""
        used = (columns[identification.column_index] for identification in self._identifications)
        rows = enumerate(zip(*used, strict=True))
        return [index for index, values in rows if not any(value is not None for value in values)]


class _Identification:
    """Encodes rows as people that are identified by one column. The other identifier is an attribute.

    Args:
        identifier: The column that identifies the people.
        names: The names of all columns.
        nulls: What a NULL attribute does.
        update_only: Whether rows create no people.
    """

    def __init__(
        self, identifier: Identifier, names: Sequence[str], nulls: Nulls, *, update_only: bool
    ) -> None:
        self.column_index = names.index(identifier)
        self._name = identifier
        self._identifiers = person_identifiers(identifier)
        self._attributes = Attributes(names, (identifier,), nulls, update_only=update_only)
        self._other_name = "email" if identifier == "id" else "id"
        self._other_index = names.index(self._other_name) if self._other_name in names else None

    def payloads(self, columns: Sequence[Values], problems: RowProblems) -> Payloads:
        """Return what each row of a chunk sends."""
        texts = identifier_texts(self._name, columns[self.column_index], problems)
        if self._other_index is not None:
            columns = list(columns)
            columns[self._other_index] = secondary_identifier_texts(
                self._other_name, columns[self._other_index], problems
            )
        people = map(self._identifiers, texts)
        # The case of an email address has no meaning.
        order_keys = texts if self._name == "id" else list(map(str.lower, texts))
        return Payloads(order_keys, map(IdentifyPerson, people, self._attributes.of_rows(columns)))
