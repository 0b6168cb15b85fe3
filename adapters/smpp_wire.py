"""One connection that speaks SMPP: requests out and their answers, requests in."""

import asyncio
import logging
from collections.abc import Callable

from adapters.errors import Retry, Unknown
from adapters.smpp_pdu import (
    ALERT_NOTIFICATION,
    DELIVER_SM,
    ENQUIRE_LINK,
    ESME_RINVCMDID,
    ESME_ROK,
    GENERIC_NACK,
    HEADER_BYTES,
    RESPONSE,
    UNBIND,
    Pdu,
    header,
)

log = logging.getLogger(__name__)

MAX_SEQUENCE = 0x7FFFFFFF


class Wire:
    """`lost` is why nothing can be sent any more, "" while it can."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lost = ""
        self._reader = reader
        self._writer = writer
        self._sequence = 0
        self._unanswered: dict[int, tuple[int, asyncio.Future[Pdu]]] = {}

    async def ask(self, command: int, body: bytes, seconds: float) -> Pdu:
        """The answer to one request, error answers included; generic_nack is one, too.

        Raises Retry when the request certainly never left, Unknown when no answer came back.
        """
        if self.lost or self._writer.is_closing():
            raise Retry("the connection to the SMSC is lost")
        self._sequence = self._sequence % MAX_SEQUENCE + 1
        sequence = self._sequence
        answered: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._unanswered[sequence] = (command, answered)
        try:
            self._writer.write(Pdu(command, ESME_ROK, sequence, body).encoded())
            async with asyncio.timeout(seconds):
                return await answered
        except TimeoutError as error:
            raise Unknown("the request left and the SMSC did not answer in time") from error
        finally:
            del self._unanswered[sequence]

    def answer(self, request: Pdu, status: int, body: bytes = b"") -> None:
        """Answer a request of the other side, where there still is one."""
        if not self.lost and not self._writer.is_closing():
            self._writer.write(Pdu(request.command | RESPONSE, status, request.sequence, body).encoded())

    async def settled(self, seconds: float) -> None:
        """Wait for the answers that are still to come, so long at most."""
        if answers := [answered for _, answered in self._unanswered.values()]:
            await asyncio.wait(answers, timeout=seconds)

    def close(self, why: str) -> None:
        """Whatever is unanswered stays so."""
        self.lost = self.lost or why
        # Bytes that the other side does not take would keep the socket for ever.
        transport = self._writer.transport
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()
        for _, answered in self._unanswered.values():
            if not answered.done():
                answered.set_exception(Unknown(f"the request left and no answer came back ({self.lost})"))

    async def read(self, deliver: Callable[["Wire", Pdu], None]) -> None:
        """Read until the other side unbinds, goes away or speaks no SMPP. `deliver` is given each deliver_sm."""
        why = "the connection was closed"
        try:
            while True:
                length, head = header(await self._reader.readexactly(HEADER_BYTES))
                pdu = Pdu(head.command, head.status, head.sequence, await self._reader.readexactly(length))
                if pdu.command & RESPONSE:
                    self._settle(pdu)
                elif pdu.command == UNBIND:
                    self.answer(pdu, ESME_ROK)
                    why = "the SMSC unbound"
                    return
                elif pdu.command == DELIVER_SM:
                    deliver(self, pdu)
                elif pdu.command == ENQUIRE_LINK:
                    self.answer(pdu, ESME_ROK)
                elif pdu.command != ALERT_NOTIFICATION:  # it has no answer
                    log.warning("smpp: the SMSC asks for command 0x%08X, which is refused", pdu.command)
                    self.answer(Pdu(GENERIC_NACK, 0, pdu.sequence), ESME_RINVCMDID)
        except (asyncio.IncompleteReadError, OSError):
            return
        except ValueError as error:
            why = f"the SMSC sent what is no SMPP: {error}"
            log.warning("smpp: %s", why)
        finally:
            self.close(why)

    def _settle(self, pdu: Pdu) -> None:
        """Answers that came too late are for nobody. Raises ValueError for an answer to another question."""
        command, answered = self._unanswered.get(pdu.sequence, (0, None))
        if answered is None:
            log.info("smpp: an answer that nobody waits for (0x%08X)", pdu.command)
            return
        if pdu.command not in (command | RESPONSE, GENERIC_NACK):
            raise ValueError("an answer of another kind than its request")
        if not answered.done():
            answered.set_result(pdu)
