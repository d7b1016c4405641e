"""ds01 policy schema"""

from __future__ import annotations

import json

from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text


@verb(example="ds01 policy schema", guided=False, user=False, pending=False)
def command(session: Session) -> None:
    """Print the JSON Schema of resource-limits.yaml, for editors that check and complete YAML.

    The package has it as /usr/share/ds01/resource-limits.schema.json, and the first line of the shipped policy names
    that file for the YAML language server.
    """
    from ds01.policy.json_schema import json_schema

    session.write_document(json_schema())
    if not session.as_json:
        print_text(json.dumps(json_schema(), indent=2))
