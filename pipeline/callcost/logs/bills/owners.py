"""Whose a line of a bill is: the fields in which bills state keys, projects, workspaces, users and teams.

A table of bill ids to the names that logs use (``--keys``) joins the two sides; it is read here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from callcost.errors import ConfigError
from callcost.logs.bills.lines import text_at
from callcost.logs.values.signatures import plain_key

# Names of dimensions, as `reconcile --by` has them, and the fields of bills that state them, the first that is filled.
FIELDS: dict[str, tuple[str, ...]] = {
    "api_key": ("api_key_id", "api_key_name", "api_key"),
    "project": ("project_id", "project.id", "project_name", "subaccountid", "line_item_usage_account_id",
                "subscriptionid", "workspace_id", "workspace"),
    "team": ("team_id", "team"),
    "user": ("user_id", "user", "user_email", "account_id", "line_item_iam_principal", "x_user"),
    "workspace": ("workspace_id", "workspace", "project_id", "project.id", "project_name", "subaccountid"),
}  # fmt: skip
_TAGS = ("tags", "labels", "resource_tags", "project.labels")
_ID, _NAME = "id", "name"

Owners = Mapping[str, str]  # dimension, or tag:NAME -> value
Keys = Mapping[str, Owners]  # id on the bill -> what is known of it; under "": the name of the id itself


def owners_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what a record of a bill states of who used it: dimension, or tag:NAME -> value.

    Args:
        record: keys in lower case.
    """
    tags = dict(_tags_of(record))
    found = {f"tag:{name}": value for name, value in tags.items()}
    found |= {name: value for name in FIELDS if (value := tags.get(name))}
    return found | {name: value for name, fields in FIELDS.items() if (value := text_at(record, *fields))}


def _tags_of(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in _TAGS:
        value = record.get(field)
        if isinstance(value, str) and value.strip():
            text = value.strip()
            try:  # Azure leaves out the braces
                value = json.loads(text if text[0] in "{[" else f"{{{text}}}")
            except (ValueError, RecursionError):
                continue
        if isinstance(value, Mapping):
            pairs = list(value.items())
        else:
            rows = value if isinstance(value, list) else []
            pairs = [(row.get("key"), row.get("value")) for row in rows if isinstance(row, Mapping)]
        yield from ((name, tag) for name, tag in pairs if isinstance(name, str) and isinstance(tag, str) and tag)
    for field, value in record.items():  # CUR as columns
        if field.startswith("resource_tags_user_") and isinstance(value, str) and value:
            yield field.removeprefix("resource_tags_user_"), value


def owner_of(owners: Owners, by: Sequence[str], keys: Keys) -> str | None:
    """Return whose a line is, values apart by " / "; None: a dimension is not stated.

    Args:
        owners: what the line states.
        by: dimensions.
        keys: what ids of the bill stand for.
    """
    more = {name: value for stated in owners.values() for name, value in keys.get(stated, {}).items()}
    values = []
    for name in by:
        stated = owners.get(name)
        renamed = keys.get(stated, {}) if stated else {}
        values.append(renamed.get(name) or renamed.get("") or stated or more.get(name) or more.get(""))
    return " / ".join(value for value in values if value) if all(values) else None


def read_keys(path: str | None) -> Keys:
    """Read what ids of bills stand for: a CSV of ``id`` and ``name``, or ``id`` and columns of the logs.

    Args:
        path: of the CSV; None: there is none. ``id`` is any id on a bill; ``name`` replaces it; ``user``, ``team`` ...
            say what the logs call its calls by.

    Raises:
        ConfigError: it cannot be read so.
    """
    if path is None:
        return {}
    found: dict[str, dict[str, str]] = {}
    try:
        reader = csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8-sig")))
        for row in reader:
            cells = {plain_key(name): (value or "").strip() for name, value in row.items() if name}
            own = cells.pop(_ID)
            if own:
                found[own] = {"" if name == _NAME else name: value for name, value in cells.items() if value}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        message = f"the keys in {path} cannot be read"
        raise ConfigError(message, hint="A CSV of id, and name or columns of the logs (user, team)") from error
    return found
