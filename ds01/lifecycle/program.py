"""Decide as which user, and with which variables, a program runs in a container."""

from __future__ import annotations

import dataclasses
from functools import partial

from ds01.engines.protocol import ExecRequest
from ds01.errors import PermissionDenied
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec.terminal_type import terminal_type
from ds01.records.record import Record

ROOT = {"HOME": "/root", "USER": "root", "LOGNAME": "root"}  # otherwise root's files would end up in the owner's home


def exec_request(context: Context, record: Record, what: ExecRequest, *, root: bool) -> ExecRequest:
    """Return `what` to be run as the owner, or as root of the container, with a TERM that the image supports.

    Raises PermissionDenied if the policy does not allow root.
    """
    environment = dict(what.environment)
    if root:
        _check_root(context, record)
        environment = ROOT | environment
    if what.tty and "TERM" in environment:
        environment["TERM"] = terminal_type(environment["TERM"], partial(_has_file, context, record))
    user = "0:0" if root else f"{record.uid}:{record.gid}"
    return dataclasses.replace(what, user=user, environment=environment)


def _check_root(context: Context, record: Record) -> None:
    limits = context.rules.limits_of(record)
    if limits.limits.root_inside:
        return
    source = limits.sources.get("root_inside", "defaults")
    raise PermissionDenied(
        f"{record.user} may not be root in containers",
        why=f"the policy says `root_inside: false` in {source}",
        hint="do in the image's Dockerfile what needs root, or ask an administrator",
    )


def _has_file(context: Context, record: Record, path: str) -> bool:
    return record.docker_id is not None and context.engine.get_archive(record.docker_id, path) is not None
