"""The log itself: what it can be given, and what it never shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import orjson
import pytest
import structlog

from bot.logs import set_up_logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    logging.getLogger("aiohttp.server").filters.clear()
    logging.getLogger("asyncio").setLevel(logging.NOTSET)


def _fail() -> None:
    body = "a very private sentence"
    raise RuntimeError("it broke") if body else AssertionError


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_no_values_of_variables(form, capfd):
    set_up_logs(form)
    try:
        _fail()
    except RuntimeError:
        structlog.get_logger("test").error("it.failed", exc_info=True)
    said = capfd.readouterr().err
    assert "it broke" in said
    assert "_fail" in said
    assert "a very private sentence" not in said


def test_a_value_that_json_has_no_word_for_does_not_cost_the_line(capfd):
    set_up_logs("json")
    structlog.get_logger("test").error("it.failed", where={1, 2}, what=object)
    line = orjson.loads(capfd.readouterr().err)
    assert (line["event"], line["where"]) == ("it.failed", "{1, 2}")


def test_below_info_nothing_is_said(capfd):
    set_up_logs("json")
    structlog.get_logger("test").debug("detail")
    assert capfd.readouterr().err == ""
