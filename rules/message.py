"""A message as conditions see it: the facts and what is worked out from them, each thing once and on demand."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.effects import Effect, IncrementField, SetField, field_changed
from rules.facts import Facts
from rules.schedule import MICROSECONDS, Schedule
from rules.text import MAX_CHARACTERS, Folded, fold

_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,6})?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")

_MAX_OPENED = 1000
_MINUS = dict.fromkeys(map(ord, "‐‑–−﹣－"), "-")


@dataclass
class Message:
    """The facts of one message at one moment (`now`: UTC microseconds)."""

    facts: Facts
    now: int
    opened: dict[tuple[int, int], bool] = field(default_factory=dict)
    """Schedules (by id) that were open in a minute: given, it is shared by the messages of one set of rules."""

    typed: dict[object, Any] = field(default_factory=dict)
    """The contact's fields as values, each read once."""

    @cached_property
    def folded(self) -> Folded:
        """The text, folded."""
        return fold(self.facts.text)

    @cached_property
    def original(self) -> str:
        """The part of the text that patterns search; a lone surrogate, which they could not read, is a '?'."""
        text = self.facts.text[:MAX_CHARACTERS]
        return text if text.isascii() else text.encode(errors="replace").decode()

    @cached_property
    def encoded(self) -> bytes:
        """The same in UTF-8, in which patterns search faster."""
        return self.original.encode()

    @cached_property
    def number(self) -> Decimal | None:
        """The number that the whole message is, if it is one."""
        if not _DIGIT.search(self.folded.joined):
            return None
        words = self.folded.words
        text = self.original.translate(_MINUS)
        if len(words) == 1 and words[0].isascii() and words[0].isdigit() and "-" not in text:
            return Decimal(words[0])
        text = text.strip(" \t\r\n!?.$€£")
        if _THOUSANDS.fullmatch(text):
            text = text.replace(",", "")
        if not _NUMBER.fullmatch(text):
            return None
        try:
            return Decimal(text.replace(",", "."))
        except InvalidOperation:
            return None

    @cached_property
    def zones(self) -> tuple[ZoneInfo, ...]:
        """The contact's time zones: their field `timezone`, else what the number tells, else the business's."""
        facts = self.facts
        for names in ((facts.contact.fields.get("timezone", ""),), facts.zones, (facts.business.timezone,)):
            found = tuple(zone for name in names if (zone := zone_named(name)))
            if found:
                return found
        return (ZoneInfo("UTC"),)

    def is_open(self, schedule: Schedule) -> bool:
        """Whether a schedule is open; hours begin and end with a minute, so one answer serves for a minute."""
        minute = self.now // (60 * MICROSECONDS)
        key = (id(schedule), minute)
        found = self.opened.get(key)
        if found is None:
            if len(self.opened) > _MAX_OPENED:
                self.opened.clear()
            found = self.opened[key] = schedule.is_open(self.now)
        return found

    @cached_property
    def media_kinds(self) -> frozenset[str]:
        """What kinds of media it carries."""
        return frozenset(media_kind(mime) for mime in self.facts.media)

    def after(self, effect: Effect) -> "Message":
        """The message as what comes after an effect sees it: with the contact's name or field changed."""
        if not isinstance(effect, SetField | IncrementField):
            return self
        contact = self.facts.contact
        name, fields = field_changed(effect, contact.name, contact.fields)
        changed = replace(self.facts, contact=replace(contact, name=name, fields=fields))
        return Message(changed, self.now, self.opened)

    def phrases(self, starts: Mapping[str, Iterable[int]]) -> Iterator[tuple[str, ...]]:
        """Runs of words of the message, without emoji and then with them: by first word, of these lengths."""
        folded = self.folded
        for words in (folded.words,) if folded.words == folded.symbols else (folded.words, folded.symbols):
            for start, word in enumerate(words):
                for length in starts.get(word, ()):
                    yield words[start : start + length]


def zone_named(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name, if there is one."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def media_kind(mime: str) -> str:
    """image, video, audio, contact or other."""
    kind = mime.partition("/")[0].lower()
    if kind in ("image", "video", "audio"):
        return kind
    return "contact" if "vcard" in mime.lower() else "other"
