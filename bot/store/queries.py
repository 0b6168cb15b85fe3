"""The SQL text of one engine, read once from store/sql/ by aiosql.

One subset of SQL serves both engines. Two things are written in a way of our own, because the engines name
them differently: `each_row(:p)` is the rows of a JSON array of objects (`value`, read by `->>`), `each_text(:p)`
those of a JSON array of texts. A statement that must differ has a twin in sql/sqlite/ and sql/postgres/.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, Literal

import aiosql
from aiosql.adapters.aiosqlite import AioSQLiteAdapter
from aiosql.adapters.asyncpg import AsyncPGAdapter

Engine = Literal["sqlite", "postgres"]

_ROWS = re.compile(r"\s+FROM json_each\(:rows\) AS r\b")
_VALUE = re.compile(r"r\.value ->> '(\w+)'")
_EACH = re.compile(r"each_(row|text)\(:(\w+)\)")
_SQLITE = {"row": r"json_each(:{0})", "text": r"json_each(:{0})"}
_POSTGRES = {
    "row": r"json_array_elements(CAST(:{0} AS json))",
    "text": r"json_array_elements_text(CAST(:{0} AS json))",
}


class Queries:
    """The named queries of an engine: `text(name)` and, for PostgreSQL, its parameters in `order(name, ...)`."""

    def __init__(self, engine: Engine) -> None:
        each = _SQLITE if engine == "sqlite" else _POSTGRES
        folder = resources.files("bot.store").joinpath("sql")
        texts = [
            file.read_text(encoding="utf-8")
            for place in ("shared", engine)
            for file in sorted(folder.joinpath(place).iterdir(), key=lambda file: file.name)
            if file.name.endswith(".sql")
        ]
        sql = _EACH.sub(lambda match: each[match[1]].format(match[2]), "\n".join(texts))
        adapter: Any = AioSQLiteAdapter if engine == "sqlite" else AsyncPGAdapter
        self._adapter: Any = adapter()
        self._loaded = aiosql.from_str(sql, lambda: self._adapter)
        self._texts: dict[str, str] = {}
        self._row_texts: dict[str, str | None] = {}

    def text(self, name: str) -> str:
        """The query's SQL, with `:name` parameters for SQLite and `$1` for PostgreSQL."""
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = str(getattr(self._loaded, name).sql)
        return text

    def for_each_row(self, name: str) -> str | None:
        """For SQLite: the query about one row (`:key` for each `r.value ->> 'key'`), to be run for many in one call.

        Its JSON functions cost several times what binding values does. None where the query does more with its
        rows than insert or update by them.
        """
        if name not in self._row_texts:
            self._row_texts[name] = _about_one_row(self.text(name))
        return self._row_texts[name]

    def order(self, name: str, parameters: dict[str, Any]) -> list[Any]:
        """The parameters in the order in which PostgreSQL numbers them."""
        return list(self._adapter.maybe_order_params(name, parameters))

    @property
    def names(self) -> list[str]:
        """The names of all queries."""
        return [name for name in self._loaded.available_queries if not name.endswith("_cursor")]


def _about_one_row(text: str) -> str | None:
    if len(_ROWS.findall(text)) != 1 or "JOIN" in text or "RETURNING" in text or "DELETE" in text:
        return None
    return _VALUE.sub(r":\1", _ROWS.sub(" ", text))
