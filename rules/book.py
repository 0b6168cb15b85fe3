"""What a set of rule files says, once all of it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from rules.expectations import TestCase
from rules.language import Rule
from rules.reader import FieldType
from rules.vocabulary import Vocabulary
from rules.workflow import Workflow


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One rule file as it was read."""

    name: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rule files together. `rules` are in order of precedence; `version` is a hash of the files' texts;
    `workflows` are by full name; `quiet_hours` is the day on the contact's clock that the files narrow it to."""

    version: str
    files: tuple[SourceFile, ...]
    rules: tuple[Rule, ...]
    vocabulary: Vocabulary
    lists: Mapping[str, str]
    fields: Mapping[str, FieldType]
    natural_language_review: bool = False
    workflows: Mapping[str, Workflow] = field(default_factory=dict)
    quiet_hours: tuple[time, time] | None = None
    tests: tuple[TestCase, ...] = ()
