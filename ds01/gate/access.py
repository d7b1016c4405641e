"""Handlers of the operations that ask what the actor may do."""

from __future__ import annotations

from ds01.api.access import CheckOwner, IsAdmin
from ds01.gate.call import Call


def is_admin(call: Call, operation: IsAdmin) -> bool:
    """Return whether the actor is an administrator."""
    return call.context.rules.is_admin(call.actor)


def check_owner(call: Call, operation: CheckOwner) -> None:
    """Do nothing: the gate has already checked that the actor may act for the user."""
