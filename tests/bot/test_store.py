"""The store on both engines: migrations, transactions, locks, and how many statements a batch costs."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.contract import Inbound
from bot.app import running
from bot.store.contract import SchemaError, Store, StoreError, Unavailable
from bot.store.migrate import migrations
from bot.store.open import open_store
from bot.store.postgres import PostgresTransaction
from bot.store.sqlite import SQLiteTransaction
from tests.bot.conftest import Shop, configured, until
from tests.server import Server

pytestmark = pytest.mark.slow


async def settings(store: Store) -> set[str]:
    async with store.snapshot() as transaction:
        return {key for key in KEYS if await transaction.row("get_setting", key=key)}


KEYS = ("a", "b", "c")


async def test_an_empty_store_gets_every_migration_once(store_url, tmp_path):
    for _ in range(2):
        async with open_store(store_url, tmp_path) as store, store.snapshot() as transaction:
            rows = await transaction.rows("applied_migrations")
            assert [(row["version"], row["checksum"]) for row in rows] == [
                (m.version, m.checksum) for m in migrations()
            ]


async def test_a_schema_newer_than_this_server_is_refused(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as store, store.transaction() as transaction:
        await transaction.rows("record_migration", version=9999, name="future", checksum="x", now=0)
    with pytest.raises(SchemaError, match=r"9999 \(future\).*newer than this server"):
        async with open_store(store_url, tmp_path):
            pass


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused(store_url, tmp_path, monkeypatch):
    async with open_store(store_url, tmp_path):
        pass
    [first, *_] = migrations()
    edited = type(first)(first.version, first.name, first.text + "-- edited\n")
    monkeypatch.setattr("bot.store.migrate.migrations", lambda: [edited])
    with pytest.raises(SchemaError, match="was changed after it had been applied"):
        async with open_store(store_url, tmp_path):
            pass


@pytest.mark.slow
async def test_a_server_says_that_the_store_is_newer_and_does_not_start(tmp_path):
    server = Server(tmp_path, "sqlite:///test.db")
    async with open_store("sqlite:///test.db", tmp_path) as store, store.transaction() as transaction:
        await transaction.rows("record_migration", version=9999, name="future", checksum="x", now=0)
    done = await asyncio.to_thread(server.command, "serve")
    assert done.returncode == 1
    assert "newer than this server" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_second_server_on_the_same_file_is_refused_with_a_clear_message(tmp_path):
    async with open_store("sqlite:///test.db", tmp_path):
        with pytest.raises(Unavailable, match=r"another textwright server has test\.db open"):
            async with open_store("sqlite:///test.db", tmp_path):
                pass
        server = Server(tmp_path, "sqlite:///test.db")
        done = await asyncio.to_thread(server.command, "serve")
    assert done.returncode == 1
    assert "another textwright server has test.db open" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_file_is_free_again_when_its_server_was_killed(tmp_path):
    code = "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR); fcntl.flock(f, fcntl.LOCK_EX); "
    code += "print('held', flush=True); sys.stdin.read()"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path / "test.db.lock")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout
    assert await holder.stdout.readline() == b"held\n"
    with pytest.raises(Unavailable):
        async with open_store("sqlite:///test.db", tmp_path):
            pass
    holder.kill()
    await holder.wait()
    async with open_store("sqlite:///test.db", tmp_path):
        pass


async def test_an_exception_rolls_the_transaction_back(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as store:
        with pytest.raises(ZeroDivisionError):
            await _add(store, "a", fail=True)
        assert await settings(store) == set()
        async with store.transaction() as transaction:
            await transaction.rows("add_setting", key="b", value="1")
        assert await settings(store) == {"b"}


async def test_a_cancellation_at_any_moment_leaves_all_or_nothing_and_a_store_that_works(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as store:

        async def write(keys: tuple[str, ...]) -> None:
            async with store.transaction() as transaction:
                for key in keys:
                    await transaction.rows("add_setting", key=key, value="1")

        await write(("warm",))
        outcomes = set()
        for steps in range(60):
            pair = (f"{steps} first", f"{steps} second")
            task = asyncio.create_task(write(pair))
            for _ in range(steps // 3):
                await asyncio.sleep(0.0002 if steps % 3 else 0)
            task.cancel()
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
            assert ended is None or isinstance(ended, asyncio.CancelledError), repr(ended)
            async with store.snapshot() as transaction:
                found = [await transaction.row("get_setting", key=key) is not None for key in pair]
            assert found in ([True, True], [False, False])
            assert found[0] or ended is not None, "what ended well is there"
            outcomes.add(found[0])
            await write((f"{steps} after",))
        assert outcomes == {True, False}


async def test_a_cancellation_while_the_engine_begins_or_commits_leaves_no_transaction_open(tmp_path, monkeypatch):
    async with open_store("sqlite:///test.db", tmp_path) as store:
        for moment in ("BEGIN IMMEDIATE", "COMMIT"):
            task = asyncio.create_task(_add(store, moment))
            begun = asyncio.Event()
            slowed = _slowed(store, moment, begun)
            with monkeypatch.context() as patch:
                patch.setattr(store._writer, "execute_fetchall", slowed)
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await _add(store, f"after {moment}")
        async with store.snapshot() as transaction:
            assert await transaction.row("get_setting", key="BEGIN IMMEDIATE") is None
            assert await transaction.row("get_setting", key="COMMIT") is not None
            assert await transaction.row("get_setting", key="after COMMIT") is not None


async def _add(store: Store, key: str, *, fail: bool = False) -> None:
    async with store.transaction() as transaction:
        await transaction.rows("add_setting", key=key, value="1")
        if fail:
            raise ZeroDivisionError


def _slowed(store, moment: str, begun: asyncio.Event) -> Callable:
    """The connection's own execute_fetchall, so slow at one statement that a cancellation comes first."""
    real = store._writer.execute_fetchall

    async def execute(sql: str, parameters: object = ()) -> object:
        if sql == moment:
            begun.set()
            await asyncio.sleep(0.05)
        return await real(sql, parameters)

    return execute


