"""textwright schema: the JSON Schema of rule files, printed or written to a file."""

from __future__ import annotations

import orjson

from rules.schema import schema


def test_it_prints_the_schema(textwright):
    done = textwright("schema")
    assert (done.code, done.err) == (0, "")
    assert orjson.loads(done.out) == schema()


def test_it_writes_it_to_a_file(shop, textwright):
    done = textwright("schema", "--output", "rules.schema.json")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert orjson.loads((shop / "rules.schema.json").read_bytes()) == schema()


def test_a_file_that_cannot_be_written_is_said(textwright):
    done = textwright("schema", "--output", "nowhere/rules.schema.json")
    assert done.code == 1
    assert "nowhere/rules.schema.json cannot be written: No such file or directory." in done.out + done.err
