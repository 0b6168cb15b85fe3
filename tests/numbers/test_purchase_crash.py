"""kill -9 at each step of a purchase: one number is bought, its user has it, and the text left once."""

from __future__ import annotations

import asyncio

import pytest

from bot.store.open import open_store
from tests.bot.conftest import until
from tests.numbers.conftest import nothing_more
from tests.providers.smtp import SmtpServer

pytestmark = pytest.mark.slow

OFFERED = [f"+1415555{number}" for number in range(1111, 1120)]
_WAIT = {"meanwhile": "wait"}


async def forget_leases(url, folder):
    """What a dead node had under way is known to be lost only when its lease is over: it is now."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute("UPDATE purchases SET lease_until = 0")
    finally:
        await connection.close()
    async with open_store(url, folder, exclusive=False) as store, store.transaction() as transaction:
        await transaction.wake("numbers")


async def one_number_and_one_text(office, rental, id_, user="ana"):
    message = await office.is_sent(id_, 30)
    done = await office.purchase("done", seconds=30)
    await nothing_more()
    assert set(rental.owned) == {done["number"]}
    assert (await office.of(user))["number"] == done["number"]
    assert [(number, body) for number, _, body in rental.sent] == [(done["number"], "Hello")]
    assert message["state"] == "sent"
    assert len(await office.purchases()) == 1
    owned = rental.owned[done["number"]]
    assert owned["sms_url"].endswith("/webhooks/twilio")
    assert len(await office.told("number.bought")) == 1
    return done["number"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["search", "order", "set_up"])
async def test_killed_while_a_request_is_under_way(open_office, rental, step, when):
    rental.offer(*OFFERED)
    getattr(rental, when).add(step)
    office = await open_office(numbers=_WAIT, outbox={"answer_seconds": 30.0})
    id_ = await office.text(await office.user())
    await rental.hangs(step)
    office.server.kill()
    rental.go_on()
    await office.server.start()
    await one_number_and_one_text(office, rental, id_)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.003, 0.01])
@pytest.mark.parametrize("step", ["search", "order"])
async def test_killed_as_the_answer_arrives(open_office, rental, step, seconds):
    rental.offer(*OFFERED)
    office = await open_office(numbers=_WAIT)
    ana, phone = await office.user(), await office.somebody()
    killed = asyncio.Event()

    def kill():
        if office.server.process is not None and not killed.is_set():
            office.server.process.kill()
            killed.set()

    rental.then = lambda is_at: is_at == step and asyncio.get_running_loop().call_later(seconds, kill)
    id_ = await office.text(ana, "Hello", phone)
    async with asyncio.timeout(15):
        await killed.wait()
    office.server.kill()
    rental.then = lambda is_at: None
    await office.server.start()
    await one_number_and_one_text(office, rental, id_)


async def test_killed_again_and_again(open_office, rental):
    rental.offer(*OFFERED)
    office = await open_office(numbers=_WAIT, outbox={"answer_seconds": 30.0})
    id_ = await office.text(await office.user())
    for step, when in (("search", rental.after), ("order", rental.before), ("order", rental.after),
                       ("look", rental.before), ("look", rental.after), ("set_up", rental.after)):  # fmt: skip
        rental.go_on()
        rental.hung.clear()
        when.add(step)
        if office.server.process is None:
            await office.server.start()
        if step == "search":
            # The first search may be over before it was told to hang.
            await nothing_more(0.2)
        if rental.owned and step == "order":
            break
        try:
            await rental.hangs(step, 3.0)
        except TimeoutError:
            continue
        office.server.kill()
    rental.go_on()
    if office.server.process is None:
        await office.server.start()
    await one_number_and_one_text(office, rental, id_)


async def test_killed_during_the_email(open_office, rental):
    rental.offer(*OFFERED)
    async with SmtpServer() as smtp:
        smtp.is_hanging = True
        email = {"host": "127.0.0.1", "port": smtp.port, "sender": "office@books.example", "security": "none"}
        office = await open_office(numbers=_WAIT, email=email)
        id_ = await office.text(await office.user(email="ana@books.example"))
        # The text need not wait for the email.
        await office.is_sent(id_)
        await until(lambda: smtp.tried)
        office.server.kill()
        smtp.is_hanging = False
        await office.server.start()
        number = await one_number_and_one_text(office, rental, id_)
        (sent,) = smtp.emails
        assert number in sent["Subject"]


@pytest.mark.parametrize("step", ["order", "set_up"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_node_that_is_killed_is_stood_in_for_by_the_other(open_office, rental, fresh_postgres, step, when):
    rental.offer(*OFFERED)
    getattr(rental, when).add(step)
    settings = {"numbers": _WAIT, "outbox": {"answer_seconds": 60.0}}
    one = await open_office(fresh_postgres, **settings)
    ana = await one.user()
    id_ = await one.text(ana)
    await rental.hangs(step)
    two = await open_office(fresh_postgres, **settings)
    one.server.kill()
    rental.go_on()
    await forget_leases(fresh_postgres, one.server.folder)
    await one_number_and_one_text(two, rental, id_)


async def test_a_node_that_was_taken_for_dead_and_is_not_buys_no_second_number(open_office, rental, fresh_postgres):
    rental.offer(*OFFERED)
    rental.after.add("search")
    settings = {"numbers": _WAIT, "outbox": {"answer_seconds": 4.0}}
    one = await open_office(fresh_postgres, **settings)
    two = await open_office(fresh_postgres, **settings)
    id_ = await one.text(await one.user())
    await rental.hangs("search")
    # The search of the one hangs; the other takes it over, and finds another number first.
    rental.go_on()
    first = rental.available.pop(OFFERED[0])
    await forget_leases(fresh_postgres, one.server.folder)
    await two.purchase("done")
    rental.available[OFFERED[0]] = first
    await asyncio.sleep(5)
    await one_number_and_one_text(two, rental, id_)
