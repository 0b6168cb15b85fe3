"""How texts are compared: one folding, used for a rule's words and for a customer's message alike.

`Stop!!`, `“stop”.`, `ＳＴＯＰ`, `st<zero width space>op` and `STOP 🛑` are all the one word `stop`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

MAX_CHARACTERS = 1600
"""Longer messages are compared by their beginning only."""

MAX_PHRASE_WORDS = 8

# Deleted before NFKC, which would turn U+00B4 into a space and an accent, and so split "don´t" in two.
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼ＇`´′‛"))
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_KEYCAP = 0x20E3
_EMOJI_BLOCKS = range(0x1F300, 0x1FB00)
_PLACEHOLDERS = "\ufffc\ufffd"  # where an attachment stood, or a byte that was no text
_ACCENTED_SCRIPTS = ("LATIN ", "GREEK ", "CYRILLIC ")
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_ASCII_RUNS = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]")
"""What is ASCII is neither dropped nor an accent, so it is looked at whole."""
_ASCII_WORD_RUNS = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9]")
_SENTENCE_END = re.compile(r"[.!?;\n。！？؟।]+")


@dataclass(frozen=True)
class Folded:
    """A folded text: `words` without emoji, `symbols` with each emoji as a word of its own."""

    words: tuple[str, ...]
    symbols: tuple[str, ...]
    parts: tuple[Folded, ...] = field(default=(), compare=False, repr=False)

    @property
    def sentences(self) -> tuple[Folded, ...]:
        """The text's sentences that have words; itself where it is one."""
        return self.parts or (self,)

    @cached_property
    def joined(self) -> str:
        """The words with one space between them."""
        return " ".join(self.words)

    def __bool__(self) -> bool:
        return bool(self.symbols)


def fold(text: str) -> Folded:
    """Fold a text for comparison (see the module's docstring); its first 1,600 characters count."""
    # A sentence's end is no part of any word, so folding the sentences one by one is folding the whole.
    parts = [part for part in _SENTENCE_END.split(text[:MAX_CHARACTERS]) if part.strip()]
    if len(parts) < 2:
        return _fold(text[:MAX_CHARACTERS])
    folded = [_fold(part) for part in parts]
    words = tuple(word for item in folded for word in item.words)
    symbols = tuple(symbol for item in folded for symbol in item.symbols)
    return Folded(words, symbols, tuple(item for item in folded if item.words))


def _fold(text: str) -> Folded:
    if text.isascii():
        words = tuple(_ASCII_WORDS.findall(text.replace("'", "").replace("`", "").lower()))
        return Folded(words, words)
    return _fold_unicode(text)


def phrase(text: str) -> tuple[str, ...]:
    """Fold a rule's own word or phrase: its emoji count."""
    return fold(text).symbols


def has_emoji(words: tuple[str, ...]) -> bool:
    """Whether a folded phrase has an emoji among its words."""
    return any(_is_emoji(word[0]) for word in words)


def _fold_unicode(text: str) -> Folded:
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES))
    text = unicodedata.normalize("NFKC", text.casefold()).translate(_APOSTROPHES)
    text = "".join(run for run in _ASCII_RUNS.findall(text) if run.isascii() or not _is_dropped(run))
    symbols: list[str] = []
    word: list[str] = []
    for run in _ASCII_WORD_RUNS.findall(_without_accents(text)):
        if run.isascii() and run.isalnum():
            word.append(run)
            continue
        if not run.isascii() and _is_word_character(run):
            if not word and unicodedata.category(run)[0] == "M":
                continue  # a mark on nothing that is a letter
            word.append(_ascii_digit(run))
            continue
        if word:
            symbols.append("".join(word))
            word.clear()
        if not run.isascii() and _is_emoji(run):
            symbols.append(run)
    if word:
        symbols.append("".join(word))
    return Folded(tuple(item for item in symbols if not _is_emoji(item[0])), tuple(symbols))


def _without_accents(text: str) -> str:
    """Fold accents on Latin, Greek and Cyrillic letters; Thai, Hindi and Korean keep their marks."""
    kept: list[str] = []
    base_has_accents = False
    for run in _ASCII_RUNS.findall(unicodedata.normalize("NFD", text)):
        if run.isascii():
            base_has_accents = run[-1].isalpha()
        elif unicodedata.combining(run) and unicodedata.category(run) == "Mn":
            if base_has_accents:
                continue
        else:
            base_has_accents = unicodedata.name(run, "").startswith(_ACCENTED_SCRIPTS)
        kept.append(run)
    return unicodedata.normalize("NFC", "".join(kept))


def _is_dropped(character: str) -> bool:
    code = ord(character)
    return (
        unicodedata.category(character) == "Cf"  # zero-width and bidi controls, joiners, tags
        or 0xFE00 <= code <= 0xFE0F  # variation selectors
        or 0xE0100 <= code <= 0xE01EF
        or code == _KEYCAP
        or code in _SKIN_TONES
    )


def _is_word_character(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


def _is_emoji(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":  # an emoji that is newer than this Python's tables
        return ord(character) in _EMOJI_BLOCKS
    return category == "So" and character not in _PLACEHOLDERS


def _ascii_digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)
