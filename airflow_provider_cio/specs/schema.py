"""The JSON Schema of specs, for editors: they complete keys and mark mistakes while one types."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_cio.specs.model import SyncSpec

#: The copy that lies in the wheel.
SCHEMA_FILE = Path(__file__).with_name("spec.schema.json")


def json_schema() -> str:
    """Write the schema as the file has it.

    What `defaults.yaml` may say is not required here: an editor does not know what stands above a spec.
    """
    schema = SyncSpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A sync from Postgres to Customer.io"
    schema["required"] = ["name"]
    schema["oneOf"] = [{"required": ["people"]}, {"required": ["objects"]}]
    return json.dumps(schema, indent=2) + "\n"
