"""What becomes of the people inside when a workflow is edited: nobody is stuck, and nobody gets a step twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bot.rulebook import RulesRejected
from bot.store.open import open_store
from tests.bot.service import HOUR, Clock, Service, at, node, service

pytestmark = pytest.mark.slow

PHONE, OTHER = "+12025550123", "+12025550124"
NOON = "2026-03-03 12:00"
STARTS = "2026-03-03 17:30"
LATE = "2026-03-03 22:30"


def course(mark: str, on_change: str, steps: str | None = None, extra: str = "") -> str:
    """A rule file with a workflow whose texts carry a mark."""
    return f"""
version: 1
name: shop
lists: {{course: service}}
fields: {{starts: datetime, ended: integer}}
rules:
  - id: rate
    when: {{exact: rate}}
    do: [{{start: survey}}]
  - id: person
    when: {{exact: person}}
    do: [{{handoff: staff}}]
  - id: ended
    event: workflow_ended
    do: [{{increment: {{ended: 1}}}}]
workflows:
  course:
    list: course
    on_change: {on_change}
    steps:{steps or STEPS.replace("MARK", mark)}
  survey:
    steps:
      - id: rating
        ask: {{text: "rate us", timeout: 20d, replies: [{{when: {{number: true}}}}]}}
{extra}"""


STEPS = """
      - id: hello
        send: 1 MARK
      - id: nap
        wait: 2h
      - id: question
        ask:
          text: 2 MARK
          timeout: 2h
          replies: [{when: {exact: "yes please"}}]
          otherwise: {reply: what, repeat: 1}
          on_timeout: {do: [{tag: silent}], goto: next}
      - id: until
        wait_until: {field: starts}
      - id: news
        send: 3 MARK
      - id: choice
        branch: [{when: {tag: silent}, goto: next}, {else: bye}]
      - id: bye
        send: 4 MARK
"""


async def to_hello_window(shop: Service) -> None:
    shop.clock.now = at(LATE)
    await shop.make(PHONE, "course")


async def to_hello_staff(shop: Service) -> None:
    await shop.make(PHONE)
    await shop.text(PHONE, "person")
    await join(shop)


async def to_nap(shop: Service) -> None:
    await shop.make(PHONE, "course")


async def to_question(shop: Service) -> None:
    await to_nap(shop)
    await shop.advance(shop.clock.now + 2 * HOUR)


async def to_question_repeated(shop: Service) -> None:
    await to_question(shop)
    await shop.text(PHONE, "hm")


async def to_question_turn(shop: Service) -> None:
    await to_nap(shop)
    await shop.text(PHONE, "rate")
    await shop.advance(shop.clock.now + 2 * HOUR)


async def to_question_window(shop: Service) -> None:
    shop.clock.now = at("2026-03-03 20:00")
    await to_nap(shop)
    await shop.advance(shop.clock.now + 2 * HOUR)


async def to_until(shop: Service) -> None:
    await to_question(shop)
    async with shop.editing((await shop.runs())[0]["contact_id"]) as editing:
        editing.rename(None, {"starts": STARTS})
    await shop.text(PHONE, "yes please")


async def to_news_window(shop: Service) -> None:
    await to_question(shop)
    async with shop.editing((await shop.runs())[0]["contact_id"]) as editing:
        editing.rename(None, {"starts": "2026-03-03 22:30"})
    await shop.text(PHONE, "yes please")
    await shop.advance(at("2026-03-03 22:45"))


async def to_news_staff(shop: Service) -> None:
    await to_until(shop)
    await shop.text(PHONE, "person")
    await shop.advance(at("2026-03-03 17:45"))


async def join(shop: Service) -> None:
    [row] = await _phones(shop)
    async with shop.editing(row) as editing:
        editing.join("course")


async def _phones(shop: Service) -> list[str]:
    async with shop.store.snapshot() as transaction:
        return [row["contact_id"] for row in await transaction.rows("next_contacts", cursor="", limit=100)]


PLACES: dict[tuple[str, str], Callable[[Service], Awaitable[None]]] = {
    ("hello", "window"): to_hello_window,
    ("hello", "window "): to_hello_staff,
    ("nap", "time"): to_nap,
    ("question", "reply"): to_question,
    ("question", "reply "): to_question_repeated,
    ("question", "turn"): to_question_turn,
    ("question", "window"): to_question_window,
    ("until", "time"): to_until,
    ("news", "window"): to_news_window,
    ("news", "window "): to_news_staff,
}
EVERYWHERE = pytest.mark.parametrize("place", PLACES, ids=lambda place: " ".join(place).replace("  ", " "))


async def put(shop: Service, place: tuple[str, str]) -> list[str]:
    """Bring somebody to a step; what they got until then."""
    await PLACES[place](shop)
    await shop.settle()
    there = [run for run in await shop.runs() if run["workflow"] == "shop.course"]
    assert [(run["step"], run["waits_for"]) for run in there] == [(place[0], place[1].strip())]
    return numbered(shop)


def numbered(*nodes: Service) -> list[str]:
    """The texts of the course's own steps that the customer got."""
    log = sorted((entry for node in nodes for entry in node.notebook.log), key=lambda entry: entry[0])
    return [body for _, _, body in log if body[0].isdigit()]


