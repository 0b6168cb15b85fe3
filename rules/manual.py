"""docs/rules.md, the reference page of the language: `python -m rules.manual` prints it from the grammar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rules import grammar, template
from rules.manual_prose import PROSE
from rules.shapes import Construct, Key

KINDS: Mapping[str, str] = {
    "text": "text", "texts": "text, or a list", "words": "a word or phrase, or a list", "name": "name",
    "boolean": "true or false", "true": "true", "integer": "number", "repeat": "0 to 10", "sent": "number",
    "priority": "1 to 999", "duration": "duration", "offset": "duration, with + or -", "clock": "clock time",
    "condition": "condition", "actions": "list of actions", "dates": "date, or a list", "values": "name: value",
    "step_id": "step, `next` or `end`", "again": "`never`, `after_end`, `restart`", "per": "`contact`, `all`",
    "on": "`list_joined`, `manual`", "on_change": "`finish_old`, `follow`, `cancel`",
    "status": "`opted_in`, `opted_out`, `blocked`", "mode": "`auto`, `staff`, `paused`",
    "natural_language_stop": "`opt_out`, `review`", "version": "1", "lists": "name: `marketing` or `service`",
    "field_types": "name: `text`, `integer`, `boolean`, `date` or `datetime`", "vars": "name: text",
    "schedules": "name: schedule", "rules": "list of rules", "workflows": "name: workflow", "tests": "list of tests",
    "hours": "list of hours", "steps": "list of steps", "test_steps": "list of steps", "replies": "list of replies",
    "event": "an event", "cooldown": "duration, or keys", "test_contact": "keys", "enroll": "keys", "active": "keys",
    "compliance": "keys", "quiet_hours": "keys", "otherwise": "keys", "on_timeout": "keys",
}  # fmt: skip
"""What stands behind a key, in words; `keys` are those of its own section."""


def manual() -> str:
    """The whole page."""
    parts = [f"# {PROSE['title']}", PROSE["begin"], *_file(), *_rules(), *_workflows(), *_tests()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _file() -> Iterable[str]:
    yield "## A file"
    yield PROSE["file"]
    yield _keys(grammar.FILE_KEYS)
    for name, keys in (
        ("compliance", {**grammar.COMPLIANCE_KEYS}),
        ("quiet_hours", grammar.QUIET_HOURS_KEYS),
        ("schedules", grammar.SCHEDULE_KEYS),
        ("hours", grammar.HOURS_KEYS),
    ):
        yield f"### {name}"
        yield PROSE[name]
        yield _keys(keys)
    for name in ("durations", "text"):
        yield PROSE[name]


def _rules() -> Iterable[str]:
    yield "## Rules"
    yield PROSE["rules"]
    yield _keys(grammar.RULE_KEYS)
    yield f"`cooldown` is a duration, or:\n\n{_keys(grammar.COOLDOWN_KEYS)}"
    yield f"`active` has:\n\n{_keys(grammar.ACTIVE_KEYS)}"
    yield PROSE["precedence"]
    yield f"### Events\n\n{PROSE['events']}"
    yield _table(("event", "when"), ((f"`{name}`", says) for name, says in grammar.EVENTS.items()))
    yield f"### Conditions\n\n{PROSE['conditions']}"
    yield _constructs("condition", {**grammar.CONDITIONS, **grammar.JOINTS})
    yield f"### Comparing fields\n\n{PROSE['fields']}"
    yield _table(("comparison", "true when the field is"), ((f"`{n}`", s) for n, s in grammar.FIELD_TESTS.items()))
    yield f"### Actions\n\n{PROSE['actions']}"
    yield _constructs("action", grammar.ACTIONS)
    for name, keys in (
        ("reply", grammar.REPLY_KEYS),
        ("notify", grammar.NOTIFY_KEYS),
        ("handoff", grammar.HANDOFF_KEYS),
    ):
        yield f"`{name}` in its long form:\n\n{_keys(keys)}"
    yield f"### Texts with values in them\n\n{PROSE['templates']}"
    yield _paths()
    yield _table(("filter", "gives"), ((f"`{name}`", says) for name, says in template.FILTERS.items()))


def _paths() -> str:
    may_miss = (
        (f"`{path}`", says, "" if path.startswith("message.") else "yes") for path, says in template.OPTIONAL.items()
    )
    always = ((f"`{path}`", says, "") for path, says in template.ALWAYS.items())
    own = (("`contact.FIELD`", "A field that you declared.", "yes"), ("`var.NAME`", "A text of `vars`.", ""))
    return _table(("path", "is", "needs a `default`"), (*own, *may_miss, *always))


def _workflows() -> Iterable[str]:
    yield "## Workflows"
    yield PROSE["workflows"]
    yield _keys(grammar.WORKFLOW_KEYS)
    yield f"`enroll` has:\n\n{_keys(grammar.ENROLL_KEYS)}"
    yield PROSE["enroll"]
    yield f"### Steps\n\n{PROSE['steps']}"
    yield _constructs("step", grammar.STEPS)
    for name, keys in (
        ("ask", grammar.ASK_KEYS),
        ("replies", grammar.BRANCH_KEYS),
        ("otherwise", grammar.OTHERWISE_KEYS),
        ("on_timeout", grammar.ON_TIMEOUT_KEYS),
        ("wait_until", grammar.WAIT_UNTIL_KEYS),
        ("branch", {**grammar.BRANCH_KEYS, **grammar.ELSE_KEYS}),
    ):
        yield f"#### {name}\n\n{PROSE[name]}"
        yield _keys(keys)
    for name in ("on_change", "when_sent", "silence"):
        yield PROSE[name]


def _tests() -> Iterable[str]:
    yield "## Tests"
    yield PROSE["tests"]
    yield _keys(grammar.TEST_KEYS)
    yield f"`contact` has:\n\n{_keys(grammar.TEST_CONTACT_KEYS)}"
    yield f"A step is one of these, and may have `expect`:\n\n{_keys(grammar.TEST_STEPS)}"
    yield f"`expect` has one or more of:\n\n{_keys(grammar.EXPECT_KEYS)}"


def _keys(keys: Mapping[str, Key]) -> str:
    rows = (
        (f"`{name}`{' (needed)' if key.required else ''}", _kind(key.shape), key.says) for name, key in keys.items()
    )
    return _table(("key", "is", "what it does"), rows)


def _kind(shape: str) -> str:
    return KINDS[shape]


def _constructs(what: str, known: Mapping[str, Construct]) -> str:
    rows = ((f"`{name}`", item.says, f"`{item.example}`") for name, item in known.items())
    return _table((what, "what it does", "example"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(manual())
