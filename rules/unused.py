"""Lists and fields that are declared, and that no rule, workflow, template or test ever names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from rules.nodes import Node
from rules.reader import Reader

_USERS = ("rules", "workflows", "tests")
_OUR_OWN = frozenset({"name", "number", "first_name", "timezone", "state"})
"""Fields that the server itself looks at."""

_PATH = re.compile(r"\bcontact\.([A-Za-z][\w-]*)")


def warn_about_unused(files: Sequence[tuple[Reader, Mapping[str, Node]]]) -> None:
    """Warn of them where they are declared. All files share what they declare, and so what they use."""
    named = {text for _, keys in files for section in _USERS if section in keys for text in _texts(keys[section])}
    for section, what, known in (("lists", "list", named), ("fields", "field", named | _OUR_OWN)):
        told = set(known)
        for reader, keys in files:
            for name, _ in keys[section].pairs if section in keys else ():
                if name.text not in told:
                    reader.warning(name, f"no rule, workflow or test of these files names the {what} '{name.text}'.")
                    told.add(name.text)


def _texts(node: Node) -> Iterator[str]:
    """Every word that could be a name: whole values, keys, and the paths of templates."""
    if node.kind == "text":
        yield node.text
        yield from _PATH.findall(node.text)
    for item in node.items:
        yield from _texts(item)
    for key, value in node.pairs:
        yield key.text
        yield from _texts(value)
