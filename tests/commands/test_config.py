"""config.toml: every case file is read, and exactly the problems that its comments name are found, with their lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.config import ConfigError, load_config
from rules.problems import Problems

CASES = sorted((Path(__file__).parent.parent / "cases" / "config").glob("*.toml"))
_SAYS = re.compile(r"# (error|warning) (\d+): (.*)")


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("A_PORT", "8181")
    monkeypatch.setenv("DESK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_exactly_what_the_comments_name_is_found(path):
    says = {
        (found[1], int(found[2]), found[3]) for line in path.read_text().splitlines() if (found := _SAYS.match(line))
    }
    problems = Problems()
    if any(level == "error" for level, _, _ in says):
        with pytest.raises(ConfigError):
            load_config(path, problems)
    else:
        load_config(path, problems)
    assert {(problem.level, problem.line, problem.message) for problem in problems.items} == says
    assert len(problems.items) == len(says), "nothing is said twice"
    assert {problem.file for problem in problems.items} <= {str(path)}


def test_there_are_cases_of_every_kind():
    assert {path.stem for path in CASES} >= {
        "unknown_names", "types", "business", "numbers", "secrets", "no_channel", "shapes", "syntax", "good",
    }  # fmt: skip


def test_a_good_file_is_read_as_it_says():
    config = load_config(next(path for path in CASES if path.stem == "good"), Problems())
    assert (config.server.port, config.server.public_url) == (8181, "https://sms.example.org/textwright")
    assert (config.business.country, config.business.timezone) == ("CA", "America/Toronto")
    assert config.channels["sim"].numbers == ("+12025550100", "72345")
    assert config.channels["sim"].rate_per_second == 0.5
    assert config.default_route == "desk"
    assert config.routes["desk"].allow_private is False
    assert config.outbox.on_unknown == "hold"
    assert config.consent.any_message_opts_in is False


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path):
    problems = Problems()
    with pytest.raises(ConfigError):
        load_config(tmp_path / "none.toml", problems)
    assert [str(problem) for problem in problems.items] == [
        f"{tmp_path / 'none.toml'}:1: error: cannot be read: No such file or directory."
    ]


def test_rule_files_are_found_beside_the_configuration_whatever_its_folder_is_called(tmp_path):
    folder = tmp_path / "the [old] shop"
    (folder / "rules").mkdir(parents=True)
    for name in ("b.yaml", "a.yaml"):
        (folder / "rules" / name).write_text("version: 1\n")
    (folder / "config.toml").write_text(
        '[rules]\nfiles = ["rules/*.yaml", "rules/a.yaml"]\n[channels.sim]\nadapter = "simulator"\n'
    )
    config = load_config(folder / "config.toml", Problems())
    assert [path.relative_to(folder).as_posix() for path in config.rule_files()] == ["rules/a.yaml", "rules/b.yaml"]


@pytest.mark.parametrize(
    ("host", "is_loopback"), [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("localhost", True),
                              ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("127.example.com", False)]
)  # fmt: skip
def test_what_only_this_machine_reaches_is_loopback(tmp_path, host, is_loopback):
    (tmp_path / "c.toml").write_text(f'[server]\nhost = "{host}"\n[channels.sim]\nadapter = "simulator"\n')
    assert load_config(tmp_path / "c.toml", Problems()).server.is_loopback is is_loopback
