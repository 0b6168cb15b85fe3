"""YAML syntax, our types: a tree of mappings, lists and texts with line numbers, and nothing else.

YAML's own typing ruins rule files (`no` becomes False, `0123` becomes 83), so every plain scalar is text
until the schema asks for something else. Anchors, aliases, tags and merge keys are refused; what they
could hide (a billion laughs) never grows, because the tree is built from the parser's events. A file with an
anchor is read on, for its other problems, up to an alias of anything but a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from rules.problems import Problems

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_NODES = 200_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_NO_ALIASES = "aliases (*name) are not part of the rule language. Write the value again."
_CUT = "the text ends here: what follows '#' is a comment. Put the text in quotes if it is not meant as one."
_UNMEANT_COMMENT = re.compile(r"\s+#\S")
_HINTS = {
    "mapping values are not allowed": "A text with ': ' in it stands in quotes.",
    "cannot start any token": "A text that begins with a sign such as % or @ stands in quotes; "
    "lines begin with spaces, not with a tab.",
    "did not find expected key": "A text with a quote in it stands in quotes of the other kind; "
    "keys of one thing begin in one column.",
    "could not find expected ':'": "A key is followed by a colon and a space.",
}
"""By what the parser says."""
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_VALUES = (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent)


@dataclass(slots=True)
class Node:
    """One value of a file. `line` counts from 1."""

    kind: Literal["mapping", "list", "text"]
    line: int
    text: str = ""
    quoted: bool = False
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether it is a mapping without any key."""
        return self.kind == "mapping" and not self.pairs

    @property
    def described(self) -> str:
        """The kind of value, in words for an error message."""
        return {"mapping": "a mapping", "list": "a list", "text": f"'{self.text[:40]}'"}[self.kind]


class _Refused(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str, file: str, problems: Problems) -> Node | None:
    """The file's tree; None, with the reason in `problems`, when it has none."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        problems.error(file, text.count("\n", 0, error.start) + 1, "not UTF-8 text.")
        return None
    if size > MAX_BYTES:
        problems.error(file, 1, "the file is larger than 1 MB. Split it.")
        return None
    try:
        return _build(yaml.parse(text, Loader=_Loader), file, text.splitlines(), problems)
    except _Refused as refused:
        problems.error(file, refused.line, str(refused))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        problems.error(file, mark.line + 1 if mark else 1, f"not valid YAML: {what}.{_meant(error)}")
    except yaml.YAMLError as error:
        problems.error(file, 1, f"not valid YAML: {str(error).splitlines()[0]}.")
    except RecursionError:
        problems.error(file, 1, "nested too deeply.")
    return None


def _meant(error: yaml.MarkedYAMLError) -> str:
    """What its author has probably to do, as a sentence."""
    return next((f" {hint}" for words, hint in _HINTS.items() if words in (error.problem or "")), "")


def _build(events: Iterator[Any], file: str, lines: Sequence[str], problems: Problems) -> Node | None:
    def tell(line: int, message: str) -> None:
        problems.error(file, line, message)

    root: Node | None = None
    open_nodes: list[Node] = []
    keys: list[Node | None] = []
    anchored: dict[str, str] = {}
    count = 0
    for event in events:
        kind = type(event)
        if kind in _ENDS:
            open_nodes.pop()
            keys.pop()
            continue
        line = event.start_mark.line + 1 if event.start_mark else 1
        if kind is yaml.AliasEvent:
            if event.anchor not in anchored:
                raise _Refused(line, _NO_ALIASES)
            tell(line, _NO_ALIASES)
        elif kind not in _VALUES:
            if kind is yaml.DocumentStartEvent and root is not None:
                raise _Refused(line, "a rule file holds one document. Remove the '---'.")
            continue
        elif kind is yaml.ScalarEvent and not event.style and " " in event.value and _is_cut(event, lines):
            problems.warning(file, line, _CUT)
        if kind is not yaml.AliasEvent and event.anchor is not None:
            tell(line, f"anchors (&{event.anchor}) are not part of the rule language.")
            if kind is yaml.ScalarEvent:
                anchored[event.anchor] = event.value
        node = Node("text", line, text=anchored[event.anchor]) if kind is yaml.AliasEvent else _node(event, line)
        count += 1
        if count > MAX_NODES or len(open_nodes) > MAX_DEPTH:
            raise _Refused(line, "too many values." if count > MAX_NODES else "nested too deeply.")
        if root is None:
            root = node
        else:
            _attach(node, open_nodes[-1], keys)
        if node.kind != "text":
            open_nodes.append(node)
            keys.append(None)
    return root


def _is_cut(event: Any, lines: Sequence[str]) -> bool:
    """Whether a text without quotes goes on behind a # that its author did not mean as the beginning of a comment."""
    end = event.end_mark
    return end.line < len(lines) and _UNMEANT_COMMENT.match(lines[end.line], end.column) is not None


def _node(event: Any, line: int) -> Node:
    if event.tag is not None:
        raise _Refused(line, f"tags ({event.tag}) are not part of the rule language.")
    if isinstance(event, yaml.ScalarEvent):
        return Node("text", line, text=event.value, quoted=bool(event.style))
    return Node("mapping" if isinstance(event, yaml.MappingStartEvent) else "list", line)


def _attach(node: Node, parent: Node, keys: list[Node | None]) -> None:
    if parent.kind == "list":
        parent.items.append(node)
        return
    key = keys[-1]
    if key is None:
        if node.kind != "text":
            raise _Refused(node.line, "a key must be a word. A text that begins with {{ stands in quotes.")
        if node.text == "<<" and not node.quoted:
            raise _Refused(node.line, "merge keys (<<) are not part of the rule language.")
        keys[-1] = node
        return
    parent.pairs.append((key, node))
    keys[-1] = None
