"""Processes of our own code beside the server: what may hang, crash or fill its memory there harms nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent.parent


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """What runs a module of ours with the Python that runs us."""
    return (sys.executable, "-m", module, *arguments)


def environment() -> dict[str, str]:
    """Our own environment, in which our modules are found from any folder."""
    paths = [str(_SOURCE), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
