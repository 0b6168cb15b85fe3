"""What is wrong with rule files is said all at once, with file and line (tests/cases/rules/mistakes)."""

import time
from pathlib import Path
from typing import Any

import pytest

from rules.effects import Reply
from tests.rules import build

MISTAKES = sorted((build.CASES / "mistakes").glob("*.yaml"))


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}-{case['name']}".replace(" ", "-"))
        for path in MISTAKES
        for case in build.case_file(f"mistakes/{path.stem}")
    ]


@pytest.mark.parametrize("case", cases())
def test_a_mistake_is_reported_with_its_file_and_line(case: dict[str, Any]) -> None:
    assert build.said(case["file"]) == case["says"]


def test_text_that_is_not_utf8_is_reported_by_its_line() -> None:
    assert build.said("version: 1\nname: \ud800") == ["a.yaml:2: error: not UTF-8 text."]


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert build.said("\ufeffversion: 1\r\nname: shop\r\n") == []


def test_there_is_no_rule_book_while_there_is_an_error() -> None:
    assert build.read("version: 2\n")[0] is None


def test_a_warning_does_not_stand_in_the_way() -> None:
    book, problems = build.read(_rule("{keyword: hi}", f"[{{reply: {'x' * 200}}}]"))
    assert book is not None
    assert [problem.level for problem in problems.items] == ["warning"]


ROOT = build.CASES.parents[2]
SHIPPED = [*ROOT.glob("rules/starter/*.yaml"), *ROOT.parent.glob("shared/examples/*.yaml")]


@pytest.mark.parametrize("path", sorted(SHIPPED), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_we_ship_and_show_has_no_problems(path: Path) -> None:
    assert build.said(path.read_text(encoding="utf-8")) == []


class TestWordsStayTheWordsThatWereWritten:
    @pytest.mark.parametrize("word", ["no", "off", "n", "0123", "2026-03-05", "12:30", "null", "1e3"])
    def test_whatever_yaml_would_make_of_them(self, word: str) -> None:
        ruleset = build.rules(f"rules: [{{id: it, when: {{exact: {word}}}, do: [{{reply: {word}}}]}}]")
        assert ruleset.decide(build.facts(word), build.NOON).fired[0].effects == (Reply(word),)


class TestSeveralFiles:
    def test_share_what_they_declare(self) -> None:
        book = build.book(
            "version: 1\nrules: [{id: it, when: {in_list: vip}, do: [{reply: '{{ var.url }}'}]}]\n",
            "version: 1\nlists: {vip: service}\nvars: {url: example.org}\n",
        )
        assert book.lists == {"vip": "service"}

    def test_may_declare_the_same_twice(self) -> None:
        book, problems = build.read("version: 1\nlists: {vip: service}\n", "version: 1\nlists: {vip: service}\n")
        assert book is not None
        assert [str(problem)[:9] for problem in problems.items] == ["a.yaml:2:"]

    @pytest.mark.parametrize(
        ("first", "second", "message"),
        [
            ("lists: {vip: service}", "lists: {vip: marketing}", "another file declares the list 'vip' as service."),
            ("fields: {age: integer}", "fields: {age: text}", "another file declares the field 'age' as integer."),
            ("vars: {url: a}", "vars: {url: b}", "another file gives the variable 'url' another value."),
            ("name: shop", "name: shop", "the name 'shop' is taken by a.yaml."),
            (
                "compliance: {help: STOP to stop}",
                "compliance: {help: STOP to stop}",
                "another file words the help text.",
            ),
        ],
    )
    def test_that_contradict_each_other_are_refused(self, first: str, second: str, message: str) -> None:
        assert build.said(f"version: 1\n{first}\n", f"version: 1\n{second}\n") == [f"b.yaml:2: error: {message}"]

    def test_each_have_their_mistakes_reported(self) -> None:
        assert [said[:9] for said in build.said("version: 2\n", "version: 3\n", "version: 1\n")] == [
            "a.yaml:1:",
            "b.yaml:1:",
        ]

    def test_have_one_version_that_changes_with_any_of_them(self) -> None:
        versions = {build.book("version: 1\n", f"version: 1\nname: x{n}\n").version for n in range(3)}
        assert len(versions) == 3
        assert build.book("version: 1\n").version == build.book("version: 1\n").version


def _rule(when: str, do: str = "[{reply: Hello}]") -> str:
    return f"version: 1\nrules:\n  - id: one\n    when: {when}\n    do: {do}\n"


BOMBS = {
    "a megabyte of nested lists": "version: 1\nvars: " + "[" * 900_000,
    "a megabyte of nested mappings": "version: 1\nvars: " + "{a: " * 240_000,
    "more than a megabyte": "version: 1\n#" + "x" * 1_000_000,
    "ten thousand alternatives": _rule("{any: [" + ", ".join(f"{{contains: w{n}}}" for n in range(10_000)) + "]}"),
    "ten thousand conditions": _rule("{all: [" + ", ".join(f"{{contains: w{n}}}" for n in range(10_000)) + "]}"),
    "ten thousand patterns": _rule("{regex: [" + ", ".join(f"'(a|b){{1,200}}{n}'" for n in range(10_000)) + "]}"),
    "a template of braces": _rule("{always: true}", '[{reply: "' + "{" * 500_000 + '"}]'),
    "a template of half tags": _rule("{always: true}", '[{reply: "' + "{{ x | " * 120_000 + '"}]'),
    "fifty thousand unknown keys": "version: 1\n" + "".join(f"key{n}: 1\n" for n in range(50_000)),
    "a key of a megabyte": "version: 1\n? " + "k" * 900_000 + "\n: 1\n",
    "a number of a megabyte": _rule("{number: {min: " + "9" * 900_000 + "}}"),
    "a billion laughs": "version: 1\nvars:\n  a: &a [x]\n  b: &b [*a, *a]\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", BOMBS.values(), ids=[name.replace(" ", "-") for name in BOMBS])
def test_a_file_bomb_is_refused_within_seconds(text: str) -> None:
    began = time.process_time()
    book, problems = build.read(text)
    assert book is None
    assert problems.errors
    assert time.process_time() - began < 10
