"""The JSON Schema of specs. Editors use it to complete keys and to mark mistakes."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_cio.specs.model import SyncSpec

#: The copy in the wheel.
SCHEMA_FILE = Path(__file__).with_name("spec.schema.json")


def json_schema() -> str:
    """Return the text of the schema.

    Keys that `defaults.yaml` can set are not required, because an editor does not read the defaults of a
    spec.
    """
    schema = SyncSpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A sync from Postgres to Customer.io"
    schema["required"] = ["name"]
    schema["oneOf"] = [{"required": ["people"]}, {"required": ["objects"]}]
    return json.dumps(schema, indent=2) + "\n"
