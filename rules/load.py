"""Read rule files into a RuleBook, or say everything that is wrong with them, at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from rules.actions import STAFF, read_actions
from rules.book import RuleBook, SourceFile
from rules.compliance_reader import Compliance, keep_builtin_words, read_compliance
from rules.declarations import named, read_declarations
from rules.expectations import Known, TestCase, read_tests
from rules.grammar import FILE_KEYS
from rules.language import Rule
from rules.lint import warn_about
from rules.nodes import Node, parse
from rules.problems import Problems
from rules.questions import question_rules
from rules.reader import Declarations, Reader
from rules.rule_reader import read_rules
from rules.unused import warn_about_unused
from rules.vocabulary import Vocabulary, vocabulary
from rules.workflow import Workflow
from rules.workflow_reader import read_workflow


@dataclass(slots=True)
class _File:
    source: SourceFile
    keys: dict[str, Node]
    reader: Reader
    workflows: list[tuple[str, Node]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.reader.name_of_file


@cache
def builtin_source() -> SourceFile:
    """The built-in compliance rules."""
    text = resources.files("rules").joinpath("compliance.yaml").read_text(encoding="utf-8")
    return SourceFile("compliance", "compliance.yaml", text)


def load(
    sources: Sequence[SourceFile],
    problems: Problems,
    *,
    timezone: str = "UTC",
    routes: Iterable[str] | None = None,
    channels: Iterable[str] | None = None,
    is_checked: bool = True,
) -> RuleBook | None:
    """Read the files (`path` is shown in problems). None when there is any error.

    `routes` and `channels` are the names that config.toml has; None leaves them unchecked, and so does `is_checked`
    for files that were written when it had others: then `routes` says only whether "staff" is one of them.
    """
    routes, channels = None if routes is None else frozenset(routes), None if channels is None else frozenset(channels)
    declared = Declarations(
        routes=routes if is_checked else None,
        channels=channels if is_checked else None,
        staff_is_route=routes is not None and STAFF in routes,
    )
    files = [file for source in sources if (file := _open(source, problems, declared, ZoneInfo(timezone)))]
    _unique_names(files, problems)
    for file in files:
        read_declarations(file.reader, file.keys)
        file.workflows = named(file.reader, file.keys, "workflows")
        declared.workflows |= {f"{file.name}.{name}": node.line for name, node in file.workflows}
    extra = Compliance()
    for file in files:
        if "compliance" in file.keys:
            read_compliance(file.reader, file.keys["compliance"], extra)
    words, rules = _read_builtin(problems, ZoneInfo(timezone), extra)
    for file in files:
        if "rules" in file.keys:
            rules.extend(read_rules(file.reader, file.keys["rules"], words))
    workflows = _read_workflows(files, words)
    tests = _read_tests(files, rules, workflows)
    ordered = sorted(rules, key=lambda rule: (rule.band, rule.priority))
    warn_about(ordered, list(workflows.values()), words, problems)
    if problems.errors:
        return None
    warn_about_unused([(file.reader, file.keys) for file in files])
    return RuleBook(
        version=_version([builtin_source(), *sources]),
        files=tuple(sources),
        rules=tuple(ordered),
        vocabulary=words,
        lists=dict(declared.lists),
        fields=dict(declared.fields),
        natural_language_review=extra.review,
        workflows=workflows,
        quiet_hours=extra.quiet_hours,
        tests=tests,
    )


def _version(sources: Iterable[SourceFile]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.name}\0{source.text}\0".encode(errors="replace"))
    return digest.hexdigest()[:16]


def _open(source: SourceFile, problems: Problems, declared: Declarations, zone: ZoneInfo) -> _File | None:
    root = parse(source.text, source.path, problems)
    if root is None:
        if not any(problem.file == source.path for problem in problems.items):
            problems.error(source.path, 1, "the file is empty. A rule file begins with 'version: 1'.")
        return None
    reader = Reader(source.path, problems, declared, zone)
    if root.kind != "mapping":
        reader.error(root, f"a rule file is a mapping that begins with 'version: 1', not {root.described}.")
        return None
    keys = reader.mapping(root, FILE_KEYS, "key")
    if "version" not in keys:
        reader.error(root, "a rule file begins with 'version: 1'.")
    else:
        reader.integer(keys["version"], "version", 1, 1)
    if "timezone" in keys:
        reader.zone = reader.timezone(keys["timezone"]) or zone
    if "description" in keys:
        reader.text(keys["description"], "description")
    name = reader.name(keys["name"], "file") if "name" in keys else re.sub(r"\W+", "_", source.name)
    reader.name_of_file = name or source.name
    return _File(source, keys, reader)


def _unique_names(files: list[_File], problems: Problems) -> None:
    seen = {"compliance": "the built-in rules"}
    for file in files:
        if file.name in seen:
            line = file.keys["name"].line if "name" in file.keys else 1
            problems.error(file.source.path, line, f"the name '{file.name}' is taken by {seen[file.name]}.")
        seen[file.name] = file.source.path


def _read_workflows(files: list[_File], words: Vocabulary) -> dict[str, Workflow]:
    found = (read_workflow(file.reader, name, node, words) for file in files for name, node in file.workflows)
    return {workflow.id: workflow for workflow in found if workflow is not None}


def _read_tests(files: list[_File], rules: list[Rule], workflows: dict[str, Workflow]) -> tuple[TestCase, ...]:
    questions = (rule.id for workflow in workflows.values() for rule in question_rules(workflow))
    steps = {name: tuple(step.id for step in workflow.steps) for name, workflow in workflows.items()}
    known = Known(frozenset({rule.id for rule in rules} | set(questions)), steps)
    return tuple(
        test for file in files if "tests" in file.keys for test in read_tests(file.reader, file.keys["tests"], known)
    )


def _read_builtin(problems: Problems, zone: ZoneInfo, extra: Compliance) -> tuple[Vocabulary, list[Rule]]:
    source = builtin_source()
    root = parse(source.text, source.path, problems)
    assert root is not None, "the built-in rules are not YAML"
    reader = Reader(source.path, problems, Declarations(), zone, name_of_file=source.name, builtin=True)
    keys = reader.mapping(root, ["version", "name", "words", "parts", "patterns", "rules"], "key")
    lists = {
        name: frozenset(phrase for item in node.items for phrase in reader.words(item, name))
        for name, node in reader.mapping(keys["words"], None, "words").items()
    }
    keep_builtin_words(lists, extra)
    lists["stop"] |= extra.stop
    lists["start"] |= extra.start
    lists["help"] |= extra.help
    parts, patterns = (
        {name: reader.texts(node, name) for name, node in reader.mapping(keys[key], None, key).items()}
        for key in ("parts", "patterns")
    )
    words = vocabulary(lists, {name: part for name, (part,) in parts.items()}, patterns)
    rules = read_rules(reader, keys["rules"], words)
    if extra.help_text is not None and extra.help_reader is not None:
        rules = [_reworded(rule, extra.help_text, extra.help_reader) for rule in rules]
    return words, rules


def _reworded(rule: Rule, text: Node, reader: Reader) -> Rule:
    """The built-in help rule with a file's own wording."""
    if rule.id != "compliance.help":
        return rule
    confirm = Node("mapping", text.line, pairs=[(Node("text", text.line, text="help"), text)])
    action = Node("mapping", text.line, pairs=[(Node("text", text.line, text="confirm"), confirm)])
    actions = read_actions(replace(reader, builtin=True), Node("list", text.line, items=[action]))
    return replace(rule, actions=actions, variables=reader.declared.vars, zone=reader.zone)
