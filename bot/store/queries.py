"""The SQL text of one engine, read once from store/sql/ by aiosql.

One subset of SQL serves both engines. Some things are written in a way of our own, because the engines name
them differently: `each_row(:p)` is the rows of a JSON array of objects (`value`, read by `->>`), `each_text(:p)`
those of a JSON array of texts, `json_text(c, :p)` one value of a JSON object as text. `matching(a)` is the condition
that selects contacts (AS c), from sql/matching.sql, its parameters beginning with `a_`. A statement that must differ
has a twin in sql/sqlite/ and sql/postgres/.

`(CAST(:p AS TEXT) IS NULL OR condition)` asks only where there is a :p. What is run has the bare condition, or none:
with both in it, neither engine could plan by the condition, and every row would be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from importlib import resources
from typing import Any, Literal

import aiosql
from aiosql.adapters.aiosqlite import AioSQLiteAdapter
from aiosql.adapters.asyncpg import AsyncPGAdapter

Engine = Literal["sqlite", "postgres"]

_ROWS = re.compile(r"\s+FROM json_each\(:rows\) AS r\b")
_VALUE = re.compile(r"r\.value ->> '(\w+)'")
_EACH = re.compile(r"each_(row|text)\(:(\w+)\)")
_JSON_TEXT = re.compile(r"json_text\(([\w.]+), (:\w+)\)")
_MATCHING = re.compile(r"matching\((\w+)\)")
_OPTIONAL = re.compile(r"\(CAST\(:(\w+) AS (?:TEXT|BIGINT)\) IS NULL\s+OR\s+")
_MOST_FORMS = 1000
_SQLITE = {"row": r"json_each(:{0})", "text": r"json_each(:{0})"}
_POSTGRES = {
    "row": r"json_array_elements(CAST(:{0} AS json))",
    "text": r"json_array_elements_text(CAST(:{0} AS json))",
}
_JSON_TEXTS = {"sqlite": r"CAST(\1 ->> \2 AS TEXT)", "postgres": r"CAST(\1 AS json) ->> CAST(\2 AS TEXT)"}


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
        matching = folder.joinpath("matching.sql").read_text(encoding="utf-8").strip()
        sql = _MATCHING.sub(lambda match: f"({matching})".replace(":X_", f":{match[1]}_"), "\n".join(texts))
        sql = _EACH.sub(lambda match: each[match[1]].format(match[2]), sql)
        sql = _JSON_TEXT.sub(_JSON_TEXTS[engine], sql)
        self._loaded = aiosql.from_str(sql, AioSQLiteAdapter)
        numbering: Any = AsyncPGAdapter
        self._adapter: Any = None if engine == "sqlite" else numbering()
        self._optional: dict[str, tuple[str, ...]] = {}
        self._forms: dict[tuple[str, tuple[bool, ...]], str] = {}
        self._row_texts: dict[str, str | None] = {}

    def text(self, name: str) -> str:
        """The query's SQL with every condition and `:name` parameters."""
        return str(getattr(self._loaded, name).sql)

    def asked(self, name: str, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The query's SQL without the conditions that ask nothing.

        For PostgreSQL it has `$1`, and the parameters in that order; for SQLite it has `:name`, and needs none.
        """
        optional = self._optional.get(name)
        if optional is None:
            optional = self._optional[name] = tuple(dict.fromkeys(_OPTIONAL.findall(self.text(name))))
        form = name, tuple(parameters[parameter] is None for parameter in optional)
        text = self._forms.get(form)
        if text is None:
            text = self._made(form, {parameter for parameter in optional if parameters[parameter] is None})
        return text, list(self._adapter.maybe_order_params(form, parameters)) if self._adapter is not None else []

    def _made(self, form: tuple[str, tuple[bool, ...]], unasked: Set[str]) -> str:
        if len(self._forms) >= _MOST_FORMS:
            self._forms.clear()
        text = _without(self.text(form[0]), unasked)
        if self._adapter is not None:
            self._adapter.var_sorted.pop(form, None)
            text = self._adapter.process_sql(form, None, text)
        self._forms[form] = text
        return text

    def for_each_row(self, name: str) -> str | None:
        """For SQLite: the query about one row (`:key` for each `r.value ->> 'key'`), to be run for many in one call.

        Its JSON functions cost several times what binding values does. None where the query does more with its
        rows than insert or update by them.
        """
        if name not in self._row_texts:
            self._row_texts[name] = _about_one_row(self.text(name))
        return self._row_texts[name]

    @property
    def names(self) -> list[str]:
        """The names of all queries."""
        return [name for name in self._loaded.available_queries if not name.endswith("_cursor")]


def _about_one_row(text: str) -> str | None:
    if len(_ROWS.findall(text)) != 1 or "JOIN" in text or "RETURNING" in text or "DELETE" in text:
        return None
    return _VALUE.sub(r":\1", _ROWS.sub(" ", text))


def _without(text: str, unasked: Set[str]) -> str:
    """The text with every optional condition bare, or gone where its parameter asks nothing."""
    found, start = "", 0
    while match := _OPTIONAL.search(text, start):
        end = _closing(text, match.start())
        condition = "TRUE" if match[1] in unasked else f"({_without(text[match.end() : end], unasked)})"
        found += text[start : match.start()] + condition
        start = end + 1
    return found + text[start:]


def _closing(text: str, opening: int) -> int:
    """Where the bracket closes that opens there."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"a bracket is not closed: {text[opening : opening + 60]}")
