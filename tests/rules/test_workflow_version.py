"""The version of a workflow: the same in every process, and another as soon as anything is that its people live by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules import build

pytestmark = pytest.mark.slow

TEXT = """
version: 1
lists: {club: marketing}
schedules: {open: {hours: [{days: [mon, wed, fri], from: "09:00", to: "18:00"}], closed: [2026-12-25, 2027-01-01]}}
vars: {shop: Corner Books, other: unused}
workflows:
  welcome:
    list: club
    send_window: open
    steps:
      - {wait: 1d}
      - {send: "Welcome to {{ var.shop }}!"}
"""


def version(text: str) -> str:
    return build.book(text).workflows["a.welcome"].version


def test_it_is_the_same_in_every_process():
    code = f"from tests.rules.test_workflow_version import TEXT, version; print(version({TEXT!r}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert found == {f"{version(TEXT)}\n"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wait: 1d", "wait: 2d"),
        ("Welcome to", "Hello from"),
        ("Corner Books", "Harbor Books"),
        ("mon, wed, fri", "mon, fri"),
        ("2026-12-25", "2026-12-24"),
        ("club: marketing", "club: service"),
        ("version: 1", "version: 1\ntimezone: Europe/London"),
    ],
)
def test_it_changes_with_what_people_inside_live_by(old, new):
    assert version(TEXT.replace(old, new)) != version(TEXT)


@pytest.mark.parametrize(
    ("old", "new"), [("other: unused", "other: used"), ("version: 1", "version: 1\ndescription: About us")]
)
def test_it_does_not_change_with_anything_else(old, new):
    assert version(TEXT.replace(old, new)) == version(TEXT)
