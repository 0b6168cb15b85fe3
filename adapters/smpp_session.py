"""A bind that is kept: connect, bind, ask whether the other side lives, and begin again after any loss.

Here and nowhere else it is told apart whether a packet "never left" (Retry) or left "and no answer came" (Unknown).
"""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.errors import Misconfigured, Retry, SendError, Throttled, Unknown
from adapters.smpp_pdu import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    ENQUIRE_LINK,
    ESME_ROK,
    ESME_RX_T_APPN,
    SUBMIT_SM,
    UNBIND,
    Pdu,
    octet_string,
)
from adapters.smpp_wire import Wire

log = logging.getLogger(__name__)

BINDS = {"transceiver": (BIND_TRANSCEIVER,), "transmitter_receiver": (BIND_TRANSMITTER, BIND_RECEIVER)}
CONNECT_SECONDS = 5.0
# An SMSC that restarts is found again soon, and one that is down for a day is not asked all the time.
LONGEST_WAIT_SECONDS = 60.0
# deliver_sm that wait for their turn; SMSCs send far fewer before they want answers.
MAX_WAITING = 1000
# Invalid password, system_id and system_type. ESME_RBINDFAIL and ESME_RALYBND are not among them: SMSCs say so
# for as long as they believe in a connection that was lost.
REFUSED_LOGIN = frozenset({0x0E, 0x0F, 0x53})

