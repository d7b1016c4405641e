"""The only entry point for everything that reads or changes containers: authorise an operation, run its handler.

It does not print, prompt, or read the environment. Access rights are derived at each call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from importlib import import_module
from typing import Any, TypeVar, cast

from ds01.api.operation import Access, Operation, Steps, StreamOperation
from ds01.errors import PolicyUnreadable
from ds01.gate.call import Call
from ds01.lifecycle.context.context import Context
from ds01.system.users import Actor

R = TypeVar("R")
S = TypeVar("S")

# By name, so that a list loads neither the operations that create containers nor their handlers.
HANDLERS = {
    "ListContainers": "queries.list_containers",
    "ListAime": "measures.list_aime",
    "ResolveContainer": "queries.resolve_container",
    "FindAdoptable": "queries.find_adoptable",
    "GetLastRequest": "queries.get_last_request",
    "CountProcesses": "measures.count_processes",
    "CountOtherProcesses": "measures.count_other_processes",
    "GetSizes": "measures.get_sizes",
    "GetUsage": "measures.get_usage",
    "GetUsageAdvice": "measures.get_usage_advice",
    "PlanContainer": "create.plan_container",
    "CreateContainer": "create.create_container",
    "StartContainer": "containers.start_container",
    "RecreateContainer": "containers.recreate_container",
    "AdoptContainer": "containers.adopt_container",
    "StopContainer": "containers.stop_container",
    "RemoveContainer": "containers.remove_container",
    "ExtendContainer": "containers.extend_container",
    "PauseContainer": "containers.pause_container",
    "UnpauseContainer": "containers.unpause_container",
    "ReleaseLease": "containers.release_lease",
    "MarkContainer": "containers.mark_container",
    "GetGpuStatus": "server.get_gpu_status",
    "GetGpuModels": "server.get_gpu_models",
    "GetGpuQuota": "queries.get_gpu_quota",
    "GetLimits": "server.get_limits",
    "IsAdmin": "access.is_admin",
    "CheckOwner": "access.check_owner",
    "GetReport": "seeing.get_report",
    "GetRecentUse": "seeing.get_recent_use",
    "GetServerView": "seeing.get_server_view",
    "GetMetrics": "seeing.get_metrics",
    "ListQueue": "server.list_queue",
    "CancelWait": "server.cancel_wait",
    "AllocateGpus": "server.allocate_gpus",
    "Reconcile": "server.reconcile",
    "EmergencyStop": "server.emergency_stop",
    "ListEvents": "events.list_events",
    "FollowEvents": "events.follow_events",
    "ListLogs": "events.list_logs",
    "ReadLog": "events.read_log",
    "FollowLog": "events.follow_log",
    "HasImage": "images.has_image",
    "GetImageLabels": "images.get_image_labels",
    "ListImages": "images.list_images",
    "RemoveImage": "images.remove_image",
    "PullImage": "images.pull_image",
    "BuildImage": "images.build_image",
    "RunProgram": "programs.run_program",
    "ResizeTerminal": "programs.resize_terminal",
    "SendSignal": "programs.send_signal",
    "GetExitCode": "programs.get_exit_code",
}


class Gate:
    """Runs operations on one installation."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self, actor: Actor, operation: Operation[R]) -> R:
        """Run an operation, and return its answer; the steps of a stream are discarded. Raises Ds01Error."""
        if isinstance(operation, StreamOperation):
            outcome: Any = None
            with closing(self.stream(actor, operation)) as steps:
                for step in steps:
                    outcome = getattr(step, "outcome", None)
            return cast("R", outcome)
        call = Call(self._context, actor)
        with call.refusals_recorded():
            _authorise(call, operation)
            return cast("R", _handler(operation)(call, operation))

    def stream(self, actor: Actor, operation: StreamOperation[S, Any]) -> Steps[S]:
        """Run an operation step by step. It starts with the first step; closing it cancels. Raises Ds01Error."""
        call = Call(self._context, actor)
        with call.refusals_recorded():
            _authorise(call, operation)
            yield from _handler(operation)(call, operation)


def _authorise(call: Call, operation: Operation[Any]) -> None:
    """Raise PermissionDenied, or NotFound for a container of somebody else."""
    access = operation.access
    if access is Access.CONTAINER:
        for container in operation.container_names:
            call.stored_record(container)
    elif access is Access.OWNER:
        owner = operation.owner_uid
        call.check_owner(call.actor.uid if owner is None else owner)
    elif access is not Access.EVERYBODY:
        with suppress(PolicyUnreadable):  # the last policy counts: an emergency stop cannot wait
            call.context.rules.refresh()
        call.check_admin()


def _handler(operation: Operation[Any]) -> Callable[[Call, Any], Any]:
    module, _, function = HANDLERS[type(operation).__name__].partition(".")
    handler: Callable[[Call, Any], Any] = getattr(import_module(f"ds01.gate.{module}"), function)
    return handler