async def finish(shop: Service) -> None:
    """Let some days pass, in which the customer answers what is asked."""
    for _ in range(5):
        for run in await shop.runs():
            if run["waits_for"] == "reply" and run["step"] in ("question", "rating"):
                await shop.text(PHONE, "yes please" if run["step"] == "question" else "5")
        await shop.advance(shop.clock.now + 24 * HOUR)


async def ended_runs(shop: Service, workflow: str = "shop.course") -> list[str]:
    assert await shop.runs() == [], "nobody is stuck"
    return [run["outcome"] for run in await shop.runs("ended") if run["workflow"] == workflow]


def texts(mark: str) -> list[str]:
    return [f"{number} {mark}" for number in range(1, 5)]


async def after_edit(shop: Service, before: list[str], on_change: str) -> None:
    """Everybody gets what an edited workflow says, each step once."""
    await finish(shop)
    expected = {
        "finish_old": texts("old"),
        "follow": [*before, *texts("new")[len(before) :]],
        "cancel": before,
    }[on_change]
    if on_change == "follow" and len(before) == 2 and numbered(shop)[1] != "2 old":
        expected[1] = numbered(shop)[1]
    assert numbered(shop) == expected
    outcome = {"cancel": "its workflow was changed"}.get(on_change, "finished")
    assert await ended_runs(shop) == [outcome]


@EVERYWHERE
@pytest.mark.parametrize("on_change", ["finish_old", "follow", "cancel"])
async def test_whoever_is_at_a_step_when_the_workflow_is_edited_goes_on_as_it_says(on_change, place, tmp_path):
    async with service("sqlite:///a.db", tmp_path, course("old", on_change), NOON) as shop:
        before = await put(shop, place)
        assert await shop.edit(course("new", on_change))
        await after_edit(shop, before, on_change)


@EVERYWHERE
@pytest.mark.parametrize("on_change", ["finish_old", "follow", "cancel"])
async def test_the_same_holds_when_it_was_edited_while_the_server_was_down(on_change, place, store_url, tmp_path):
    clock = Clock(at(NOON))
    async with open_store(store_url, tmp_path) as store:
        async with node(tmp_path / "node", store, clock, course("old", on_change)) as shop:
            before = await put(shop, place)
            log = shop.notebook.log
            shop.write_rules(course("new", on_change))
        async with node(tmp_path / "node", store, clock) as shop:
            shop.notebook.log += log
            await after_edit(shop, before, on_change)


@EVERYWHERE
async def test_whoever_follows_to_a_step_of_another_kind_is_not_stuck(place, tmp_path):
    other_kinds = STEPS
    for old, new in (
        ("send: 1 MARK", "wait: 1h"),
        ("wait: 2h", "ask: {text: 9 MARK, timeout: 1h, replies: [{when: {exact: never}}]}"),
        (STEPS[STEPS.index("        ask:") : STEPS.index("      - id: until")], "        wait: 1h\n"),
        ("wait_until: {field: starts}", "send: 8 MARK"),
        ("send: 3 MARK", "do: [{tag: told}]"),
    ):
        assert old in other_kinds
        other_kinds = other_kinds.replace(old, new)
    async with service("sqlite:///a.db", tmp_path, course("old", "follow"), NOON) as shop:
        await put(shop, place)
        assert await shop.edit(course("new", "follow", other_kinds.replace("MARK", "new")))
        await finish(shop)
        assert await ended_runs(shop) == ["finished"]
        assert len(set(numbered(shop))) == len(numbered(shop))
        assert numbered(shop)[-1] == "4 new"


@EVERYWHERE
async def test_following_is_refused_while_somebody_is_at_a_step_that_is_gone_and_the_old_rules_stay(place, tmp_path):
    gone = STEPS.replace(f"id: {place[0]}\n", f"id: {place[0]}2\n").replace("MARK", "new")
    async with service("sqlite:///a.db", tmp_path, course("old", "follow"), NOON) as shop:
        await put(shop, place)
        version = shop.rules.current.version
        text = course("new", "follow", gone)
        with pytest.raises(RulesRejected) as rejected:
            await shop.edit(text)
        line = text[: text.index("  course:\n")].count("\n") + 2
        [problem] = rejected.value.problems
        assert str(problem) == (
            f"rules.yaml:{line}: error: 1 person is at the step '{place[0]}' of 'shop.course', which is gone: keep the"
            " step, or set 'on_change: finish_old' or 'cancel'."
        )
        assert shop.rules.current.version == version
        assert shop.rules.rejected == [problem]
        await finish(shop)
        assert numbered(shop) == texts("old")
        assert await ended_runs(shop) == ["finished"]
        assert await shop.edit(text), "now that nobody is there any more"


