"""Render the queries, with errors that name the query and the line, and how to correct it.

A message does not quote values that a template computes, because they can come from a Variable. It quotes
only names that are in the text of the template.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

import jinja2
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.arguments import closest_name
from airflow_provider_cio.state.airflow_api import airflow_api_error, variable_names

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

#: The names in messages of Jinja and of Airflow.
_QUOTED_NAME = re.compile("'([^']*)'")
_MISSING_NAME = re.compile(r"(?:Variable|conn_id) `?([^`\s]+?)`? (?:not found|isn't defined)")


def render_query(
    operator: BaseOperator, field: str, context: Context, environment: jinja2.Environment, seen: set[int]
) -> str | None:
    """Render a query of the operator.

    Args:
        operator: The operator.
        field: The name of the operator's argument that holds the query.
        context: The context of the task.
        environment: The Jinja environment of the DAG.
        seen: The ids of objects that Airflow has rendered before.

    Returns:
        The rendered query, or None if the operator has no query of this kind.

    Raises:
        ConfigurationError: The query cannot be rendered, or is empty or not text afterwards.
        TransientError: Airflow's API cannot be reached.
    """
    template = getattr(operator, field)
    if template is None:
        return None
    try:
        if callable(template):
            rendered = template(context=context, jinja_env=environment)
        else:
            rendered = operator.render_template(template, context, environment, seen)
    except Exception as error:  # noqa: BLE001 - a template can raise anything
        raise _to_configuration_error(field, template if isinstance(template, str) else "", error) from None
    if not isinstance(rendered, str) or not rendered.strip() or "\0" in rendered:
        raise ConfigurationError(f"{field} renders to something other than a SELECT. Correct the template.")
    return rendered


def _to_configuration_error(field: str, template: str, error: Exception) -> ConfigurationError:
    line = _find_line(error)
    where = f"{field}, line {line}" if line else field
    return ConfigurationError(f"{where}: {_describe(template, error)}")


def _describe(template: str, error: Exception) -> str:  # noqa: PLR0911 - one for each kind of error
    """Return what is wrong and what to do."""
    match error:
        case AirflowRuntimeError() if error.error.error is ErrorType.VARIABLE_NOT_FOUND:
            return _missing_variable(_find_name(error, template), template)
        case AirflowNotFoundException():
            variable_names()  # raises if Airflow's API cannot be reached
            name = _find_name(error, template) or "in the template"
            return f"the connection {name} does not exist. Create it under Admin > Connections."
        case PermissionError():
            return "Airflow denies access to a Variable or connection in the template. Grant the access."
        case AirflowRuntimeError():
            raise airflow_api_error()
        case jinja2.TemplateNotFound():
            names = [name for name in _QUOTED_NAME.findall(f"'{error.name}'") if name and name in template]
            file = f"file {names[0]}" if names else "included file"
            return (
                f"the {file} was not found. Put it in the folder of the DAG's Python file, or in a folder of"
                " the DAG's template_searchpath."
            )
        case jinja2.TemplateSyntaxError():
            return f"{_clean(error.message or 'syntax error')}. Correct the template."
        case jinja2.UndefinedError():
            return _undefined(template, error)
        case UnicodeError():
            return "the file is not valid UTF-8. Save it as UTF-8."
    return f"the expression cannot be evaluated ({type(error).__name__}). Correct it."


def _missing_variable(name: str, template: str) -> str:
    """Describe a Variable that was not found: it does not exist, is not JSON, or could not be read."""
    if name and name in variable_names(name):
        if "json" not in template:
            raise airflow_api_error()
        return f"the Variable {name} is not valid JSON. Correct it under Admin > Variables."
    return (
        f"the Variable {name or 'in the template'} does not exist. Create it under Admin > Variables, or use"
        " a default: {{ var.value.get('name', 'default') }}."
    )


def _undefined(template: str, error: jinja2.UndefinedError) -> str:
    names = [name for name in _QUOTED_NAME.findall(error.message or "") if name in template]
    if not names:
        return "a name in the template is not defined. Correct the name."
    close = closest_name(names[-1], ["last_sync_time"])
    return f"{names[-1]} is not defined. {f'Did you mean {close}?' if close else 'Correct the name.'}"


def _find_name(error: Exception, template: str) -> str:
    """Return the name in an error's message if the template contains it, else an empty text."""
    texts = [str(error)]
    if isinstance(error, AirflowRuntimeError):
        texts += [str(value) for value in (error.error.detail or {}).values()]
    for text in texts:
        if (match := _MISSING_NAME.search(text)) and match[1] in template:
            return match[1]
    return ""


def _clean(message: str) -> str:
    return message.rstrip(".").replace("\n", " ")


def _find_line(error: Exception) -> int | None:
    """Return the number of the line of the template that raised an error, or None if it is unknown."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    line = None
    for frame, code_line in traceback.walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")  # Jinja sets it for its own tracebacks
        if isinstance(template, jinja2.Template) and line is None:
            line = template.get_corresponding_lineno(code_line)
    return line
