"""textwright check: all problems at once, each with file, line and, where there is one, a suggestion."""

from __future__ import annotations

import orjson
import pytest

from tests.commands.conftest import MISTAKES, SAYS
from tests.server import STARTER


def test_good_files_are_counted(textwright):
    done = textwright("check")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("ok: 1 rule file")
    assert "\033" not in done.out


def test_every_mistake_is_said_with_its_line_and_a_suggestion(shop, textwright):
    (shop / "rules.yaml").write_text(MISTAKES)
    done = textwright("check")
    assert done.code == 1
    assert done.out.splitlines() == [*(f"{file}:{line}: error: {text}" for file, line, text in SAYS), "6 errors"]


def test_programs_get_the_same_as_json(shop, textwright):
    (shop / "rules.yaml").write_text(MISTAKES)
    done = textwright("check", "--json")
    assert done.code == 1
    found = orjson.loads(done.out)
    assert found["version"] is None
    assert [(item["file"], item["line"], item["message"]) for item in found["problems"]] == SAYS
    assert {item["level"] for item in found["problems"]} == {"error"}
    (shop / "rules.yaml").write_text("version: 1\n")
    good = orjson.loads(textwright("check", "--json").out)
    assert good["problems"] == []
    assert len(good["version"]) == 16


def test_a_warning_is_said_and_is_no_failure(shop, textwright):
    (shop / "rules.yaml").write_text(
        "version: 1\nrules:\n  - {id: long, when: {keyword: hi}, do: [{reply: " + "x" * 200 + "}]}\n"
    )
    done = textwright("check")
    assert done.code == 0
    first, last = done.out.splitlines()
    assert first == "rules.yaml:3: warning: the reply of 'rules.long' takes 2 segments."
    assert last.startswith("ok: ")
    assert last.endswith(", 1 warning")


def test_problems_of_the_configuration_are_said_by_check_too(shop, textwright):
    (shop / "config.toml").write_text('[busines]\n[channels.sim]\nadapter = "simulatr"\n')
    done = textwright("check")
    assert done.code == 1
    assert done.out.splitlines() == [
        "config.toml:1: error: unknown section 'busines'. Did you mean 'business'?",
        "config.toml:3: error: unknown adapter 'simulatr'. Did you mean 'simulator'?",
        "2 errors",
    ]


def test_files_that_are_named_are_checked_instead_of_the_configurations(shop, textwright):
    (shop / "new.yaml").write_text(MISTAKES)
    assert textwright("check").code == 0
    done = textwright("check", "new.yaml", "none.yaml")
    assert done.code == 1
    assert "none.yaml:1: error: there is no such file." in done.out.splitlines()
    assert "new.yaml:5: error: unknown condition 'keywrd'. Did you mean 'keyword'?" in done.out.splitlines()


def test_a_glob_that_finds_nothing_is_an_error(shop, textwright):
    (shop / "rules.yaml").unlink()
    done = textwright("check")
    assert done.code == 1
    assert "config.toml:6: error: no file matches" in done.out
    done = textwright("check", "--config", str(shop / "config.toml"))
    assert "config.toml:6: error: no file matches" in done.out


def test_a_glob_that_finds_nothing_is_said_with_the_path_that_the_other_problems_have(
    shop, textwright, tmp_path_factory
):
    other = tmp_path_factory.mktemp("elsewhere") / "c4.toml"
    other.write_text('[channels.sim]\nadapter = "simulator"\n\n[rules]\n# ours\nfiles = ["none/*.yaml"]\n')
    done = textwright("check", "--config", str(other))
    assert done.out.splitlines()[0] == f"{other}:6: error: no file matches [rules] files = ['none/*.yaml']."


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rules.txt", b"version: 1\n", "a rule file's name ends in .yaml."),
        ("rules.yaml", b"\xff\xfe", "the file is not UTF-8."),
    ],
)
def test_a_file_that_cannot_be_read_is_said_to_be_so(shop, textwright, name, content, says):
    (shop / name).write_bytes(content)
    done = textwright("check", name)
    assert (done.code, done.out.splitlines()[0]) == (1, f"{name}:1: error: {says}")


def test_an_unknown_route_is_an_error(shop, textwright):
    (shop / "rules.yaml").write_text(
        "version: 1\nrules:\n  - {id: a, when: {keyword: hi}, do: [{notify: {route: front_desk}}]}\n"
    )
    done = textwright("check")
    assert done.code == 1
    assert "front_desk" in done.out


def test_the_starter_rules_are_good(shop, textwright):
    config = (shop / "config.toml").read_text().replace('"rules.yaml"', f'"{STARTER}"')
    (shop / "config.toml").write_text(config)
    assert textwright("check").code == 0


def test_mistakes_in_the_rules_are_said_beside_those_in_the_configuration(shop, textwright):
    (shop / "rules.yaml").write_text(MISTAKES)
    config = shop / "config.toml"
    config.write_text(config.read_text() + '\n[busines]\nname = "x"\n')
    done = textwright("check")
    assert done.code == 1
    assert "unknown section 'busines'. Did you mean 'business'?" in done.out
    said = [text for _, _, text in SAYS if "route" not in text and "channel" not in text]
    assert all(text in done.out for text in said)
