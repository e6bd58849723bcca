"""Measure every type of every task: ``python -m tests.model_types [task …] [--only type …] [--to FILE]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import transformers

from tests.model_types.measure import MAPPINGS, agrees, measured, row_of, types

FILE = Path(__file__).parent.parent.parent / "docs" / "model-types.json"


def main() -> None:
    """Write what was found, a line a type on the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(MAPPINGS)} (default: all)")
    parser.add_argument("--only", nargs="*", default=[], help="types to measure (again)")
    parser.add_argument("--to", type=Path, default=FILE)
    asked = parser.parse_args()
    found = json.loads(asked.to.read_text(encoding="utf-8")) if asked.to.exists() else {}
    tables = found.get("tasks", {})
    torch.set_num_threads(1)
    row_of("causal", "llama")  # what each process would import anew
    for task in asked.tasks or MAPPINGS:
        rows = tables.setdefault(task, {})
        for name in types(task):
            if asked.only and name not in asked.only:
                continue
            rows[name] = row = measured(task, name)
            print(task, name, "agrees" if agrees(row) else "-", json.dumps(row), flush=True)
            tables[task] = {name: rows[name] for name in types(task) if name in rows}
            text = json.dumps({"transformers": transformers.__version__, "tasks": tables}, indent=1)
            asked.to.write_text(text + "\n", encoding="utf-8")  # a stop keeps what was found
        good = sum(map(agrees, rows.values()))
        built = sum("not built" not in row for row in rows.values())
        print(f"{task}: {good} of {built} that can be built small", flush=True)


if __name__ == "__main__":
    main()
