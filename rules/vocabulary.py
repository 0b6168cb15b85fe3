"""What a message says about consent: a stop word, the same in ordinary words, a start word, a cry for help.

The words are data (compliance.yaml); this reads a message against them. A word counts only as the whole
message, in any clothing. Ordinary wording counts by sentence, where a phrase is found and nothing says
otherwise ("don't stop texting me"). Where a reasonable person would read a revocation, it is one
(47 CFR 64.1200(a)(10)); "I'll stop by at 5" is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Literal

import re2

from rules.conditions import Condition
from rules.message import Message
from rules.text import MAX_CHARACTERS, Folded, fold

Saying = Literal["stop", "stop_phrase", "wrong_number", "start", "help"]
SAYINGS: tuple[Saying, ...] = ("stop", "stop_phrase", "wrong_number", "start", "help")

PATTERNS = ("phrases", "unless", "despite", "wrong_number")
PHRASES, UNLESS, DESPITE, WRONG_NUMBER = range(len(PATTERNS))

Words = tuple[str, ...]

# Neighbours on a QWERTY keyboard: one slip of a finger off.
_NEIGHBOURS = {"s": "adwexz", "t": "ryfg56", "o": "ipkl90", "p": "ol0"}
_MAX_UNSUBSCRIBE_SLIPS = 2
_MIN_SPELT_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words and phrases of consent.

    `strong` are the stop words that stay stop words beside a courtesy ("stop please"); "cancel it please" may
    mean an appointment. `patterns` are those of PATTERNS, by number, to be searched in a folded sentence.
    """

    stop: frozenset[Words]
    strong: frozenset[Words]
    start: frozenset[Words]
    help: frozenset[Words]
    courtesies: frozenset[str]
    courtesy_ends: frozenset[str]
    typos: frozenset[str]
    not_names: frozenset[str]
    patterns: re2.Set

    def says(self, text: str, folded: Folded, names: Iterable[str] = ()) -> frozenset[Saying]:
        """Everything that the text says about consent. `names` are the contact's own."""
        words = _joined_letters(folded.words)
        if not words:
            return frozenset()
        if words != folded.words:
            text, folded = "", Folded(words, words)
        if self._is_stop(words):
            return frozenset({"stop"})
        plain = self._without_courtesies(words)
        if words in self.start or plain in self.start:
            return frozenset({"start"})
        if words in self.help or plain in self.help:
            return frozenset({"help"})
        return frozenset(self._sayings_of_sentences(text, folded, names))

    def _is_stop(self, words: Words) -> bool:
        if words in self.stop:
            return True
        plain = self._without_courtesies(words)
        if len(set(plain)) == 1:
            plain = plain[:1]
        if plain in self.strong:
            return True
        return len(plain) == 1 and self._is_near_stop(plain[0])

    def _is_near_stop(self, word: str) -> bool:
        squeezed = _squeezed(word)
        return (
            word in self.typos
            or (squeezed,) in self.strong
            or squeezed in _STOP_SLIPS
            or (8 < len(word) < 15 and word[0] == "u" and _distance(word, "unsubscribe") <= _MAX_UNSUBSCRIBE_SLIPS)
        )

    def _without_courtesies(self, words: Words) -> Words:
        start, end = 0, len(words)
        # Most sentences have none.
        if end and words[0] not in self.courtesy_ends and words[-1] not in self.courtesy_ends:
            return words
        while start < end and (size := self._courtesy(words[start], words[start : start + 2])):
            start += size
        while start < end and (size := self._courtesy(words[end - 1], words[max(start, end - 2) : end])):
            end -= size
        return words[start : max(start, end)]

    def _courtesy(self, word: str, pair: Words) -> int:
        """How many words of a courtesy stand at an end of a sentence: that one, that pair, or none."""
        return 1 if word in self.courtesies else 2 if " ".join(pair) in self.courtesies else 0

    def _sayings_of_sentences(self, text: str, folded: Folded, names: Iterable[str]) -> Iterator[Saying]:
        for sentence in folded.sentences:
            words = self._without_courtesies(sentence.words)
            said = " ".join(words)
            found: Sequence[int] = self.patterns.Match(said) or ()
            if DESPITE in found or words in self.strong:
                yield "stop_phrase"
            if UNLESS in found:
                continue
            if PHRASES in found:
                yield "stop_phrase"
            if WRONG_NUMBER in found or self._is_not(said, text, names):
                yield "wrong_number"

    def _is_not(self, said: str, text: str, names: Iterable[str]) -> bool:
        """'This is not Ana': the contact's own name, or one word written as a name is."""
        for opening in ("this is not ", "this isnt ", "im not ", "i am not "):
            if not said.startswith(opening):
                continue
            rest = said.removeprefix(opening)
            if rest in {fold(name).joined for name in names}:
                return rest != ""
            if opening.startswith("this") and " " not in rest and rest not in self.not_names:
                return any(rest == fold(word).joined and word.istitle() for word in text.split())
        return False


