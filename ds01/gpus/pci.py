"""Count NVIDIA's cards on the PCI bus, with or without a driver."""

from __future__ import annotations

from pathlib import Path

NVIDIA_VENDOR = "0x10de"
DISPLAY_CLASS = "0x03"  # the class of graphics and 3D controllers; a card's sound and USB functions have others


def count_nvidia_cards(sys: Path = Path("/sys")) -> int:
    """Return the number of cards; 0 too if the kernel shows no PCI bus, as in some containers."""
    functions = (sys / "bus/pci/devices").glob("*")
    return sum(_text(path / "vendor").strip() == NVIDIA_VENDOR and _is_display(path) for path in functions)


def _is_display(function: Path) -> bool:
    return _text(function / "class").startswith(DISPLAY_CLASS)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
