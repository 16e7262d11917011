"""What pydantic finds wrong with a spec, with its position in the file and in plain words."""

from __future__ import annotations

import datetime as dt
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from airflow_provider_cio.specs.document import NOTIFIERS
from airflow_provider_cio.specs.fields import PATTERN_MESSAGES
from airflow_provider_cio.specs.problems import MAX_PROBLEMS, closest, cut, did_you_mean, not_listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from airflow_provider_cio.specs.document import Document, Keys
    from airflow_provider_cio.specs.problems import SpecProblem

_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}
#: Kinds of errors whose text in pydantic quotes a limit, and never the value.
_LIMITS = (
    "greater_than_equal",
    "less_than_equal",
    "date_type",
    "date_parsing",
    "date_from_datetime_parsing",
)
#: Keys that are often written at the top level, and where they belong.
_MISPLACED = {
    "every": "belongs under schedule, as in schedule: {every: 30 minutes}",
    "cron": 'is the value of schedule, as in schedule: "*/30 * * * *"',
    "assets": "belongs under schedule, as in schedule: {assets: [...]}",
    "query": "belongs under people, objects or relationships",
    "segment": "belongs under people",
    "identify_by": "belongs under people or relationships",
    "object_type_id": "belongs under objects or relationships",
}
#: Keys of a spec that `defaults.yaml` cannot have.
_OF_EACH_SPEC = ("name", "description", "people", "objects", "relationships")
_YAML_TYPES: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    dt.date: "a date",
    dt.datetime: "a time",
}


def problems_of(
    error: ValidationError, documents: Sequence[Document], model: type[BaseModel]
) -> list[SpecProblem]:
    """Turn an error of pydantic into problems. Of very many, only the first are listed.

    Args:
        error: The error.
        documents: The spec and its defaults, the nearest first.
        model: The model of the spec or of the defaults.
    """
    errors = error.errors(include_url=False)
    found = [_problem(each, documents, model) for each in errors[:MAX_PROBLEMS]]
    if more := len(errors) - len(found):
        found.append(not_listed(documents[0].path, more))
    return found


def _problem(error: ErrorDetails, documents: Sequence[Document], model: type[BaseModel]) -> SpecProblem:
    location = error["loc"]
    document = next((each for each in documents if location and location[0] in each.content), documents[0])
    about_key = not location or error["type"] in ("missing", "extra_forbidden")
    position = document.key(location) if about_key else document.value(location)
    return document.problem(position, _message(error, document, model))


def _message(error: ErrorDetails, document: Document, model: type[BaseModel]) -> str:  # noqa: C901 - one case for each kind of error
    location, context = error["loc"], error.get("ctx", {})
    key = _written_key(location, document.content)
    match error["type"]:
        case "missing":
            problem = "is missing: give query or query_file" if location[-1] == "query" else "is missing"
        case "extra_forbidden":
            return _unknown_key(location, model)
        case "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            given = error["input"] if isinstance(error["input"], str) else document.written(location)
            problem = f"cannot be {cut(given) or 'this'}: {did_you_mean(given, allowed)}"
        case "string_pattern_mismatch":
            problem = PATTERN_MESSAGES[context["pattern"]]
        case "value_error":
            return f"{key}: {context['error']}" if key else str(context["error"])
        case "string_too_short":
            problem = "is empty"
        case "string_too_long":
            problem = f"is longer than {context['max_length']} characters"
        case "too_long":
            problem = f"has more than {context['max_length']} entries"
        case "date_from_datetime_inexact":
            problem = "must be a day, without a time"
        case kind if kind in _TYPES:
            problem = f"must be {_TYPES[kind]}{_yaml_explanation(error, document)}"
        case kind if kind in _LIMITS:
            problem = error["msg"].replace("Input should", "must").replace("should", "must")
        case _:  # pydantic's own text can quote a value
            problem = "has a value of the wrong type"
    return f"{key} {problem}"


def _written_key(location: tuple[int | str, ...], content: Any) -> str:
    """Return the key as the file has it, where a text can stand for a whole mapping."""
    for depth, step in enumerate(location):
        if not isinstance(content, (dict, list)):
            return _dotted(location[:depth])
        content = content.get(step) if isinstance(content, dict) else content[int(step)]
    return _dotted(location)


def _dotted(location: Sequence[int | str]) -> str:
    return ".".join(cut(str(step)) or "''" for step in location)


def _unknown_key(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Write the message for an unknown key.

    A key of a notifier that is similar to no other is not quoted: it can be a secret in the wrong position.
    """
    *parents, last = location
    allowed = list(_model_at(parents, model).model_fields)
    if location[0] in NOTIFIERS and not closest(str(last), allowed):
        return f"{_dotted(parents)} has an unknown key: {did_you_mean(str(last), allowed)}"
    key = _dotted(location)
    if not parents and not closest(str(last), allowed) and last in _MISPLACED:
        return f"{key} is not a top-level key: it {_MISPLACED[str(last)]}"
    if not parents and "name" not in allowed and last in _OF_EACH_SPEC:
        return f"{key} cannot be in the defaults: set it in each spec"
    return f"unknown key {key}: {did_you_mean(str(last), allowed)}"


def _yaml_explanation(error: ErrorDetails, document: Document) -> str:
    """Explain what YAML makes of a text without quotes."""
    value, written = error["input"], document.written(error["loc"])
    if value is None:
        return ", and is empty"
    if error["type"] != "string_type" or not written or error["loc"][0] in NOTIFIERS:
        return ""
    name = _YAML_TYPES.get(type(value))
    quoted = value if error["loc"][-1] == "object_type_id" else cut(written)
    return f': {cut(written)} without quotes is {name} in YAML, so write "{quoted}"' if name else ""


def known_keys(model: type[BaseModel]) -> Keys:
    """Return the keys of a model, each with the keys of its mapping. Keys of notifiers are left out."""
    return {
        name: next((known_keys(inner) for inner in _models(field.annotation)), None)
        for name, field in model.model_fields.items()
        if name not in NOTIFIERS
    }


def _model_at(parents: Sequence[int | str], model: type[BaseModel]) -> type[BaseModel]:
    """Return the model to which the keys below these parents belong."""
    for step in parents:
        if isinstance(step, str):
            model = next(_models(model.model_fields[step].annotation))
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in a type such as `tuple[Notifier, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        if part is not NoneType and part is not Ellipsis:
            yield from _models(part)