@dataclass(frozen=True)
class Says(Condition):
    """What the message says about consent (built-in rules only)."""

    name: ClassVar[str] = "says"
    saying: Saying
    vocabulary: Vocabulary

    def holds(self, message: Message) -> bool:
        """Whether it says that."""
        return self.saying in said(message, self.vocabulary)

    def saw(self, message: Message) -> str:
        """What it says."""
        return ", ".join(sorted(said(message, self.vocabulary))) or "nothing about consent"

    @property
    def argument(self) -> str:
        """The saying that is asked for."""
        return self.saying


def said(message: Message, vocabulary: Vocabulary) -> frozenset[Saying]:
    """What the message says about consent, worked out once per message."""
    cached: tuple[Vocabulary, frozenset[Saying]] | None = message.__dict__.get("_said")
    if cached is None or cached[0] is not vocabulary:
        contact = message.facts.contact
        text = message.facts.text[:MAX_CHARACTERS]
        found = vocabulary.says(text, message.folded, (contact.name, contact.first_name))
        cached = (vocabulary, frozenset({"stop"}) if message.facts.carrier_stopped else found)
        message.__dict__["_said"] = cached
    return cached[1]


def vocabulary(
    words: Mapping[str, frozenset[Words]], parts: Mapping[str, str], patterns: Mapping[str, tuple[str, ...]]
) -> Vocabulary:
    """Build it from compliance.yaml's lists: stop, strong, start, help, courtesies, typos and not_names as words;
    those of PATTERNS as patterns, in which <name> stands for one of the parts."""
    searched = re2.Set.SearchSet()
    for name in PATTERNS:
        searched.Add("|".join(f"(?:{_with_parts(text, parts)})" for text in patterns[name]))
    searched.Compile()
    single = {name: frozenset(" ".join(item) for item in items) for name, items in words.items()}
    return Vocabulary(
        stop=words["stop"] | words["strong"],
        strong=words["strong"],
        start=words["start"],
        help=words["help"],
        courtesies=single["courtesies"],
        courtesy_ends=frozenset(word for item in words["courtesies"] for word in (item[0], item[-1])),
        typos=single["typos"],
        not_names=single["not_names"],
        patterns=searched,
    )


def _with_parts(pattern: str, parts: Mapping[str, str]) -> str:
    return re.sub("<([a-z_]+)>", lambda match: _with_parts(parts[match[1]], parts), pattern)


def _joined_letters(words: Words) -> Words:
    """'s t o p' is 'stop', 's t o p please' is 'stop please': words spelt out letter by letter."""
    if sum(len(word) == 1 for word in words) < _MIN_SPELT_LETTERS:
        return words
    joined: list[str] = []
    for is_letter, run in groupby(words, lambda word: len(word) == 1 and word.isalpha()):
        found = list(run)
        joined += ["".join(found)] if is_letter and len(found) >= _MIN_SPELT_LETTERS else found
    return tuple(joined)


def _squeezed(word: str) -> str:
    """The word without repeated letters at a stretch of three and more, or at its end: 'stopppp', 'stoooop'."""
    kept: list[str] = []
    for character in word:
        if not kept or kept[-1] != character:
            kept.append(character)
    return "".join(kept) if len(word) - len(kept) >= 1 else word


def _slips(word: str) -> frozenset[str]:
    """The word with two neighbours swapped, or with one key beside the right one."""
    swaps = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    keys = {word[:i] + other + word[i + 1 :] for i, letter in enumerate(word) for other in _NEIGHBOURS.get(letter, "")}
    return frozenset(swaps | keys)


def _distance(word: str, other: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        previous, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (letter != wanted))
    return row[-1]


_STOP_SLIPS = _slips("stop")
