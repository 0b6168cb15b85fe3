"""What a dry run writes into: a store that goes with it, and has of the real one whom the file is about.

So the real one is only read, and what one batch did counts for the next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bot.changes import dumps, write_people
from bot.contacts import people_by_id
from bot.store.contract import Store
from bot.store.memory import MemoryStore
from bot.suppression import Suppressions


class Rehearsal:
    """A store for a dry run."""

    def __init__(self, real: Store, suppressions: Suppressions, store: MemoryStore) -> None:
        self._real = real
        self._suppressions = suppressions
        self.store = store

    @classmethod
    @asynccontextmanager
    async def of(cls, real: Store, suppressions: Suppressions) -> AsyncIterator[Rehearsal]:
        """With the lists of the real store."""
        store = await MemoryStore.opened(spills=True)
        try:
            async with real.snapshot() as there, store.transaction() as here:
                names = [{"name": row["name"], "purpose": "", "at": 0} for row in await there.rows("list_names")]
                await here.each("declare_lists", names)
            yield cls(real, suppressions, store)
        finally:
            await store.close()

    async def bring(self, numbers: Sequence[str]) -> None:
        """Bring the people whose numbers these are, unless they are here."""
        async with self._real.snapshot() as there, self.store.transaction() as here:
            known = {row["number"] for row in await here.rows("load_phones", phones=dumps(numbers))}
            unknown = [number for number in numbers if number not in known]
            found = await there.rows("load_phones", phones=dumps(unknown))
            ids = sorted({row["contact_id"] for row in found})
            are_here = {person.contact.id for person in await people_by_id(here, ids)}
            people = [person for person in await people_by_id(there, ids) if person.contact.id not in are_here]
            phones = [phone for person in people for phone in person.phones]
            pairs = [(None, person.contact) for person in people], [(None, phone) for phone in phones]
            await write_people(here, *pairs, [], at=0, source="")
            suppressed = await self._suppressions.among(there, unknown)
            await self._suppressions.add(here, suppressed, 0, "")
