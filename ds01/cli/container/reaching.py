"""How to reach Jupyter in a container from one's own computer."""

from __future__ import annotations

from ds01.cli.session import Session
from ds01.lifecycle.views import ContainerView

JUPYTER = 8888  # Jupyter's own default
DYNAMIC = 32768  # Docker's own choices start here: the kernel's default for ports that nobody asked for by number
FIXED = range(20000, 30000)  # ports that users can keep, below the ones that Docker gives away


def say_how_to_reach(session: Session, container: ContainerView) -> None:
    """Say how to start Jupyter and get at it, for a container whose image has it. Its port is published on this
    server's loopback only, so that the way there is SSH.
    """
    port = next((one.host_port for one in container.ports if one.container_port == JUPYTER), None)
    if port is None or session.quiet or session.as_json:
        return
    if session.asking.image_labels(session.actor, container.image).get("ds01.jupyter") != "true":
        return
    session.say(f"Jupyter: `container-run {container.name} -- jupyter lab`")
    session.say(f"  on your computer: ssh -L {JUPYTER}:127.0.0.1:{port} {session.owner.login}@{session.server_name}")
    session.say("  then open the address that Jupyter prints, with its token.")
    if port >= DYNAMIC:
        fixed = FIXED.start + session.owner.uid % len(FIXED)
        session.say(
            f"  Docker chooses the server's port, {port} now, at each start. A port of your own stays the same:"
        )
        session.say(f"  `container-create NAME -p {fixed}:{JUPYTER}`")
