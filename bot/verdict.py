"""What a test expected, held against what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.trial import STAFF, Seen, World
from rules.book import RuleBook
from rules.decide import Explanation
from rules.expectations import NO_RULE, NO_RUN, Expected, TestCase, TestStep


@dataclass(frozen=True, slots=True)
class Failure:
    """A step of a test that went otherwise: what was expected and what came, in words, and why."""

    step: TestStep
    place: int
    wrong: tuple[tuple[int, str, str], ...]
    why: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One test and how it went. A test ends with its first failure: what follows would follow from that."""

    case: TestCase
    failure: Failure | None


async def judge(world: World, book: RuleBook, case: TestCase, default_route: str) -> Verdict:
    """Run one test."""
    await world.begin(case)
    for place, step in enumerate(case.steps, 1):
        seen = await world.do(case, step)
        wrong = tuple(
            (expected.line, _shown(expected), got)
            for expected in step.expected
            if (got := _wrong(expected, seen, book, default_route)) is not None
        )
        wrong = (*((step.line, "that it can be decided", failure) for failure in seen.failures), *wrong)
        if wrong:
            why = tuple(world.explain(row) for row in seen.decisions)
            return Verdict(case, Failure(step, place, wrong, why))
    return Verdict(case, None)


def _shown(expected: Expected) -> str:
    values = ", ".join(expected.values)
    return f"{expected.key}: {{{expected.name}: {values}}}" if expected.name else f"{expected.key}: {values}"


def _wrong(expected: Expected, seen: Seen, book: RuleBook, default_route: str) -> str | None:
    """What came instead; None where it is as expected."""
    if expected.key == "notified":
        wanted = [default_route if value == STAFF and default_route else value for value in expected.values]
        return None if set(wanted) <= set(seen.notified) else _list(seen.notified, "nobody was told")
    if expected.key in ("in_list", "not_in_list"):
        return _lists(expected, _lists_that_count(seen, book), seen)
    return _JUDGES[expected.key](expected, seen)


def _lists_that_count(seen: Seen, book: RuleBook) -> set[str]:
    """Somebody who opted out stays on a marketing list, and is not one of those whom it reaches."""
    lists = set(seen.contact.lists) if seen.contact else set()
    if seen.phone is not None and not seen.phone.consent.opted_in:
        return {name for name in lists if book.lists.get(name) != "marketing"}
    return lists


def _lists(expected: Expected, counting: set[str], seen: Seen) -> str | None:
    wanted = set(expected.values)
    good = wanted <= counting if expected.key == "in_list" else not wanted & counting
    return None if good else f"on {_list(sorted(seen.contact.lists) if seen.contact else (), 'no list')}"


def _rule(expected: Expected, seen: Seen) -> str | None:
    good = not seen.fired if expected.values == (NO_RULE,) else set(expected.values) <= set(seen.fired)
    return None if good else _list(seen.fired, "no rule answered")


def _reply(expected: Expected, seen: Seen) -> str | None:
    said = "\n".join(seen.sent).casefold()
    good = all(value.casefold() in said for value in expected.values)
    return None if good else _texts(seen) or "nothing was sent"


def _no_reply(expected: Expected, seen: Seen) -> str | None:
    is_silent = not seen.sent
    return None if expected.values == (str(is_silent).lower(),) else _texts(seen) or "nothing was sent"


def _sent(expected: Expected, seen: Seen) -> str | None:
    return None if expected.values == (str(len(seen.sent)),) else f"{len(seen.sent)} {_texts(seen)}".strip()


def _status(expected: Expected, seen: Seen) -> str | None:
    status = seen.phone.consent.status if seen.phone else "no contact"
    return None if status in expected.values else status


def _mode(expected: Expected, seen: Seen) -> str | None:
    return None if seen.mode in expected.values else seen.mode


def _tag(expected: Expected, seen: Seen) -> str | None:
    tags = seen.contact.tags if seen.contact else frozenset()
    return None if tags.issuperset(expected.values) else _list(sorted(tags), "no tag")


def _workflow(expected: Expected, seen: Seen) -> str | None:
    """`runs` are the newest first: where the contact stands is where the newest run does."""
    run = next((run for run in seen.runs if run.workflow == expected.name), None)
    place = NO_RUN if run is None else "ended" if run.state == "ended" else run.step
    return None if (place,) == expected.values else f"{place} ({run.outcome})" if run and run.outcome else place


def _field(expected: Expected, seen: Seen) -> str | None:
    value = seen.contact.fields.get(expected.name, "") if seen.contact else ""
    if seen.contact and expected.name == "name":
        value = seen.contact.name
    return None if (value,) == expected.values else value or "nothing"


def _texts(seen: Seen) -> str:
    return " / ".join(f"{text!r}" for text in seen.sent)


def _list(values: tuple[str, ...] | list[str], none: str) -> str:
    return ", ".join(values) or none


_JUDGES: Mapping[str, Callable[[Expected, Seen], str | None]] = {
    "rule": _rule,
    "reply": _reply,
    "no_reply": _no_reply,
    "sent": _sent,
    "status": _status,
    "mode": _mode,
    "tag": _tag,
    "workflow": _workflow,
    "field": _field,
}
