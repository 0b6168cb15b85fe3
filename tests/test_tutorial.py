"""docs/tutorial.md is true: its commands and edits are carried out, in order, and must print what it says they print.

How the page is read:

    ```console   a line that begins with "$ " is a command, what follows it is its output; a line "..." is any lines
    ```diff      under <!-- FILE -->: the lines with - stand in that file, once, and become the lines with +
    ```yaml      under <!-- FILE, below LINE -->: the lines go into that file, below that line
    <!-- the server takes the files -->: what stands in the files is in force, or becomes so now

`textwright serve` runs until the end, on a free port instead of 8080. Ids, hashes, times and durations may differ.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server import ROOT, START_SECONDS, free_port

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "tutorial.md"
SECONDS = 30.0
_BLOCK = re.compile(
    r"^<!-- (?P<note>[^\n]*) -->$(?:\n```(?P<edit>diff|yaml)\n(?P<change>.*?)^```$)?"
    r"|^```console\n(?P<console>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "VERSION"),
    (re.compile(r"(?<=[@.])[0-9a-f]{8}\b"), "HASH"),
    (re.compile(r"\(\d+\.\d s\)"), "(DURATION)"),
)
_TAKEN = "the server takes the files"


@dataclass(frozen=True)
class Command:
    """Something that is typed, and what the page says it prints."""

    line: int
    typed: str
    says: tuple[str, ...]


@dataclass(frozen=True)
class Edit:
    """Lines of a file that become others; `before` is the line below which new ones go."""

    line: int
    file: str
    before: str
    after: str


@dataclass(frozen=True)
class Taken:
    """The moment at which a running server has what is in the files."""

    line: int


Act = Command | Edit | Taken


def acts(page: str) -> Iterator[Act]:
    """What the page tells to do, in order."""
    for block in _BLOCK.finditer(page):
        line = page.count("\n", 0, block.start()) + 1
        if block["console"] is not None:
            yield from _commands(block["console"], line)
        elif block["note"] == _TAKEN:
            yield Taken(line)
        elif block["edit"] == "diff":
            lines = block["change"].splitlines()
            assert all(change[0] in "+-" for change in lines), f"line {line}: a diff has lines with + and - only"
            before, after = ("".join(f"{c[1:]}\n" for c in lines if c[0] == sign) for sign in "-+")
            yield Edit(line, block["note"], before, after)
        elif block["edit"] == "yaml":
            file, _, place = block["note"].partition(", below ")
            yield Edit(line, file, f"{place}\n", f"{place}\n{block['change']}")
        else:
            raise AssertionError(f"line {line}: nobody knows what to do with '{block['note']}'")


def _commands(block: str, line: int) -> Iterator[Command]:
    typed, says, place = "", [], line
    for number, text in enumerate(block.splitlines(), line + 1):
        if text.startswith("$ "):
            if typed:
                yield Command(place, typed, tuple(says))
            typed, says, place = text[2:], [], number
        else:
            assert typed, f"line {number}: output without a command"
            says.append(text)
    yield Command(place, typed, tuple(says))


def masked(text: str) -> str:
    """The text without what differs from one run to the next."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text


def agrees(says: tuple[str, ...], printed: str) -> bool:
    """Whether the output is what the page says, "..." being any lines."""
    parts = [r"(?:.*\n)*" if line == "..." else re.escape(f"{masked(line)}\n") for line in says]
    return re.fullmatch("".join(parts), masked(printed)) is not None


