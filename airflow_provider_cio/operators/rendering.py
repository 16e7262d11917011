"""Rendering the queries, with errors that name the query, the line and what to do.

A message never quotes what a template computed: that may be the value of a Variable. It names only what the
template's own text names.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

import jinja2
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.arguments import suggestion
from airflow_provider_cio.state.airflow_api import check_airflow_answers

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

_QUOTED = re.compile("'([^']*)'")
_NAMED = re.compile(r"(?:Variable|conn_id) `?([^`\s]+?)`? (?:not found|isn't defined)")


def render_query(
    operator: BaseOperator, field: str, context: Context, environment: jinja2.Environment, seen: set[int]
) -> str | None:
    """Render one of the operator's templates.

    Raises:
        ConfigurationError: It cannot be rendered, or does not become text.
        TransientError: Airflow did not answer when a Variable or a connection was read.
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
        raise _explain(field, template if isinstance(template, str) else "", error) from None
    if not isinstance(rendered, str) or not rendered.strip() or "\0" in rendered:
        raise ConfigurationError(f"{field} renders to something other than a SELECT. Correct the template.")
    return rendered


def _explain(field: str, template: str, error: Exception) -> ConfigurationError:
    """Say in one sentence what is wrong and what to do."""
    line = _line(error)
    where = f"{field}, line {line}" if line else field
    return ConfigurationError(f"{where}: {_reason(template, error)}")


def _reason(template: str, error: Exception) -> str:  # noqa: PLR0911 - one for each kind of error
    match error:
        case AirflowRuntimeError() if error.error.error is ErrorType.VARIABLE_NOT_FOUND:
            return _missing_variable(_named(error, template), template)
        case AirflowNotFoundException():
            check_airflow_answers()
            name = _named(error, template) or "that it names"
            return f"the connection {name} does not exist. Create it under Admin > Connections"
        case PermissionError():
            return "Airflow denies the task access to a Variable or connection that it names"
        case AirflowRuntimeError():
            check_airflow_answers(failed=True)
        case jinja2.TemplateNotFound():
            names = [name for name in _QUOTED.findall(f"'{error.name}'") if name and name in template]
            what = f"file {names[0]}" if names else "file that it names"
            return (
                f"the {what} was not found. Put it in the folder of the DAG's Python file, or in a folder of"
                " the DAG's template_searchpath"
            )
        case jinja2.TemplateSyntaxError():
            return f"{_clean(error.message or 'syntax error')}. Correct the template"
        case jinja2.UndefinedError():
            return _undefined(template, error)
        case UnicodeError():
            return "the file is not valid UTF-8. Save it as UTF-8"
    return f"the template cannot be computed ({type(error).__name__}). Correct the expression there"


def _missing_variable(name: str, template: str) -> str:
    """Tell a Variable that does not exist from one that Airflow could not read."""
    if name and name in check_airflow_answers(name):
        if "json" not in template:
            check_airflow_answers(failed=True)
        return f"the Variable {name} is not valid JSON. Correct it under Admin > Variables"
    return (
        f"the Variable {name or 'that it names'} does not exist. Create it under Admin > Variables, or give a"
        " default: var.value.get('name', 'default')"
    )


def _undefined(template: str, error: jinja2.UndefinedError) -> str:
    names = [name for name in _QUOTED.findall(error.message or "") if name in template]
    if not names:
        return "something that the template uses is not defined. Correct the name there"
    hint = suggestion(names[-1], ["last_sync_time"])
    return f"{names[-1]} is not defined{f': {hint}' if 'mean' in hint else '. Correct the name there'}"


def _named(error: Exception, template: str) -> str:
    """Return the name that an error is about if the template has it."""
    texts = [str(error)]
    if isinstance(error, AirflowRuntimeError):
        texts += [str(value) for value in (error.error.detail or {}).values()]
    for text in texts:
        if (match := _NAMED.search(text)) and match[1] in template:
            return match[1]
    return ""


def _clean(message: str) -> str:
    return message.rstrip(".").replace("\n", " ")


def _line(error: Exception) -> int | None:
    """Find the line of the template at which an error was raised."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    line = None
    for frame, code_line in traceback.walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")  # jinja puts it there for its own tracebacks
        if isinstance(template, jinja2.Template) and line is None:
            line = template.get_corresponding_lineno(code_line)
    return line