async def test_after_a_restart_whoever_cannot_follow_finishes_the_old_version_and_the_others_follow(tmp_path):
    clock = Clock(at(NOON))
    gone = STEPS.replace("id: nap\n", "id: nap2\n").replace("MARK", "new")
    async with open_store("sqlite:///a.db", tmp_path) as store:
        async with node(tmp_path / "node", store, clock, course("old", "follow")) as shop:
            await put(shop, ("question", "reply"))
            await shop.make(OTHER, "course")
            await shop.settle()
            shop.write_rules(course("new", "follow", gone))
        async with node(tmp_path / "node", store, clock) as shop:
            await finish(shop)
            assert shop.notebook.to(PHONE) == ["3 new", "4 new"]
            assert shop.notebook.to(OTHER) == ["2 old", "3 old", "4 old"]


async def test_old_versions_go_on_over_many_edits_and_restarts(tmp_path):
    clock = Clock(at(NOON))
    phones = [f"+1202555{number:04d}" for number in range(200, 206)]
    log = []
    async with open_store("sqlite:///a.db", tmp_path) as store:
        for edit, phone in enumerate(phones):
            async with node(tmp_path / "node", store, clock, course(f"v{edit}", "finish_old")) as shop:
                await shop.make(phone, "course")
                await shop.advance(clock.now + HOUR // 4)
                log += shop.notebook.log
        async with node(tmp_path / "node", store, clock) as shop:
            for _ in range(30):
                for run in await shop.runs():
                    if run["waits_for"] == "reply":
                        await shop.text(run["phone"], "yes please")
                await shop.advance(clock.now + HOUR)
            log += shop.notebook.log
            assert await ended_runs(shop) == ["finished"] * len(phones)
    for edit, phone in enumerate(phones):
        assert [body for _, to, body in log if to == phone] == texts(f"v{edit}")


NOTHING = """
version: 1
name: shop
lists: {course: service}
rules:
  - {id: hours, when: {exact: hours}, do: [{reply: "9 to 5"}]}
"""


@EVERYWHERE
@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_a_workflow_that_was_taken_out_of_the_files_is_finished_by_those_inside(how, place, tmp_path):
    clock = Clock(at(NOON))
    async with open_store("sqlite:///a.db", tmp_path) as store:
        async with node(tmp_path / "node", store, clock, course("old", "follow")) as shop:
            await put(shop, place)
            log = shop.notebook.log
            shop.write_rules(NOTHING)
            if how == "reload":
                assert await shop.rules.reload()
                await finish(shop)
        if how == "restart":
            async with node(tmp_path / "node", store, clock) as shop:
                shop.notebook.log += log
                await finish(shop)
        assert numbered(shop) == texts("old")


async def test_a_new_time_zone_of_the_business_does_not_lose_who_is_inside(tmp_path):
    clock = Clock(at(NOON))
    async with open_store("sqlite:///a.db", tmp_path) as store:
        async with node(tmp_path / "node", store, clock, course("old", "finish_old")) as shop:
            await put(shop, ("nap", "time"))
            log = shop.notebook.log
        moved = {"business": {"timezone": "America/Chicago"}}
        async with node(tmp_path / "node", store, clock, course("new", "finish_old"), **moved) as shop:
            shop.notebook.log += log
            await after_edit(shop, ["1 old"], "finish_old")


@EVERYWHERE
@pytest.mark.parametrize("knows", ["another version", "no workflow at all"])
async def test_a_node_with_other_rules_learns_the_versions_that_people_are_in(knows, place, fresh_postgres, tmp_path):
    clock = Clock(at(NOON))
    rules = NOTHING if knows == "no workflow at all" else course("new", "finish_old")
    async with (
        open_store(fresh_postgres, tmp_path) as store,
        node(tmp_path / "one", store, clock, course("old", "finish_old")) as one,
        node(tmp_path / "two", store, clock, rules) as two,
    ):
        await put(one, place)
        two.notebook.log += one.notebook.log
        await finish(two)
        assert numbered(two) == texts("old")
        assert await ended_runs(two) == ["finished"]
        assert one.rules.current.book.version != two.rules.current.book.version


async def test_who_is_cancelled_makes_room_for_the_next_question_and_the_end_is_told(tmp_path):
    async with service("sqlite:///a.db", tmp_path, course("old", "cancel"), NOON) as shop:
        await put(shop, ("question", "reply"))
        await shop.text(PHONE, "rate")
        assert await shop.where(PHONE) == {("question", "reply"), ("rating", "turn")}
        assert await shop.edit(course("new", "cancel"))
        await shop.settle()
        assert await shop.where(PHONE) == {("rating", "reply")}
        assert shop.notebook.to(PHONE)[-1] == "rate us"
        async with shop.editing((await shop.runs())[0]["contact_id"]) as editing:
            assert editing.person.contact.fields["ended"] == "1"


@EVERYWHERE
async def test_a_workflow_that_was_taken_out_and_said_cancel_ends_for_those_inside(place, tmp_path):
    async with service("sqlite:///a.db", tmp_path, course("old", "cancel"), NOON) as shop:
        before = await put(shop, place)
        assert await shop.edit(NOTHING)
        await finish(shop)
        assert numbered(shop) == before
        assert await shop.runs() == []
