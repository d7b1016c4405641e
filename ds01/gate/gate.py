"""The only entry to everything that looks at or changes containers: it authorises an operation, and runs its handler.

It prints nothing, asks nobody, and reads no environment. Who may do what is derived at each call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from importlib import import_module
from typing import Any, TypeVar

from ds01.api import containers, images, programs, server
from ds01.api.operation import Access, Operation, Steps, StreamOperation
from ds01.errors import PolicyUnreadable
from ds01.gate.call import Call
from ds01.lifecycle.context.context import Context
from ds01.system.users import Actor

R = TypeVar("R")
S = TypeVar("S")

# By name, so that a list need not load what creates containers.
_HANDLERS: dict[type[Operation[Any]], str] = {
    containers.ListContainers: "queries.list_containers",
    containers.ListAime: "queries.list_aime",
    containers.ResolveContainer: "queries.resolve_container",
    containers.FindAdoptable: "queries.find_adoptable",
    containers.GetLastRequest: "queries.get_last_request",
    containers.CountProcesses: "queries.count_processes",
    containers.CountOtherProcesses: "queries.count_other_processes",
    containers.GetSizes: "queries.get_sizes",
    containers.GetUsage: "queries.get_usage",
    containers.PlanContainer: "create.plan_container",
    containers.CreateContainer: "create.create_container",
    containers.StartContainer: "containers.start_container",
    containers.RecreateContainer: "containers.recreate_container",
    containers.AdoptContainer: "containers.adopt_container",
    containers.StopContainer: "containers.stop_container",
    containers.RemoveContainer: "containers.remove_container",
    containers.ExtendContainer: "containers.extend_container",
    containers.PauseContainer: "containers.pause_container",
    containers.UnpauseContainer: "containers.unpause_container",
    containers.ReleaseLease: "containers.release_lease",
    containers.MarkContainer: "containers.mark_container",
    server.GetGpuStatus: "server.get_gpu_status",
    server.GetGpuModels: "server.get_gpu_models",
    server.GetGpuQuota: "server.get_gpu_quota",
    server.GetLimits: "server.get_limits",
    server.IsAdmin: "server.is_admin",
    server.CheckOwner: "server.check_owner",
    server.ListQueue: "server.list_queue",
    server.CancelWait: "server.cancel_wait",
    server.AllocateGpus: "server.allocate_gpus",
    server.Reconcile: "server.reconcile",
    server.EmergencyStop: "server.emergency_stop",
    images.HasImage: "images.has_image",
    images.GetImageLabels: "images.get_image_labels",
    images.ListImages: "images.list_images",
    images.RemoveImage: "images.remove_image",
    images.PullImage: "images.pull_image",
    images.BuildImage: "images.build_image",
    programs.RunProgram: "programs.run_program",
    programs.ResizeTerminal: "programs.resize_terminal",
    programs.SendSignal: "programs.send_signal",
    programs.GetExitCode: "programs.get_exit_code",
}
OPERATIONS = tuple(_HANDLERS)


class Gate:
    """Runs operations on one installation."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self, actor: Actor, operation: Operation[R]) -> R:
        """Run an operation, and return its answer; the steps of a stream are dropped. Raises Ds01Error."""
        if isinstance(operation, StreamOperation):
            outcome: Any = None
            with closing(self.stream(actor, operation)) as steps:
                for step in steps:
                    outcome = getattr(step, "outcome", None)
            return outcome  # type: ignore[no-any-return]
        call = Call(self._context, actor)
        with call.refusals_recorded():
            _authorise(call, operation)
            return _handler(operation)(call, operation)  # type: ignore[no-any-return]

    def stream(self, actor: Actor, operation: StreamOperation[S, Any]) -> Steps[S]:
        """Run an operation step by step; nothing happens before the first step, and closing it cancels.

        Raises Ds01Error.
        """
        call = Call(self._context, actor)
        with call.refusals_recorded():
            _authorise(call, operation)
            yield from _handler(operation)(call, operation)


def _authorise(call: Call, operation: Operation[Any]) -> None:
    """Raises PermissionDenied, or NotFound for a container of which the actor may not know."""
    access = operation.access
    if access is Access.CONTAINER:
        for container in operation.container_names:
            call.known(container)
    elif access is Access.OWNER:
        owner = operation.owner_uid
        call.check_owner(call.actor.uid if owner is None else owner)
    elif access is not Access.EVERYBODY:
        with suppress(PolicyUnreadable):  # the rights of the policy that was read last count: an emergency cannot wait
            call.context.rules.refresh()
        call.check_admin()


def _handler(operation: Operation[Any]) -> Callable[[Call, Any], Any]:
    module, _, function = _HANDLERS[type(operation)].partition(".")
    handler: Callable[[Call, Any], Any] = getattr(import_module(f"ds01.gate.{module}"), function)
    return handler
