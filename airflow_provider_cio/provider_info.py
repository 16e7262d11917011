"""What Airflow asks of a provider: its parts, its connection form, its settings."""

from __future__ import annotations

from typing import Any

from airflow_provider_cio import __version__
from airflow_provider_cio.settings import (
    APPLY_WAIT,
    CONCURRENT_REQUESTS,
    REQUEST_TIMEOUT,
    REQUESTS_PER_SECOND,
    RETRY_FOR,
    Number,
)


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow."""
    return {
        "package-name": "airflow-provider-cio",
        "name": "Customer.io",
        "description": "Keep a `Customer.io <https://customer.io>`__ workspace true to a Postgres database.",
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
        "connection-types": [_CONNECTION_TYPE],
        "plugins": [{"name": "customerio", "plugin-class": "airflow_provider_cio.plugin.CustomerIOPlugin"}],
        "cli": ["airflow_provider_cio.cli.definition.get_customerio_cli_commands"],
        "config": {"customerio": _CONFIG},
        "extra-links": ["airflow_provider_cio.operators.sync.ReportLink"],
    }


def _schema(kind: str, number: Number) -> dict[str, Any]:
    return {
        "type": [kind, "null"],
        "default": number.default,
        "minimum": number.least,
        "maximum": number.most,
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
        "placeholders": {"host": "leave empty for Customer.io itself; https://… for an emulator or a proxy"},
    },
    "conn-fields": {
        "region": {
            "label": "Region",
            "description": "Where the workspace lives.",
            "schema": {"type": "string", "enum": ["us", "eu"], "default": "us"},
        },
        "app_api_key": {
            "label": "App API key",
            "description": "Optional: to find segments, and changes that Customer.io accepts and then drops.",
            "schema": {"type": ["string", "null"], "format": "password"},
        },
        "app_host": {
            "label": "App API base URL",
            "description": "By default the Track API base URL if that is given, else Customer.io itself.",
            "schema": {"type": ["string", "null"]},
        },
        "workspace_id": {
            "label": "Workspace ID",
            "description": "Only where the App API key is the token of a service account.",
            "schema": {"type": ["string", "null"]},
        },
        "max_requests_per_second": {
            "label": "Requests per second, at most",
            "description": "Customer.io asks for 1,000 at most; 100 is polite.",
            "schema": _schema("number", REQUESTS_PER_SECOND),
        },
        "max_concurrent_requests": {
            "label": "Requests in flight, at most",
            "description": "Also the number of lanes in which rows keep their order.",
            "schema": _schema("integer", CONCURRENT_REQUESTS),
        },
    },
}

_CONFIG = {
    "description": "Settings of the Customer.io provider.",
    "options": {
        "request_timeout": {
            "description": "Seconds that a request may take, from the connection to the end of the answer.",
            "version_added": "0.1.0",
            "type": "float",
            "example": "30",
            "default": f"{REQUEST_TIMEOUT.default:g}",
        },
        "retry_for": {
            "description": (
                "Seconds for which a request that met a transient error is repeated inside the task."
                " After that the run fails, and the retries of the task take over."
            ),
            "version_added": "0.1.0",
            "type": "float",
            "example": "600",
            "default": f"{RETRY_FOR.default:g}",
        },
        "reports_url": {
            "description": (
                "Where reports of failed rows are kept: a URL for Airflow's object storage, readable by"
                " workers and API servers alike. They hold people's data."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "s3://aws_default@my-bucket/customerio_reports",
            "default": "file://{AIRFLOW_HOME}/customerio_reports",
        },
        "report_retention_days": {
            "description": "Days after which a sync removes its old reports.",
            "version_added": "0.1.0",
            "type": "float",
            "example": None,
            "default": "30",
        },
        "apply_wait": {
            "description": (
                "Seconds that Customer.io gets to apply what it accepted, before a run looks for changes that"
                " failed. Only runs with an App API key wait."
            ),
            "version_added": "0.1.0",
            "type": "float",
            "example": "20",
            "default": f"{APPLY_WAIT.default:g}",
        },
    },
}
