"""Files of contacts that staff upload: kept in a folder of this node, and read one after the other by child processes.

A file is this node's for as long as the lock on it is held, so what a crash left behind is known at the next start. A
file that was read in part can be imported again: what is in already does not change.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import structlog

from bot.changes import dumps
from bot.child import command, environment
from bot.clock import MICROSECONDS, NEVER, Clock, new_id
from bot.config import Config
from bot.delivery import first_of
from bot.import_child import Job
from bot.store.contract import Store, StoreError

MOST_FILES = 20
"""So many may wait and be uploaded at the same time, on one node."""
STALLED_SECONDS = 60.0
PROGRESS_SECONDS = 1.0
_BEAT_SECONDS = 30.0
_SILENT_SECONDS = 600.0
"""An import of which no node has said anything for so long is nobody's any more."""
_END_SECONDS = 5.0
_MAX_LINE = 1 << 20
_TAIL_BYTES = 4096
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COUNTS = ("rows", "added", "changed", "unchanged", "wrong", "kept_out")


class UploadFailed(Exception):
    """A file that was not kept: it is too large, there are too many, it broke off, or there is no room for it."""

    def __init__(self, why: Literal["large", "many", "broken", "room", "stopping"], message: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(slots=True)
class Kept:
    """A file that is here. `lock` is open, and locked, for as long as it is to be kept."""

    id: str
    path: Path
    lock: int

    def forget(self) -> None:
        """Delete it."""
        if self.lock >= 0:
            with suppress(OSError):
                self.path.unlink()
            os.close(self.lock)
            self.lock = -1


@dataclass(slots=True)
class _Import:
    kept: Kept
    job: Job
    told: dict[str, Any] = field(default_factory=dict)
    """What its process has said so far."""
    is_cancelled: bool = False


class Imports:
    """The imports of this node. Run `work()` as a task, after `recover()`."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._folder = config.store_base / "imports"
        self._imports: dict[str, _Import] = {}
        self._uploads: set[asyncio.Task[Any]] = set()
        self._is_stopping = False
        self._look_again = asyncio.Event()
        self._log = structlog.get_logger("imports")
        store.on_wake("imports", self._look_again.set)

    async def recover(self) -> None:
        """Say of the imports that were under way when this node stopped, that they were, and delete their files."""
        found = await asyncio.to_thread(self._left_behind)
        await self._interrupt(found, everything=not self._store.shared)

    def _left_behind(self) -> list[str]:
        found = []
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if not _ID.fullmatch(path.name):
                continue
            with suppress(OSError):  # another server of this folder has it
                Kept(path.name, path, _locked(path, os.O_RDWR)).forget()
                found.append(path.name)
        return found

    async def receive(self, chunks: AsyncIterator[bytes]) -> Kept:
        """Write an upload into a file. Raises UploadFailed, and keeps nothing of it then."""
        if self._is_stopping:
            raise UploadFailed("stopping", "The server is stopping. Try again in a moment.")
        if len(self._imports) + len(self._uploads) >= MOST_FILES:
            raise UploadFailed("many", f"{MOST_FILES} files wait already. Try again when some of them are read.")
        task = asyncio.current_task()
        assert task is not None
        self._uploads.add(task)
        try:
            kept = await asyncio.to_thread(self._new_file)
            try:
                await self._write(kept, chunks)
            except BaseException:
                kept.forget()
                raise
        except OSError as error:
            self._log.error("import.not_kept", error=error.strerror or str(error))
            raise UploadFailed("room", "The server has no room for the file.") from error
        finally:
            self._uploads.discard(task)
        return kept

    def _new_file(self) -> Kept:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        id_ = new_id()
        path = self._folder / id_
        return Kept(id_, path, _locked(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))

    async def _write(self, kept: Kept, chunks: AsyncIterator[bytes]) -> None:
        size, most = 0, self._config.console.max_upload_bytes
        while chunk := await _next(chunks):
            size += len(chunk)
            if size > most:
                raise UploadFailed("large", f"The file has more than {most} bytes.")
            writing = asyncio.ensure_future(asyncio.to_thread(_write_all, kept.lock, chunk))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait({writing})  # the file is closed next
                raise

    async def add(self, kept: Kept, job: Job, name: str, actor: str, options: Mapping[str, Any]) -> None:
        """Have a file imported, when its turn comes."""
        async with self._store.transaction() as transaction:
            await transaction.rows(
                "add_import", id=kept.id, file=name, actor=actor, options=dumps(options), now=self._clock()
            )
            await transaction.wake("imports")
        self._imports[kept.id] = _Import(kept, job)
        self._look_again.set()

    async def work(self, draining: asyncio.Event) -> None:
        """Import file after file until `draining` is set; the rest is marked as interrupted."""
        try:
            while not draining.is_set():
                self._look_again.clear()
                try:
                    await self._keep_alive()
                    if self._imports:
                        await self._run(next(iter(self._imports.values())), draining)
                        continue
                except Exception as error:  # noqa: BLE001 - the worker outlives any failure; who waits still waits
                    is_ours = not isinstance(error, StoreError)
                    self._log.error("imports.failed", error=type(error).__name__, exc_info=is_ours)
                    await first_of(draining, seconds=PROGRESS_SECONDS)
                    continue
                await first_of(self._look_again, draining, seconds=_BEAT_SECONDS)
        finally:
            self._is_stopping = True
            for task in self._uploads:
                task.cancel()
            held = list(self._imports.values())
            await self._interrupt([item.kept.id for item in held])
            for item in held:
                self._forget(item)

    async def _keep_alive(self) -> None:
        """Say which imports this node has, and hear which of them were cancelled, on whichever node."""
        held = list(self._imports.values())
        if held:
            ids = dumps([item.kept.id for item in held])
            async with self._store.transaction() as transaction:
                rows = await transaction.rows("touch_imports", ids=ids, now=self._clock())
            alive = {row["id"] for row in rows}
            for item in held:
                if item.kept.id not in alive:
                    item.is_cancelled = True
                    self._forget(item)
        if self._store.shared:
            await self._interrupt([])

    async def _interrupt(self, ids: Iterable[str], *, everything: bool = False) -> None:
        now = self._clock()
        before = NEVER if everything else now - round(_SILENT_SECONDS * MICROSECONDS)
        async with self._store.transaction() as transaction:
            await transaction.rows("interrupt_imports", ids=dumps(list(ids)), before=before, now=now)

    def _forget(self, item: _Import) -> None:
        self._imports.pop(item.kept.id, None)
        item.kept.forget()

    async def _run(self, item: _Import, draining: asyncio.Event) -> None:
        """Import one file; what is not at its end when `draining` is set stays where it is."""
        item.told = {}
        if not await self._move(item, "running"):
            self._forget(item)
            return
        child = await asyncio.create_subprocess_exec(
            *command("bot.import_child"),
            env=environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_MAX_LINE,
            start_new_session=True,  # a Ctrl-C is the server's, which then ends it
        )
        reading = asyncio.create_task(_heard(child, item))
        try:
            await self._watch(item, reading, draining)
        finally:
            await _ended(child, reading)
        if item.is_cancelled or (draining.is_set() and not {"done", "problem"} & item.told.keys()):
            return
        while True:
            try:
                await self._settle(item, child.returncode, reading.result())
            except StoreError as error:
                self._log.error("import.not_settled", error=type(error).__name__)
                if not draining.is_set():
                    await first_of(draining, seconds=PROGRESS_SECONDS)
                    continue
            return

    async def _watch(self, item: _Import, reading: asyncio.Task[bytes], draining: asyncio.Event) -> None:
        """Write down how far it is, until it ends, is cancelled, or is not to go on."""
        ended = asyncio.Event()
        reading.add_done_callback(lambda _: ended.set())
        loop = asyncio.get_running_loop()
        beat, shown = loop.time(), 0
        while not ended.is_set() and not draining.is_set():
            await first_of(ended, self._look_again, draining, seconds=PROGRESS_SECONDS)
            try:
                if self._look_again.is_set() or loop.time() - beat > _BEAT_SECONDS:
                    self._look_again.clear()
                    beat = loop.time()
                    await self._keep_alive()
                elif item.told.get("rows", 0) != shown and not ended.is_set():
                    shown = item.told["rows"]
                    item.is_cancelled = not await self._move(item, "running")
            except StoreError as error:
                self._log.error("import.progress_lost", error=type(error).__name__)
            if item.is_cancelled:
                self._forget(item)
                return

    async def _settle(self, item: _Import, code: int | None, last_words: bytes) -> None:
        if "done" in item.told:
            state, problem = "done", ""
        elif "problem" in item.told:
            state, problem = "failed", item.told["problem"]
        else:
            state, problem = "failed", f"reading the file crashed (exit {code}). What was read of it is in."
            # The kind of error alone: its words can hold a phone number.
            kinds = re.findall(rb"^([\w.]+)(?::|$)", last_words, re.MULTILINE)
            self._log.error("import.crashed", id=item.kept.id, exit=code, error=kinds[-1].decode() if kinds else "")
        await self._move(item, state, problem)
        self._forget(item)
        self._log.info("import.ended", id=item.kept.id, state=state, rows=item.told.get("rows", 0))

    async def _move(self, item: _Import, state: str, problem: str = "") -> bool:
        """Write down how far it is; False where somebody has cancelled it."""
        told = item.told
        async with self._store.transaction() as transaction:
            row = await transaction.row(
                "move_import",
                id=item.kept.id,
                state=state,
                problem=problem,
                errors=dumps(told.get("errors", [])),
                ignored=dumps(told.get("ignored", [])),
                now=self._clock(),
                **{name: told.get(name, 0) for name in _COUNTS},
            )
            if told and not item.job.dry_run:
                # Another process wrote: on SQLite nobody here has heard of it.
                await transaction.wake("due")
                await transaction.wake("notifications")
        return row is not None


def heard(concerns: Callable[[str, str], bool], lists: Iterable[str]) -> list[tuple[str, str]]:
    """What rules and workflows wait for, of all that an import makes happen: Job.heard."""
    happenings = [("contact_added", ""), ("changed", ""), ("opted_out", ""), ("list_joined", "")]
    happenings += [("list_joined", name) for name in sorted(lists)]
    return [happening for happening in happenings if concerns(*happening)]


def _locked(path: Path, flags: int) -> int:
    """The open file, nobody else's as long as it is open. Raises OSError."""
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            return await anext(chunks, b"")
    except Exception as error:  # whatever it is, the rest of the file does not come
        raise UploadFailed("broken", "The upload broke off.") from error


async def _heard(child: asyncio.subprocess.Process, item: _Import) -> bytes:
    """Hand the job over, hear all that the process says, and end with it; the last of its standard error."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    words = asyncio.create_task(_tail(child.stderr))
    try:
        with suppress(ConnectionError):
            child.stdin.write(orjson.dumps(item.job))
            await child.stdin.drain()
        child.stdin.close()
        async for line in child.stdout:
            item.told |= orjson.loads(line)
        await child.wait()
        return await words
    except ValueError as error:
        return f"{type(error).__name__}: what it said is no JSON".encode()
    finally:
        words.cancel()
        if child.returncode is None:
            child.kill()


async def _tail(stream: asyncio.StreamReader) -> bytes:
    tail = b""
    while chunk := await stream.read(_TAIL_BYTES):
        tail = (tail + chunk)[-_TAIL_BYTES:]
    return tail


async def _ended(child: asyncio.subprocess.Process, reading: asyncio.Task[bytes]) -> None:
    """End the process where it has not ended, and hear the rest of what it said."""
    for end in (child.terminate, child.kill):
        if reading.done():
            return
        with suppress(ProcessLookupError):
            end()
        await asyncio.wait({reading}, timeout=_END_SECONDS)
    reading.cancel()
