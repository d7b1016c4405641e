"""How to reach Jupyter in a container from the user's computer."""

from __future__ import annotations

from ds01.api.images import GetImageLabels
from ds01.api.views import ContainerView
from ds01.cli.session import Session

JUPYTER_PORT = 8888  # Jupyter's own default


def show_jupyter_hint(session: Session, container: ContainerView) -> None:
    """Print how to start and reach Jupyter, if the container's image has it.

    The port is published on the server's loopback address only, so the way there is SSH.
    """
    port = next((mapping.host_port for mapping in container.ports if mapping.container_port == JUPYTER_PORT), None)
    if port is None or session.quiet or session.as_json:
        return
    if session.run(GetImageLabels(container.image or "")).get("ds01.jupyter") != "true":
        return
    session.say(f"Jupyter: `container-run {container.name} -- jupyter lab`")
    session.say(
        f"  on your computer: ssh -L {JUPYTER_PORT}:127.0.0.1:{port} {session.owner.login}@{session.server_name}"
    )
    session.say("  then open the address that Jupyter prints, with its token.")
