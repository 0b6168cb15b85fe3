"""What the benchmark's shop is: 20 rules, the contacts' numbers, and what they text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle

NUMBER = "+12025550100"
CONTACTS = 10_000
SEED_TEXT = "thanks"
"""The one text that no rule answers: it makes a contact and queues nothing."""

_KEYWORDS = (
    "hours", "where", "price", "menu", "delivery", "parking", "returns", "events", "gift", "jobs", "order", "wifi",
)  # fmt: skip
_PHRASES = ("how much", "opening hours", "are you open", "lost and found")
_HEAD = """version: 1
name: bench
timezone: America/New_York
lists:
  club: marketing
fields:
  visits: integer
schedules:
  open:
    hours:
      - {days: mon-sun, from: "09:00", to: "18:00"}
rules:
"""
_TAIL = """
  - id: join
    when: {keyword: [join, sign me up], not_in_list: club}
    do:
      - add_to_list: club
      - increment: {visits: 1}
      - reply: "Welcome to the club! Reply STOP to stop."
  - id: member
    when: {keyword: [join, sign me up], in_list: club}
    do:
      - reply: "You are a member already, {{ contact.first_name | default(\\"friend\\") }}."
  - id: thanks
    when: {exact: [thanks, thank you]}
    do:
      - ignore: true
  - id: fallback
    fallback: true
    when: {any: [{during: open}, {outside: open}]}
    do:
      - reply: "We read every text, and answer this one soon."
"""


def rules() -> str:
    """The rule file: 12 keywords, 4 phrases, 2 rules about a list, one silent rule, a fallback with a schedule."""
    found = [_HEAD]
    for word in _KEYWORDS:
        found.append(f"  - id: {word}\n    when: {{keyword: [{word}, {word}s, {word} please]}}\n")
        found.append(f'    do:\n      - reply: "{{{{ business.name }}}}: this is what there is to say about {word}."\n')
    for number, phrase in enumerate(_PHRASES):
        found.append(f"  - id: phrase{number}\n    when: {{contains: [{phrase}]}}\n")
        found.append(f'    do:\n      - reply: "You asked: {phrase}. Text HOURS, WHERE or PRICE."\n')
    return "".join(found) + _TAIL


def phones() -> list[str]:
    """The contacts' numbers, of ten area codes."""
    areas = ("201", "212", "305", "312", "404", "415", "512", "602", "702", "802")
    return [f"+1{areas[index % 10]}555{index // 10:04d}" for index in range(CONTACTS)]


def texts() -> Iterator[str]:
    """For ever: of 20 texts 16 begin with a keyword, two hold a phrase, one is about a list, one is anything else."""
    words = cycle(_KEYWORDS)
    phrases = cycle(_PHRASES)
    for index in count():
        match index % 20:
            case 4 | 14:
                yield f"hello, {next(phrases)} on Sunday?"
            case 9:
                yield "JOIN"
            case 19:
                yield "I saw the blue one in your window"
            case place:
                word = next(words)
                yield word.upper() if place % 2 else f"{word.title()} please"