async def test_a_reader_sees_one_moment_while_a_writer_goes_on(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as store, store.snapshot() as reading:
        assert await reading.row("get_setting", key="a") is None
        await _add(store, "a")
        assert await reading.row("get_setting", key="a") is None
    async with open_store(store_url, tmp_path) as store:
        assert await settings(store) == {"a"}


async def test_two_transactions_about_the_same_phone_wait_for_each_other(store_url, tmp_path):
    seen: list[str] = []
    async with open_store(store_url, tmp_path) as store:

        async def hold(name: str, phones: list[str], seconds: float) -> None:
            async with store.transaction() as transaction:
                await transaction.lock_phones(phones)
                seen.append(f"{name} in")
                await asyncio.sleep(seconds)
                seen.append(f"{name} out")

        first = asyncio.create_task(hold("first", ["+1", "+2"], 0.2))
        await until(lambda: "first in" in seen)
        await asyncio.gather(first, hold("second", ["+2", "+3"], 0.0))
    assert seen == ["first in", "first out", "second in", "second out"]


async def test_a_transaction_may_lock_very_many_phones_and_excludes_those_that_lock_few(fresh_postgres, tmp_path):
    many = [f"+1202{number:07d}" for number in range(60_000)]
    async with open_store(fresh_postgres, tmp_path) as store:
        async with store.transaction() as transaction:
            await transaction.lock_phones(many)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), store.transaction() as other:
                    await other.lock_phones(many[:1])
        async with asyncio.timeout(5), store.transaction() as other:
            await other.lock_phones(many[:1])


@pytest.mark.parametrize("stage", ["new contacts", "the same contacts again"])
async def test_a_batch_of_64_messages_takes_as_many_statements_as_a_batch_of_one(stage, store_url, tmp_path, counted):
    config, book = configured(tmp_path, store_url)
    async with running(config, book) as services:
        channel = config.channels["sim"]
        counts = []
        for size in (1, 64):
            rounds = 2 if stage == "the same contacts again" else 1
            for turn in range(rounds):
                messages = [
                    Inbound(f"{size}-{turn}-{i}", f"+1202777{size * 100 + i:04d}", channel.numbers[0], "JOIN")
                    for i in range(size)
                ]
                with counted() as statements:
                    results = await services.intake.submit(channel, messages)
                assert [result.status for result in results] == ["received"] * size
            counts.append(sorted(statements))
        assert counts[0] == counts[1]
        assert len(counts[0]) < 25


@pytest.fixture
def counted(monkeypatch):
    """Collect the names of the statements that the pipeline's own transactions run."""
    by_task: dict[object, list[str]] = {}
    for kind in (PostgresTransaction, SQLiteTransaction):

        async def rows(self, query, *, _real=kind.rows, **parameters):
            if "rows" not in parameters:
                by_task.setdefault(asyncio.current_task(), []).append(query)
            return await _real(self, query, **parameters)

        async def each(self, query, rows, *, _real=kind.each, **parameters):
            if rows:
                by_task.setdefault(asyncio.current_task(), []).append(query)
            return await _real(self, query, rows, **parameters)

        monkeypatch.setattr(kind, "rows", rows)
        monkeypatch.setattr(kind, "each", each)

    @contextlib.contextmanager
    def collect():
        found: list[str] = []
        by_task.clear()
        yield found
        [own] = [names for names in by_task.values() if "insert_decisions" in names]
        found += own

    return collect


def test_the_database_is_as_safe_as_it_says(open_shop):
    shop: Shop = open_shop()
    file = Path(shop.server.folder / "test.db")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        strict = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0"
        ).fetchall()
    assert {name for (name,) in strict} <= {"sqlite_schema", "sqlite_sequence"}


async def test_an_error_of_postgresql_does_not_quote_the_row_that_it_refused(fresh_postgres, tmp_path):
    row = {"message_id": "m", "at": 1, "version": None, "facts": "a secret", "matched": "", "fired": "", "error": None}
    refused: list[StoreError] = []
    async with open_store(fresh_postgres, tmp_path) as store:
        try:
            async with store.transaction() as transaction:
                await transaction.each("insert_decisions", [row])
        except StoreError as error:
            refused.append(error)
    [error] = refused
    # A log shows the causes of an error too, unless they are suppressed.
    assert str(error) == "NotNullViolationError (23502)"
    assert error.__suppress_context__
