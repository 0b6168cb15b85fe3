"""The email that tells a user their number: sent once, tried again, and never in the way of anything else."""

from __future__ import annotations

import pytest

from bot.emails import EmailNotSent, send_email
from bot.sections import EmailSection
from tests.providers.smtp import SmtpServer
from tests.server import free_port

OWN = "+14155550111"


def settings(port, **more):
    return EmailSection(**({"host": "127.0.0.1", "port": port, "sender": "a@x.example", "security": "none"} | more))


async def test_an_email_with_a_login():
    async with SmtpServer(("office", "the password")) as smtp:
        right = settings(smtp.port, user="office", password="the password")
        await send_email(right, "ana@x.example", "Grüße", "Your number is +1415…")
        (email,) = smtp.emails
        assert (email["To"], email["Subject"]) == ("ana@x.example", "Grüße")
        assert email.get_content().strip() == "Your number is +1415…"
        assert email["Message-ID"]
        assert email["Date"]
        wrong = settings(smtp.port, user="office", password="the wrong one")
        with pytest.raises(EmailNotSent) as failure:
            await send_email(wrong, "ana@x.example", "Hello", "Hello")
        assert "wrong one" not in str(failure.value)
        assert len(smtp.emails) == 1


@pytest.mark.parametrize(
    ("to", "subject"),
    [("ana@x.example\r\nBcc: all@x.example", "Hello"), ("ana@x.example", "Hello\r\nBcc: all@x.example"), ("", "Hello")],
)
async def test_no_header_is_smuggled_in(to, subject):
    async with SmtpServer() as smtp:
        with pytest.raises(EmailNotSent):
            await send_email(settings(smtp.port), to, subject, "Hello")
        assert smtp.recipients == []


async def test_a_server_that_is_not_there_refuses_or_cannot_do_tls():
    with pytest.raises(EmailNotSent):
        await send_email(settings(free_port()), "ana@x.example", "Hello", "Hello")
    async with SmtpServer() as smtp:
        smtp.is_refusing = True
        for security in ("none", "starttls", "tls"):
            with pytest.raises(EmailNotSent):
                await send_email(settings(smtp.port, security=security), "ana@x.example", "Hello", "Hello")
        assert smtp.emails == []


async def test_an_email_that_is_refused_is_sent_later_and_the_number_is_theirs_meanwhile(open_office, rental):
    rental.offer(OWN)
    async with SmtpServer() as smtp:
        smtp.is_refusing = True
        email = {"host": "127.0.0.1", "port": smtp.port, "sender": "office@books.example", "security": "none"}
        office = await open_office(numbers={"meanwhile": "wait"}, email=email)
        ana = await office.user(email="ana@books.example")
        await office.is_sent(await office.text(ana))
        found = await office.purchase("open", error="the email to ana was not sent")
        assert (found["step"], (await office.of("ana"))["number"]) == ("tell", OWN)
        await office.is_sent(await office.text(ana, "another"))
        smtp.is_refusing = False
        done = await office.purchase("done", seconds=30)
        assert (done["error"], len(smtp.emails)) == (None, 1)


async def test_an_email_that_is_never_taken_is_given_up_and_the_purchase_is_done(open_office, rental):
    rental.offer(OWN)
    email = {"host": "127.0.0.1", "port": free_port(), "sender": "office@books.example", "security": "none"}
    office = await open_office(numbers={"meanwhile": "wait"}, email=email, outbox={"retry_base_seconds": 0.01})
    await office.is_sent(await office.text(await office.user(email="ana@books.example")))
    done = await office.purchase("done", seconds=30)
    assert "the email to ana was not sent" in done["error"]
    assert len(await office.told("number.trouble")) == 1


async def test_who_has_no_address_is_told_by_nobody(open_office, rental):
    rental.offer(OWN)
    async with SmtpServer() as smtp:
        email = {"host": "127.0.0.1", "port": smtp.port, "sender": "office@books.example", "security": "none"}
        office = await open_office(numbers={"meanwhile": "wait"}, email=email)
        await office.is_sent(await office.text(await office.user()))
        assert (await office.purchase("done"))["error"] is None
        assert smtp.tried == 0
