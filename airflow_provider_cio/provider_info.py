"""What Airflow asks of a provider: its parts, its connection form, its settings."""

from __future__ import annotations

from typing import Any

from airflow_provider_cio import __version__


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
        "max_requests_per_second": {
            "label": "Requests per second, at most",
            "description": "Customer.io asks for 1,000 at most; 100 is polite.",
            "schema": {"type": ["number", "null"], "default": 100, "exclusiveMinimum": 0, "maximum": 1000},
        },
        "max_concurrent_requests": {
            "label": "Requests in flight, at most",
            "description": "Also the number of lanes in which rows keep their order.",
            "schema": {"type": ["integer", "null"], "default": 8, "minimum": 1, "maximum": 64},
        },
    },
}

_CONFIG = {
    "description": "Settings of the Customer.io provider.",
    "options": {
        "request_timeout": {
            "description": "Seconds to wait for Customer.io to accept a connection or go on with an answer.",
            "version_added": "0.1.0",
            "type": "float",
            "example": None,
            "default": "60",
        },
        "retry_for": {
            "description": (
                "Seconds for which a request that met a transient error is repeated inside the task."
                " After that the run fails, and the retries of the task take over."
            ),
            "version_added": "0.1.0",
            "type": "float",
            "example": None,
            "default": "900",
        },
    },
}
