"""The JSON Schema takes what the loader takes, and refuses the unknown keys and words that it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import grammar
from rules.schema import schema
from rules.shapes import Json
from tests.rules import build

# The one JSON Schema library of the tests comes with schemathesis.
jsonschema = pytest.importorskip("jsonschema_rs")

ROOT = build.CASES.parents[2]
RUN = [path for kind in ("steps", "events", "rules", "workflows", "tests") for path in (build.CASES / kind).glob("*")]
FILES = sorted([*RUN, *ROOT.glob("rules/starter/*.yaml"), *ROOT.parent.glob("shared/examples/*.yaml")])
UNKNOWN = re.compile(
    r"unknown (([a-z_]+ )?key|condition|action|event|comparison|expectation|test step|purpose|field type|status|mode"
    r"|again|on|on_change|natural_language_stop|media_type|per) '"
)


class Core(yaml.SafeLoader):
    """YAML as editors read it (version 1.2): `yes`, 09:00 and 2026-12-25 are texts to them as they are to us."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for kind, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?[0-9]*\.[0-9]+", "-+.0123456789"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), list(first))
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(str(node.value)))  # not octal


@pytest.fixture(scope="module")
def checks() -> Any:
    """A validator of the schema."""
    return jsonschema.Draft202012Validator(schema())


def wrong(checks: Any, text: str) -> list[str]:
    """What the schema says against a rule file."""
    data = yaml.load(text, Loader=Core)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in checks.iter_errors(data)]


def mistakes() -> list[Any]:
    return [
        pytest.param(case["file"], id=f"{path.stem}-{case['name']}".replace(" ", "-"))
        for path in sorted((build.CASES / "mistakes").glob("*.yaml"))
        for case in build.case_file(f"mistakes/{path.stem}")
        if any(UNKNOWN.search(said) for said in case["says"])
    ]


def test_it_is_a_valid_schema_and_refers_to_nothing_that_is_not_there() -> None:
    jsonschema.meta.validate(schema())
    wanted = set(re.findall(r"'#/\$defs/(\w+)'", str(schema())))
    assert wanted == set(schema()["$defs"])


def test_every_key_says_what_it_is_for() -> None:
    def look(part: Json) -> None:
        for name, value in part.get("properties", {}).items():
            if "title" in value:
                assert value["title"] == name
                assert value["description"], name
        for name in part.get("$defs", {}):
            look(part["$defs"][name])

    look(schema())
    rule = schema()["$defs"]["rule"]["properties"]
    assert {name: rule[name]["description"] for name in rule} == {n: key.says for n, key in grammar.RULE_KEYS.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_takes_good_files(path: Path, checks: Any) -> None:
    assert wrong(checks, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("kind", ["conditions", "actions"])
def test_it_takes_what_the_case_files_hold(kind: str, checks: Any) -> None:
    for path in sorted((build.CASES / kind).glob("*.yaml")):
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=Core)
        for case in [data, *data.get("more", [])]:
            if "refused" not in case:
                rule = {
                    "id": "one",
                    "when": case.get("when", {"always": True}),
                    "do": case.get("do", [{"ignore": True}]),
                }
                found = [error.message for error in checks.iter_errors({"version": 1, "rules": [rule]})]
                assert found == [], (path.name, case)


@pytest.mark.parametrize("text", mistakes())
def test_it_refuses_unknown_keys_and_words(text: str, checks: Any) -> None:
    assert wrong(checks, text)


@pytest.mark.parametrize(
    ("when", "taken"),
    [
        ("{idle: 1D}", True), ("{idle: 1d12h}", True), ("{idle: forever}", True), ("{idle: -1d}", False),
        ("{idle: ''}", False), ("{idle: soon}", False), ("{known: YES}", True), ("{known: maybe}", False),
        ("{number: {min: '1'}}", True), ("{number: {min: one}}", False), ("{status: OPTED_IN}", True), ("{}", False),
        ("{all: []}", False), ("{exact: [null, 09:00, 0123, no]}", True), ("{exact: []}", False),
        ("{exact: {a: b}}", False),
    ],
)  # fmt: skip
def test_it_knows_the_forms_of_values(when: str, taken: bool, checks: Any) -> None:
    text = f"version: 1\nrules: [{{id: one, when: {when}, do: [{{ignore: yes}}]}}]\n"
    assert (wrong(checks, text) == []) is taken
