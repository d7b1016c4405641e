"""A client of the gate for tests: a method for each operation, in process or through the JSON codec.

`client.stop(actor, container, grace=1)` runs `StopContainer(container, grace=1)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from ds01.api import wire
from ds01.api.access import CheckOwner, IsAdmin
from ds01.api.containers import (
    AdoptContainer,
    CreateContainer,
    ExtendContainer,
    MarkContainer,
    PauseContainer,
    PlanContainer,
    RecreateContainer,
    ReleaseLease,
    RemoveContainer,
    StartContainer,
    StopContainer,
    UnpauseContainer,
)
from ds01.api.images import BuildImage, GetImageLabels, HasImage, ListImages, PullImage, RemoveImage
from ds01.api.listing import FindAdoptable, GetGpuQuota, GetLastRequest, ListContainers, ResolveContainer
from ds01.api.measures import CountOtherProcesses, CountProcesses, GetSizes, GetUsage, GetUsageAdvice, ListAime
from ds01.api.operation import Operation, Steps, StreamOperation
from ds01.api.programs import GetExitCode, ResizeTerminal, RunProgram, SendSignal
from ds01.api.seeing.events import FollowEvents, FollowLog, ListEvents, ListLogs, ReadLog
from ds01.api.server import (
    AllocateGpus,
    CancelWait,
    EmergencyStop,
    GetGpuModels,
    GetGpuStatus,
    GetLimits,
    ListQueue,
    Reconcile,
)
from ds01.engines.protocol import Attachment
from ds01.errors import Ds01Error
from ds01.gate.gate import Gate
from ds01.lifecycle.context.context import Context
from ds01.system.users import Actor

RUN: dict[str, type[Operation[Any]]] = {
    "adopt": AdoptContainer,
    "allocate": AllocateGpus,
    "as_aime": ListAime,
    "cancel_wait": CancelWait,
    "check_owner": CheckOwner,
    "create": CreateContainer,
    "emergency_stop": EmergencyStop,
    "events": ListEvents,
    "exec": RunProgram,
    "exit_code": GetExitCode,
    "extend": ExtendContainer,
    "find_adoptable": FindAdoptable,
    "gpu_models": GetGpuModels,
    "gpu_quota": GetGpuQuota,
    "gpus": GetGpuStatus,
    "image_is_there": HasImage,
    "image_labels": GetImageLabels,
    "images": ListImages,
    "inside": CountOtherProcesses,
    "is_admin": IsAdmin,
    "last_request": GetLastRequest,
    "limits": GetLimits,
    "listing": ListContainers,
    "log": ReadLog,
    "logs": ListLogs,
    "mark": MarkContainer,
    "pause": PauseContainer,
    "plan": PlanContainer,
    "processes": CountProcesses,
    "queue": ListQueue,
    "reconcile": Reconcile,
    "release": ReleaseLease,
    "remake": RecreateContainer,
    "remove": RemoveContainer,
    "remove_image": RemoveImage,
    "resize": ResizeTerminal,
    "resolve": ResolveContainer,
    "signal": SendSignal,
    "sizes": GetSizes,
    "start": StartContainer,
    "stop": StopContainer,
    "unpause": UnpauseContainer,
    "advice": GetUsageAdvice,
    "usage": GetUsage,
}
STREAM: dict[str, type[StreamOperation[Any, Any]]] = {
    "build": BuildImage,
    "follow_events": FollowEvents,
    "follow_log": FollowLog,
    "pull": PullImage,
    "remove_steps": RemoveContainer,
    "stop_steps": StopContainer,
}


class Client:
    """A gate in process."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.gate = Gate(context)

    def run(self, actor: Actor, operation: Operation[Any]) -> Any:
        return self.gate.run(actor, operation)

    def stream(self, actor: Actor, operation: StreamOperation[Any, Any]) -> Steps[Any]:
        return self.gate.stream(actor, operation)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in RUN:
            return lambda actor, *args, **more: self.run(actor, RUN[name](*args, **more))
        if name in STREAM:
            return lambda actor, *args, **more: self.stream(actor, STREAM[name](*args, **more))
        raise AttributeError(name)

    def containers(self, actor: Actor, **more: Any) -> Any:
        return self.run(actor, ListContainers(**more)).containers

    def own_images(self, actor: Actor, **more: Any) -> tuple[str, ...]:
        return tuple(view.reference for view in self.run(actor, ListImages(**more)))

    def wait(self, actor: Actor, request: Any, **more: Any) -> Iterator[Any]:
        """Create after waiting in the queue; yield the new positions, then the container."""
        with closing(self.stream(actor, CreateContainer(request, wait=True, **more))) as steps:
            for step in steps:
                if step.waiting is not None or step.acted is not None:
                    yield step

    def wait_to_start(self, actor: Actor, container: str, **more: Any) -> Iterator[Any]:
        return self.stream(actor, StartContainer(container, wait=True, **more))


class WireClient(Client):
    """A gate behind a JSON codec: operations, answers and steps are passed as text, as through a socket."""

    def run(self, actor: Actor, operation: Operation[Any]) -> Any:
        sent, stream = wire.encode_operation(operation), _streamed(operation)
        received = wire.decode_operation(sent, stream)
        descriptor = -1
        try:
            answer = self.gate.run(actor, received)
            descriptor = answer.fileno if isinstance(answer, Attachment) else -1
            text = wire.encode_answer(answer)
        except Ds01Error as error:
            text = wire.encode_error(error)
        return wire.decode_answer(text, type(operation), descriptor=descriptor)

    def stream(self, actor: Actor, operation: StreamOperation[Any, Any]) -> Steps[Any]:
        received = wire.decode_operation(wire.encode_operation(operation), _streamed(operation))
        assert isinstance(received, StreamOperation)
        with closing(self._sent(actor, received)) as texts:
            for text in texts:
                yield wire.decode_answer(text, type(operation), step=True)

    def _sent(self, actor: Actor, operation: StreamOperation[Any, Any]) -> Steps[str]:
        try:
            with closing(self.gate.stream(actor, operation)) as steps:
                for step in steps:
                    yield wire.encode_answer(step)
        except Ds01Error as error:
            yield wire.encode_error(error)


def _streamed(operation: Operation[Any]) -> Iterable[bytes]:
    return operation.build_context if isinstance(operation, BuildImage) else ()
