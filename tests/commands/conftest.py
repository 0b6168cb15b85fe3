"""Commands run in this process where nothing else is asked for: starting Python takes most of a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli import main

MISTAKES = """version: 1
lists: {vip: nope}
rules:
  - id: one
    when: {keywrd: hi}
    do: [{replay: Hello}]
    priority: high
  - id: two
    when: {keyword: stop}
    do: [{reply: "{{ contact.nmae }}"}]
"""
SAYS = [
    ("rules.yaml", 2, "unknown purpose 'nope'. It is one of marketing, service."),
    ("rules.yaml", 5, "unknown condition 'keywrd'. Did you mean 'keyword'?"),
    ("rules.yaml", 6, "unknown action 'replay'. Did you mean 'reply'?"),
    ("rules.yaml", 7, "priority must be a whole number from 1 to 999, not 'high'."),
    ("rules.yaml", 9, "'stop' is reserved: it opts a person out. Use another word."),
    ("rules.yaml", 10, "unknown path 'contact.nmae'. Did you mean 'contact.name'?"),
]
GOOD = """version: 1
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
"""
BETTER = GOOD.replace("9 to 5", "10 to 6")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small configuration, where commands are typed."""
    (tmp_path / "config.toml").write_text(
        '[business]\nname = "Corner Books"\ncontact = "hi@books.example"\ntimezone = "America/New_York"\n'
        '[rules]\nfiles = ["rules.yaml"]\n'
        '[channels.sim]\nadapter = "simulator"\nnumbers = ["+12025550100"]\n'
        '[channels.spare]\nadapter = "simulator"\nnumbers = ["+12025550199"]\n'
    )
    (tmp_path / "rules.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def textwright(shop: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Type a command: `textwright("check", "--json")`."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        return Done(code, *capfd.readouterr())

    return run
