"""What Airflow reads about this provider: its components, its connection form and its settings."""

from __future__ import annotations

from typing import Any

from airflow_provider_cio import __version__
from airflow_provider_cio.settings import (
    APPLY_WAIT,
    CONCURRENT_REQUESTS,
    DEFAULT_REGION,
    REGION_NAMES,
    REPORT_RETENTION_DAYS,
    REQUEST_TIMEOUT,
    REQUESTS_PER_SECOND,
    RETRY_FOR,
    NumberSetting,
)


def get_provider_info() -> dict[str, Any]:
    """Return the description of the provider, which Airflow finds through an entry point."""
    return {
        "package-name": "airflow-provider-cio",
        "name": "Customer.io",
        "description": "Sync query results from Postgres into `Customer.io <https://customer.io>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Customer.io",
                "external-doc-url": "https://docs.customer.io/integrations/api/track/",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {
                "integration-name": "Customer.io",
                "python-modules": ["airflow_provider_cio.hooks.customerio"],
            }
        ],
        "operators": [
            {
                "integration-name": "Customer.io",
                "python-modules": ["airflow_provider_cio.operators.sync"],
            }
        ],
        "transfers": [
            {
                "source-integration-name": "PostgreSQL",
                "target-integration-name": "Customer.io",
                "python-module": "airflow_provider_cio.operators.sync",
            }
        ],
        "asset-uris": [
            {
                "schemes": ["customerio"],
                "handler": "airflow_provider_cio.assets.sanitize_uri",
                "factory": "airflow_provider_cio.assets.create_asset",
                "to_openlineage_converter": "airflow_provider_cio.assets.convert_asset_to_openlineage",
            }
        ],
        "connection-types": [_CONNECTION_TYPE],
        "plugins": [{"name": "customerio", "plugin-class": "airflow_provider_cio.plugin.CustomerIOPlugin"}],
        "cli": ["airflow_provider_cio.cli.definition.get_customerio_cli_commands"],
        "config": {"customerio": _CONFIG},
        "extra-links": [
            "airflow_provider_cio.operators.links.ImportLink",
            "airflow_provider_cio.operators.links.WorkspaceLink",
            "airflow_provider_cio.reports.link.ReportLink",
        ],
    }


def _number_field(label: str, description: str, json_type: str, setting: NumberSetting) -> dict[str, Any]:
    """Describe a number in the connection form."""
    schema = {
        "type": [json_type, "null"],
        "default": setting.default,
        "minimum": setting.minimum,
        "maximum": setting.maximum,
    }
    return {"label": label, "description": description, "schema": schema}


def _text_field(label: str, description: str, **schema: str) -> dict[str, Any]:
    """Describe an optional text in the connection form."""
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _number_option(setting: NumberSetting, example: str | None, description: str) -> dict[str, Any]:
    """Describe a number in section ``[customerio]`` of airflow.cfg."""
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "float",
        "example": example,
        "default": f"{setting.default:g}",
    }


_CONNECTION_TYPE = {
    "connection-type": "customerio",
    "hook-class-name": "airflow_provider_cio.hooks.customerio.CustomerIOHook",
    "hook-name": "Customer.io",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {
            "login": "Site ID",
            "password": "Track API key",
            "host": "Track API base URL",
        },
        "placeholders": {"host": "empty for Customer.io; https://… for an emulator or a gateway"},
    },
    "conn-fields": {
        "region": {
            "label": "Region",
            "description": "The region of the workspace.",
            "schema": {"type": "string", "enum": list(REGION_NAMES), "default": DEFAULT_REGION},
        },
        "app_api_key": _text_field(
            "App API key",
            "Optional. Finds segments by name, and changes that Customer.io accepts but does not apply.",
            format="password",
        ),
        "app_host": _text_field(
            "App API base URL", "Default: the Track API base URL. If that is empty, too: Customer.io."
        ),
        "workspace_id": _text_field(
            "Workspace ID", "Only if the App API key is the token of a service account."
        ),
        "max_requests_per_second": _number_field(
            "Maximum requests per second",
            f"Customer.io allows up to {REQUESTS_PER_SECOND.maximum:,}.",
            "number",
            REQUESTS_PER_SECOND,
        ),
        "max_concurrent_requests": _number_field(
            "Maximum concurrent requests",
            "Also the number of lanes, in which rows keep their order.",
            "integer",
            CONCURRENT_REQUESTS,
        ),
    },
}

_CONFIG = {
    "description": "Settings of the Customer.io provider.",
    "options": {
        "request_timeout": _number_option(
            REQUEST_TIMEOUT,
            "30",
            "Seconds for one request, from the connection to the last byte of the response.",
        ),
        "retry_for": _number_option(
            RETRY_FOR,
            "600",
            "Seconds for which a task repeats a request after transient errors. Then the task fails, and"
            " Airflow's retries start.",
        ),
        "reports_url": {
            "description": (
                "Where reports of failed rows are stored: a URL for Airflow's object storage that workers and"
                " API servers can read and write. Reports contain personal data."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "s3://aws_default@my-bucket/customerio_reports",
            "default": "file://{AIRFLOW_HOME}/customerio_reports",
        },
        "state_url": {
            "description": (
                "Where syncs with failed_rows: retry remember failed rows: a URL for Airflow's object storage"
                " that all workers can read and write. The files contain identifiers of people."
            ),
            "version_added": "0.2.0",
            "type": "string",
            "example": "s3://aws_default@my-bucket/customerio_state",
            "default": "file://{AIRFLOW_HOME}/customerio_state",
        },
        "report_retention_days": _number_option(
            REPORT_RETENTION_DAYS, None, "Days after which a sync deletes its old reports."
        ),
        "apply_wait": _number_option(
            APPLY_WAIT,
            "20",
            "Seconds to wait after the last batch before a run checks for accepted changes that Customer.io"
            " did not apply. Only runs with an App API key wait.",
        ),
    },
}
