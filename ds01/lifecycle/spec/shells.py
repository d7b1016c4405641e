"""The command lines of idle shells: processes that wait for input and have nothing to save."""

from __future__ import annotations

import re

IDLE_SHELL = re.compile(r"(?:\S*/)?-?(?:sh|bash|zsh|dash|ash|fish)(?: -(?!\S*c)\S+)*")
