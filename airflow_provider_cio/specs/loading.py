"""From a YAML file to a spec, or to errors that name the line."""

from __future__ import annotations

import difflib
from types import NoneType
from typing import TYPE_CHECKING, Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

from airflow_provider_cio.errors import SpecError
from airflow_provider_cio.specs.model import SyncSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

_ENDINGS = (".yaml", ".yml")


def find_specs(folder: Path) -> list[Path]:
    """List the spec files in a folder and the folders in it, in a stable order; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _ENDINGS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def load_spec(path: Path) -> SyncSpec:
    """Read a spec.

    Raises:
        SpecError: Lists all that is wrong with it, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise SpecError(path, [(1, f"cannot be read: {error}")]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(path, [(line, f"is no YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError) as error:  # a control character, or a date that does not exist
        raise SpecError(path, [(1, f"cannot be read: {error}")]) from None
    if not isinstance(content, dict):
        raise SpecError(path, [(1, "a spec is a mapping with the keys name, workspace, …")])
    try:
        return SyncSpec.model_validate(content)
    except ValidationError as error:
        tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        faults = error.errors(include_url=False)
        raise SpecError(
            path, sorted((_line(tree, fault["loc"]), _message(fault)) for fault in faults)
        ) from None


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """Find the line of a key, or of what should have held it."""
    line = 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if not found:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def _message(fault: ErrorDetails) -> str:
    """Say what is wrong in the words of a spec."""
    if not fault["loc"]:
        return fault["msg"].removeprefix("Value error, ")
    *parents, last = [str(step) for step in fault["loc"]]
    where = ".".join([*parents, last])
    if fault["type"] == "missing":
        return f"{where} is missing"
    if fault["type"] == "extra_forbidden":
        allowed = list(_model_at(parents).model_fields)
        close = difflib.get_close_matches(last, allowed, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(allowed)}"
        return f"{where} is no key of a spec: {hint}"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}"


def _model_at(parents: Sequence[str]) -> type[BaseModel]:
    """Find the model that the keys at a place belong to."""
    model: Any = SyncSpec
    for key in parents:
        annotation = model.model_fields[key].annotation
        (model,) = (part for part in get_args(annotation) if part is not NoneType)
    return cast("type[BaseModel]", model)
