"""Which processes of a container are shells that wait for input, and so have nothing to save."""

from __future__ import annotations

import re

IDLE_SHELL = re.compile(r"(?:\S*/)?-?(?:sh|bash|zsh|dash|ash|fish)(?: -(?!\S*c)\S+)*")
