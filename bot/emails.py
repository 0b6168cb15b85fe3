"""Email to our own people, through the SMTP server of config.toml."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib

from bot.sections import EmailSection

_SECONDS = 20.0


class EmailNotSent(Exception):
    """The SMTP server did not take it; the message says why, without a credential."""


async def send_email(settings: EmailSection, to: str, subject: str, body: str) -> None:
    """Send one plain text. Raises EmailNotSent."""
    message = EmailMessage()
    try:
        message["From"] = settings.sender or settings.user
        message["To"] = to
        message["Subject"] = subject
    except ValueError as error:
        raise EmailNotSent("an address or a subject that no email can have") from error
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="textwright.invalid")
    message.set_content(body)
    try:
        await aiosmtplib.send(
            message,
            hostname=settings.host,
            port=settings.port,
            username=settings.user or None,
            password=settings.password or None,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            timeout=_SECONDS,
        )
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise EmailNotSent(type(error).__name__) from error
