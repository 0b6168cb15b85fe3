"""A small SMTP server on loopback: it takes every email, or hangs, or refuses, as told."""

from __future__ import annotations

import asyncio
import email
import email.policy
from base64 import b64decode
from email.message import EmailMessage
from typing import Self, cast


class SmtpServer:
    """Use as an async context manager. `login` is (user, password), where one is asked for."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.emails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.is_hanging = False
        """Whether emails are left without an answer, once they were read."""
        self.is_refusing = False
        """Whether senders are refused for now (451)."""
        self.tried = 0
        self.port = 0
        self._login = login
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 mail.test ESMTP\r\n")
            is_known = self._login is None
            while line := (await reader.readline()).decode().strip():
                verb, _, rest = line.partition(" ")
                answer = "250 good"
                match verb.upper():
                    case "EHLO" | "HELO":
                        answer = "250-mail.test\r\n250-AUTH PLAIN\r\n250 8BITMIME" if self._login else "250 mail.test"
                    case "AUTH":
                        given = tuple(b64decode(rest.partition(" ")[2]).decode().split("\0")[1:])
                        is_known = given == self._login
                        answer = "235 welcome" if is_known else "535 wrong password"
                    case "MAIL":
                        self.tried += 1
                        answer = "451 later" if self.is_refusing else "250 good" if is_known else "530 who are you"
                    case "RCPT":
                        self.recipients.append(rest.partition("<")[2].partition(">")[0])
                    case "DATA":
                        writer.write(b"354 go on\r\n")
                        text = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                        if self.is_hanging:
                            await asyncio.Event().wait()
                        message = email.message_from_bytes(text, policy=email.policy.default)
                        self.emails.append(cast("EmailMessage", message))
                    case "QUIT":
                        writer.write(b"221 goodbye\r\n")
                        await writer.drain()
                        return
                writer.write(f"{answer}\r\n".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
