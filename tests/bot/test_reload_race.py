"""What is put in force is what was tried, also when somebody saves in the middle of it."""

from __future__ import annotations

import pytest

from bot.metrics import Metrics
from bot.rulebook import Rules, RulesRejected
from bot.store.memory import MemoryStore
from bot.versions import load_rules
from rules.problems import Problems
from tests.bot.conftest import configured

FIRST = 'version: 1\nrules:\n  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}\n'
TRIED = FIRST.replace("9 to 5", "10 to 6")
SAVED_LATER = FIRST.replace("9 to 5", "never tried")


@pytest.fixture
async def rules(tmp_path, monkeypatch):
    """The rules of a server whose files are tried in no process of its own."""
    config, book = configured(tmp_path, rules=FIRST)
    store = await MemoryStore.opened()
    made = Rules(config, store, Metrics(), book)
    await made.start()

    def tried(saved_meanwhile: list[str]) -> None:
        """The next tries read the files, and somebody saves these texts right after each."""

        async def try_in_child() -> str:
            found = load_rules(config, Problems())
            assert found is not None
            if saved_meanwhile:
                (tmp_path / "rules.yaml").write_text(saved_meanwhile.pop(0))
            return found.version

        monkeypatch.setattr(made, "_try_in_child", try_in_child)

    yield made, tried, tmp_path / "rules.yaml"
    made.close()
    await store.close()


async def test_a_file_that_is_saved_while_it_is_tried_is_tried_again(rules):
    made, tried, path = rules
    path.write_text(TRIED)
    tried([SAVED_LATER, TRIED])
    assert await made.reload() is True
    assert made.current.book.files[0].text == TRIED


async def test_files_that_never_rest_are_refused_and_the_old_rules_stay(rules):
    made, tried, path = rules
    path.write_text(TRIED)
    tried([TRIED.replace("10", str(number)) for number in range(20)])
    with pytest.raises(RulesRejected, match="went on changing"):
        await made.reload()
    assert made.current.book.files[0].text == FIRST
