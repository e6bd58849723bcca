"""What a document in JSON must be: the schema of the docs, itself looked at once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema

SCHEMA = Path(__file__).parent.parent / "docs" / "schema.json"


@cache
def validator() -> jsonschema.Draft202012Validator:
    """Of ``docs/schema.json``."""
    described = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(described)
    return jsonschema.Draft202012Validator(described)
