"""Rule files of any size and messages for them, the same for the same seed."""

from __future__ import annotations

from itertools import product
from random import Random

from rules.book import SourceFile
from rules.facts import Business, Contact, Facts

_EACH_FILE = 1000
_LISTS = tuple(f"list{number}" for number in range(12))
_HEAD = f"""version: 1
timezone: America/New_York
lists: {{{", ".join(f"{name}: marketing" for name in _LISTS)}}}
fields: {{visits: integer, colour: text, born: date}}
schedules:
  open: {{hours: [{{days: mon-fri, from: "09:00", to: "18:00"}}], closed: [2026-12-25]}}
  night: {{hours: [{{days: mon-sun, from: "22:00", to: "06:00"}}]}}
"""
_KINDS = {"keyword": 32, "exact": 12, "contains": 22, "joint": 20, "field": 10, "number": 3, "any_text": 1}
_REGEXES = 4
_WORDS = 20_000
_OTHER_SCRIPTS = ("où est la librairie, s’il vous plaît", "ราคาเท่าไหร่ครับ", "営業時間", "сколько стоит", "👍🏽👍🏽")
_FILLER = (
    "I was wondering whether you could tell me a little more about it because my sister was in on Saturday and said",
    "that somebody there had been very kind and we are thinking of coming by again when the weather is better",
)


class Made:
    """A book of so many rules: a mixture of all that people write, most of it about words."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self._random = Random(seed)
        syllables = ["".join(pair) for pair in product("bdfgklmnprtvz", "aeiou")]
        self._words = [self._word(syllables) for _ in range(_WORDS)]
        self._said: list[str] = []
        rules = [self._rule(number, count) for number in range(count)]
        self.sources = [
            SourceFile(f"f{start}", f"f{start}.yaml", self._file(start, rules[start : start + _EACH_FILE]))
            for start in range(0, count, _EACH_FILE)
        ]

    def facts(self, count: int) -> list[Facts]:
        """Messages: hits, near misses, long texts, numbers, other scripts."""
        pick = self._random.choice
        contacts = [self._contact(number) for number in range(200)]
        business = Business("Corner Books", "hello@cornerbooks.example")
        return [
            Facts(self._text(), "+12025550123", "+12025550100", "main", country="US", contact=pick(contacts),
                  business=business)
            for _ in range(count)
        ]  # fmt: skip

    @staticmethod
    def _file(start: int, rules: list[str]) -> str:
        return (_HEAD if start == 0 else "version: 1\n") + "rules:\n" + "".join(rules)

    def _rule(self, number: int, count: int) -> str:
        kind = self._random.choices(list(_KINDS), list(_KINDS.values()))[0]
        if number % -(-count // _REGEXES) == 3:
            kind = "regex"
        lines = [f"  - id: r{number}", f"    when: {{{self._when(kind)}}}"]
        lines += [f"    priority: {number % 900 + 1}"] if number % 10 == 0 else []
        lines += ["    continue: true"] if number % 50 == 7 else []
        lines += ["    do:", f'      - reply: "{{{{ business.name }}}}: this is what there is to say about {number}."']
        lines += [f"      - add_to_list: {self._random.choice(_LISTS)}"] if number % 5 == 0 else []
        return "\n".join([*lines, ""])

    def _when(self, kind: str) -> str:
        random = self._random
        club, number = random.choice(_LISTS), random.randint(1, 40)
        extra = random.choice(["", "", f", in_list: {club}", f", not_in_list: {club}", ", during: open"])
        match kind:
            case "regex":
                return f"regex: ['order #?{number}[0-9]+', '\\b{random.choice(self._words)}s?\\b']"
            case "joint":
                inner = f"all: [{{contains: {self._phrases()}}}, {{in_list: {club}}}, {{outside: night}}]"
                return f"any: [{{keyword: {self._phrases()}}}, {{{inner}}}], not: {{tag: cold}}"
            case "field":
                return f"keyword: {self._phrases()}, field: {{visits: {{gte: {number}}}}}{extra}"
            case "number":
                return f"number: {{min: {number}, max: {number + 2}}}, in_list: {club}"
            case "any_text":
                return f"in_list: {club}, field: {{visits: {number}}}, first_message: true"
        return f"{kind}: {self._phrases()}{extra}"

    def _phrases(self) -> str:
        found = [" ".join(self._random.choices(self._words, k=self._random.choice([1, 1, 2, 3]))) for _ in range(3)]
        self._said += found
        return f"[{', '.join(found)}]"

    def _contact(self, number: int) -> Contact:
        random = self._random
        return Contact(
            "Ana Lee", known=True, first_message=number % 20 == 0, lists=frozenset(random.sample(_LISTS, number % 4)),
            tags=frozenset({"cold"} if number % 5 == 0 else ()), fields={"visits": str(random.randint(0, 40))},
        )  # fmt: skip

    def _text(self) -> str:
        random = self._random
        said, word = random.choice(self._said), random.choice(self._words)
        match random.randrange(20):
            case 0 | 1 | 2 | 3:
                return f"{said.upper()}!"
            case 4 | 5 | 6:
                return f"{said} {word} please"
            case 7 | 8 | 9 | 10:
                return f"{self._filler(7)}, {said}? {self._filler(7)}."
            case 11 | 12 | 13:
                return f"{self._filler(10)}. {self._filler(10)} {word}"
            case 14:
                return str(random.randint(0, 60))
            case 15 | 16:
                return f"{said.title()} 👋 “{random.choice(_OTHER_SCRIPTS)}”"
            case 17:
                return f"{self._filler(9)} – {random.choice(_OTHER_SCRIPTS)}, {said}"
        return f"{word} {self._filler(3)}"

    def _word(self, syllables: list[str]) -> str:
        # No reserved word ends so.
        return "".join(self._random.choices(syllables, k=self._random.choice([2, 3]))) + "x"

    def _filler(self, count: int) -> str:
        return " ".join(self._random.choices(" ".join(_FILLER).split(), k=count))