Take = Callable[[bytes], Awaitable[int]]
"""Takes the body of a deliver_sm and gives the command_status to answer with."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the SMSC is, who we are there, and how patient we are."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    system_id: str
    password: str
    system_type: str
    version: int
    bind: str
    window: int
    answer_seconds: float
    enquire_seconds: float
    reconnect_seconds: float

    def bind_body(self) -> bytes:
        """Raises ValueError for what is not ASCII. TON, NPI and range of addresses are left to the SMSC."""
        names = (self.system_id, self.password, self.system_type)
        return b"".join(map(octet_string, names)) + bytes((self.version, 0, 0)) + octet_string("")


class Session:
    """The binds of one channel; `submit` goes through the one that may transmit."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._bind_body = account.bind_body()
        self._window = asyncio.Semaphore(account.window)
        self._stopping = asyncio.Event()
        self._waiting: asyncio.Queue[tuple[Wire, Pdu]] = asyncio.Queue()
        self._transmitter: Wire | None = None
        self._bound: set[int] = set()
        self._why_not: SendError = Retry("not bound to the SMSC yet")

    async def submit(self, body: bytes) -> Pdu:
        """The SMSC's answer to one submit_sm. Raises a SendError where there is none."""
        self.check_bound()
        try:
            async with asyncio.timeout(self._account.answer_seconds):
                await self._window.acquire()
        except TimeoutError as error:
            raise Throttled("as many messages as `window` allows wait for the SMSC's answer") from error
        try:
            return await self.check_bound().ask(SUBMIT_SM, body, self._account.answer_seconds)
        finally:
            self._window.release()

    def check_bound(self) -> Wire:
        """The connection that may transmit. Raises Retry, or Misconfigured where the SMSC refused who we are."""
        if self._transmitter is None:
            raise type(self._why_not)(self._why_not.detail, self._why_not.code)
        return self._transmitter

    @asynccontextmanager
    async def kept(self, take: Take) -> AsyncIterator[None]:
        """Bound while this lasts. At the end what is under way is finished, as far as the SMSC still answers."""
        taking = asyncio.create_task(self._take_turns(take))
        keeping = {command: asyncio.create_task(self._keep(command)) for command in BINDS[self._account.bind]}
        try:
            yield
        finally:
            self._stopping.set()
            self._why_not = Retry("the channel is being shut down")
            try:
                # Who is not bound has nothing to finish, and may wait long for an SMSC that is not there.
                for command in keeping.keys() - self._bound:
                    keeping[command].cancel()
                await asyncio.gather(*keeping.values(), return_exceptions=True)
            finally:
                for task in (taking, *keeping.values()):
                    task.cancel()
                await asyncio.gather(taking, *keeping.values(), return_exceptions=True)

    async def _keep(self, command: int) -> None:
        wait = self._account.reconnect_seconds
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            begun = clock()
            try:
                await self._connect(command)
            except (OSError, ValueError, SendError) as error:
                # The text of an OSError holds an address at most; that of a SendError is ours.
                log.warning("smpp: no bind to %s:%d: %s", self._account.host, self._account.port, error)
                if not self._stopping.is_set() and command != BIND_RECEIVER:
                    self._why_not = error if isinstance(error, Misconfigured) else Retry("no bind to the SMSC")
            # A bind that lasted makes the next attempt prompt; one that did not must not be tried in a circle.
            wait = self._account.reconnect_seconds if clock() - begun > wait else min(wait * 2, LONGEST_WAIT_SECONDS)
            try:
                # Jitter, so that not all who lost the SMSC at one moment come back at one moment.
                async with asyncio.timeout(wait * random.uniform(0.5, 1.0)):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _connect(self, command: int) -> None:
        """Bind and stay until the link is lost or is not wanted any more. Raises when there is no bind."""
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                self._account.host, self._account.port, ssl=self._account.tls
            )
        wire = Wire(reader, writer)
        tasks = [asyncio.create_task(wire.read(self._asked)), asyncio.create_task(self._stopping.wait())]
        try:
            answer = await wire.ask(command, self._bind_body, self._account.answer_seconds)
            if answer.status != ESME_ROK:
                kind = Misconfigured if answer.status in REFUSED_LOGIN else Retry
                raise kind("the SMSC refuses the bind", f"0x{answer.status:08X}")
            log.info("smpp: bound to %s:%d", self._account.host, self._account.port)
            self._bound.add(command)
            if command != BIND_RECEIVER:
                self._transmitter = wire
            tasks.append(asyncio.create_task(self._enquire(wire)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                await self._leave(wire)
            else:
                log.warning("smpp: the bind to %s:%d is lost", self._account.host, self._account.port)
        finally:
            self._bound.discard(command)
            if command != BIND_RECEIVER:
                self._transmitter = None
                if not self._stopping.is_set():
                    self._why_not = Retry("the bind to the SMSC is lost")
            wire.close("the connection was given up")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _enquire(self, wire: Wire) -> None:
        """Returns when the other side is silent."""
        while True:
            await asyncio.sleep(self._account.enquire_seconds)
            try:
                await wire.ask(ENQUIRE_LINK, b"", self._account.answer_seconds)
            except SendError:
                return

    async def _leave(self, wire: Wire) -> None:
        """No more is submitted; answers that are still to come, and deliver_sm in hand, are waited for."""
        self._transmitter = None
        await wire.settled(self._account.answer_seconds)
        try:
            async with asyncio.timeout(self._account.answer_seconds):
                await self._waiting.join()
        except TimeoutError:
            log.warning("smpp: what came in last is not stored in time; the SMSC will send it again")
        try:
            await wire.ask(UNBIND, b"", min(2.0, self._account.answer_seconds))
        except (Retry, Unknown):
            log.info("smpp: the SMSC does not answer the unbind")

    def _asked(self, wire: Wire, pdu: Pdu) -> None:
        """A deliver_sm came: it waits for its turn, or the SMSC shall keep it for later."""
        if self._stopping.is_set() or self._waiting.qsize() >= MAX_WAITING:
            wire.answer(pdu, ESME_RX_T_APPN, b"\x00")
        else:
            self._waiting.put_nowait((wire, pdu))

    async def _take_turns(self, take: Take) -> None:
        """One after the other, in their order. What came by a link that is lost will be sent again by the SMSC."""
        while True:
            wire, pdu = await self._waiting.get()
            try:
                if not wire.lost:
                    status = ESME_RX_T_APPN if self._stopping.is_set() else await take(pdu.body)
                    wire.answer(pdu, status, b"\x00")
            finally:
                self._waiting.task_done()