class Walk:
    """Somebody who does what the page says, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.at = folder / "textwright"
        (self.at / "rules").mkdir(parents=True)
        shutil.copytree(ROOT / "rules" / "starter", self.at / "rules" / "starter")
        self.port = free_port()
        config = (ROOT / "config.toml").read_text(encoding="utf-8")
        assert "port = 8080\n" in config
        # However busy the machine is: what was refused for its time is tried again only when the files change.
        config = config.replace("\n[rules]\n", "\n[rules]\ncheck_seconds = 60\n")
        assert "check_seconds = 60" in config
        (self.at / "config.toml").write_text(config.replace("8080", str(self.port)), encoding="utf-8")
        programs = self.at / ".venv" / "bin"
        programs.mkdir(parents=True)
        (programs / "activate").touch()  # each command has a shell of its own, which knows the way already
        command = programs / "textwright"
        command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bot "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        self.environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
        self.log = folder / "server.log"
        self.server: subprocess.Popen[bytes] | None = None

    def do(self, act: Act) -> str:
        """Do it; what a command printed."""
        match act:
            case Command(typed="textwright serve"):
                self._serve()
            case Command():
                return self._type(act.typed)
            case Edit():
                self._edit(act)
            case Taken():
                self._wait_until_taken(act)
        return ""

    def _serve(self) -> None:
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                ["textwright", "serve"], cwd=self.at, env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.server.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except OSError:
            return False

    def _type(self, typed: str) -> str:
        if typed.startswith("cd "):
            self.at = (self.at / typed[3:]).resolve()
            assert self.at.is_dir()
            return ""
        done = subprocess.run(
            ["bash", "-c", typed.replace("8080", str(self.port))],
            cwd=self.at,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS * 2,
            check=False,
        )
        return done.stdout.replace(str(self.port), "8080")

    def _edit(self, edit: Edit) -> None:
        path = self.at / edit.file
        text = path.read_text(encoding="utf-8")
        assert f"\n{text}".count(f"\n{edit.before}") == 1, f"line {edit.line}: not once in {edit.file}:\n{edit.before}"
        changed = f"\n{text}".replace(f"\n{edit.before}", f"\n{edit.after}")[1:]
        path.write_text(changed, encoding="utf-8")

    def _wait_until_taken(self, act: Taken) -> None:
        deadline = time.monotonic() + 2 * SECONDS
        while "on disk:" in (status := self._type("textwright rules status")):
            assert time.monotonic() < deadline, f"line {act.line}: the server does not take the files:\n{status}"
            time.sleep(1)  # asking takes a processor that the server wants

    def end(self) -> None:
        """Stop the server, as Ctrl-C does."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
            assert self.server.wait(SECONDS) == 0, self.log.read_text()


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    walk = Walk(tmp_path)
    try:
        yield walk
    finally:
        walk.end()


def test_every_step_of_the_walk_goes_as_the_page_says(walk):
    for act in acts(PAGE.read_text(encoding="utf-8")):
        printed = walk.do(act)
        if isinstance(act, Command):
            said = "\n".join(act.says)
            assert agrees(act.says, printed), f"line {act.line}: $ {act.typed}\nsays:\n{said}\nprinted:\n{printed}"


def test_no_block_of_the_page_is_left_out():
    page = PAGE.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(page))
    assert page.count("```") == 2 * sum(1 for block in found if block["edit"] or block["console"] is not None)
    assert page.count("<!--") == sum(1 for block in found if block["note"] is not None)
    assert {type(act) for act in acts(page)} == {Command, Edit, Taken}


@pytest.mark.parametrize(
    ("says", "printed", "good"),
    [
        (("one", "two"), "one\ntwo\n", True),
        (("one",), "one\ntwo\n", False),
        (("one", "..."), "one\ntwo\nthree\n", True),
        (("...", "three"), "one\ntwo\nthree\n", True),
        (("...", "four"), "one\ntwo\nthree\n", False),
        (("in force: 0123456789abcdef",), "in force: fedcba9876543210\n", True),
        (("a@01234567 (0.3 s)",), "a@76543210 (12.0 s)\n", True),
        ((), "", True),
        ((), "surprise\n", False),
    ],
)
def test_an_output_is_held_against_the_page_line_by_line(says, printed, good):
    assert agrees(says, printed) is good
