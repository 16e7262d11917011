"""What pydantic finds wrong, at its place in the file and in the words of a spec."""

from __future__ import annotations

import datetime as dt
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from airflow_provider_cio.settings import NAME_PATTERN, OBJECT_TYPE_ID_PATTERN
from airflow_provider_cio.specs.document import NOTIFIERS
from airflow_provider_cio.specs.problems import cut, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from airflow_provider_cio.specs.document import Document, Keys
    from airflow_provider_cio.specs.problems import SpecProblem

#: What a text may look like, by the pattern that says it to machines.
_PATTERNS = {
    NAME_PATTERN: "may only have the letters a to z, digits and _",
    r"^[^\x00]*$": "may not have the character NUL",
    OBJECT_TYPE_ID_PATTERN: 'is the number of a type in Customer.io, as text, such as "1"',
}
_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}
#: Kinds whose words in pydantic quote a limit and not the value.
_BOUNDS = (
    "greater_than_equal",
    "less_than_equal",
    "date_type",
    "date_parsing",
    "date_from_datetime_parsing",
)
#: Keys that people look for in the wrong place.
_ELSEWHERE = {
    "every": "belongs under schedule, as in schedule: {every: 30 minutes}",
    "cron": 'is the value of schedule, as in schedule: "*/30 * * * *"',
    "assets": "belongs under schedule, as in schedule: {assets: [...]}",
    "query": "belongs under people, objects or relationships",
    "segment": "belongs under people",
    "identify_by": "belongs under people or relationships",
    "object_type_id": "belongs under objects or relationships",
}


def problem_of(error: ErrorDetails, documents: Sequence[Document], model: type[BaseModel]) -> SpecProblem:
    """Turn an error of pydantic into a fault.

    Args:
        error: One error.
        documents: The spec and the defaults that it was made of, the nearest first.
        model: What they should be.
    """
    location = error["loc"]
    document = next((each for each in documents if location and location[0] in each.content), documents[0])
    whole = not location or error["type"] in ("missing", "extra_forbidden")
    place = document.key(location) if whole else document.value(location)
    return document.fault(place, _message(error, document, model))


def _message(error: ErrorDetails, document: Document, model: type[BaseModel]) -> str:  # noqa: C901 - one case a kind
    location, context = error["loc"], error.get("ctx", {})
    where = _where(location, document.content)
    match error["type"]:
        case "missing":
            said = "is missing: give query or query_file" if location[-1] == "query" else "is missing"
        case "extra_forbidden":
            where, said = _unknown_key(location, model)
        case "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            given = error["input"] if isinstance(error["input"], str) else document.written(location)
            said = f"cannot be {cut(given) or 'this'}: {did_you_mean(given, allowed)}"
        case "string_pattern_mismatch":
            said = _PATTERNS[context["pattern"]]
        case "value_error":
            return f"{where}: {context['error']}" if where else str(context["error"])
        case "string_too_short":
            said = "is empty"
        case "string_too_long":
            said = f"is longer than {context['max_length']} characters"
        case "too_long":
            said = f"has more than {context['max_length']} entries"
        case "date_from_datetime_inexact":
            said = "has to be a day, without a time"
        case kind if kind in _KINDS:
            said = f"has to be {_KINDS[kind]}{_instead(error, document)}"
        case kind if kind in _BOUNDS:
            said = error["msg"].replace("Input should", "has to").replace("should", "has to")
        case _:  # pydantic's own words may quote what the spec says
            said = "has a value of the wrong kind"
    return f"{where} {said}"


def _where(location: tuple[int | str, ...], content: Any) -> str:
    """Name a place as the file has it: a text may be short for a mapping."""
    for depth, step in enumerate(location):
        if not isinstance(content, (dict, list)):
            return _dotted(location[:depth])
        content = content.get(step) if isinstance(content, dict) else content[int(step)]
    return _dotted(location)


def _dotted(location: Sequence[int | str]) -> str:
    return ".".join(cut(str(step)) or "''" for step in location)


def _unknown_key(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    """Name a key that is not known, and say what may be meant; a notifier's may be a secret out of place."""
    parents = location[:-1]
    hint = _meant(location, model)
    if location[0] in NOTIFIERS and "mean" not in hint:
        return _dotted(parents), f"has a key that is not known: {hint.partition(': ')[2]}"
    return _dotted(location), f"is no key {hint}"


def _meant(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    *parents, last = location
    holder = _model_at(parents, model)
    allowed = list(holder.model_fields)
    hint = did_you_mean(str(last), allowed)
    if "mean" not in hint and not parents and last in _ELSEWHERE:
        return f"here: it {_ELSEWHERE[str(last)]}"
    if parents:
        return f"of {_dotted(parents)}: {hint}"
    if "name" in allowed:
        return f"of a spec: {hint}"
    if last in ("name", "description", "people", "objects", "relationships"):
        return "of defaults: every spec has its own"
    return f"of defaults: {hint}"


def _instead(error: ErrorDetails, document: Document) -> str:
    """Say what YAML makes of a text without quotes."""
    value, written = error["input"], document.written(error["loc"])
    if value is None:
        return ", and is empty"
    if error["type"] != "string_type" or not written or error["loc"][0] in NOTIFIERS:
        return ""
    names = {bool: "a boolean", int: "a number", float: "a number", dt.date: "a date", dt.datetime: "a time"}
    name = names.get(type(value))
    shown = value if error["loc"][-1] == "object_type_id" else cut(written)
    return f': {cut(written)} without quotes is {name} in YAML, so write "{shown}"' if name else ""


def known_keys(model: type[BaseModel]) -> Keys:
    """List the keys that a model knows, other than those of notifiers; a mapping's own keys below them."""
    return {
        name: next((known_keys(inner) for inner in _models(field.annotation)), None)
        for name, field in model.model_fields.items()
        if name not in NOTIFIERS
    }


def _model_at(parents: Sequence[int | str], model: type[BaseModel]) -> type[BaseModel]:
    """Find the model that the keys at a place belong to."""
    for step in parents:
        if isinstance(step, str):
            model = next(_models(model.model_fields[step].annotation))
    return model


def _models(annotation: Any) -> Any:
    """Find the models within a type such as `tuple[Notifier, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        if part is not NoneType and part is not Ellipsis:
            yield from _models(part)
