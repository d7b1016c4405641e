"""The whole page of the server's state."""

from __future__ import annotations

from ds01.api.seeing.server_view import ServerView
from ds01.pages.markup import Element, element
from ds01.pages.shell import render_page
from ds01.pages.status.server import (
    queue_section,
    reservations_section,
    server_section,
    tick_section,
    unknown_section,
)
from ds01.pages.status.slots import hardware_section, slots_section, supply_section
from ds01.pages.texts import full_moment

REFRESH = 60  # seconds after which a browser loads the page again


def status_page(view: ServerView) -> str:
    """Return the page of a view, which must be the public one: all of it may be shown. Names may be None."""
    name = view.machine.name
    header = element(
        "header",
        element("h1", name),
        element("p", "As it was at ", full_moment(view.at), class_="made"),
        element("p", "[simulated GPUs]", class_="made") if view.simulated else None,
    )
    main = element(
        "main",
        unknown_section(view),
        supply_section(view),
        slots_section(view),
        queue_section(view),
        reservations_section(view),
        server_section(view),
        hardware_section(view),
        tick_section(view),
    )
    return render_page(f"{name}: GPUs", header, main, _footer(), refresh=REFRESH)


def _footer() -> Element:
    return element(
        "footer",
        element(
            "p",
            "Your browser loads this page every minute. If the time at the top is old, nobody writes it any more.",
        ),
        element(
            "p",
            "“Unknown” means that the hardware or the driver does not say: it is not zero. Many MIG instances have no "
            "counter of their use. “Idle for” counts from the last activity that the automation saw in the container.",
        ),
    )
