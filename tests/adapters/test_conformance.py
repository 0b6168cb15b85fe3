"""Every request that an adapter makes is one that its provider's published description allows."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from multidict import CIMultiDict

from adapters import ADAPTERS
from adapters.errors import SendError
from adapters.http import Http
from tests.adapters import cases
from tests.providers.all import PROVIDERS
from tests.providers.conformance import ELSEWHERE, FOLDER, NO_DESCRIPTION, check, descriptions, missing
from tests.providers.standin import Request, StandIn
from tests.providers.twilio import TwilioStandIn

BY_HTTP = [name for name, adapter in ADAPTERS.items() if "api_base" in adapter.settings]
OPENAPI_WORDS = {"openapi", "swagger"}


@pytest.mark.parametrize("adapter", BY_HTTP)
def test_an_adapter_has_a_description_or_a_reason_for_none(adapter: str) -> None:
    described = bool(descriptions(adapter)) or adapter in ELSEWHERE
    assert described != (adapter in NO_DESCRIPTION), "a description in tests/cases/openapi, or a line in NO_DESCRIPTION"
    assert NO_DESCRIPTION.get(adapter, "a reason")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: str(path.name))
def test_a_description_says_where_it_is_from(path: Any) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["info"]["x-source"]
    assert document["paths"]
    assert OPENAPI_WORDS & document.keys()


@pytest.mark.parametrize("adapter", [name for name in BY_HTTP if name not in NO_DESCRIPTION])
async def test_each_request_of_the_send_cases_is_as_described(adapter: str, http: Http) -> None:
    if missing(adapter):
        pytest.skip(f"{adapter}: shared/facts/openapi/{' '.join(missing(adapter))} is absent, and not ours to copy")
    judged = 0
    for case in cases.load(adapter)["send"]:
        if case.get("answer") != "hang":
            judged += await _judged(adapter, case, http)
    assert judged, "no request was held to the description"


async def _judged(adapter: str, case: cases.Case, http: Http) -> int:
    """How many requests of the case were judged. The stand-in fails for one that is not as described."""
    settings = case.get("settings", {})
    accepted = cases.load(adapter)["settings"] | case.get("provider_knows", settings)
    async with PROVIDERS[adapter].stand_in(accepted) as stand_in:
        made = cases.make(adapter, settings | {"api_base": stand_in.url})
        with suppress(SendError):
            await made.send(cases.outbound(case), http)
        assert not stand_in.problems, case["name"]
    return stand_in.judged


async def test_a_stand_in_fails_for_a_request_that_is_not_as_described(http: Http) -> None:
    twilio = TwilioStandIn("AC1", "t")
    await twilio.start()
    await http.post(
        f"{twilio.url}/2010-04-01/Accounts/AC1/Messages.json",
        form=[("To", "+12025550123"), ("From", "+12025550100"), ("Body", "Hello"), ("Colour", "red")],
        basic=("AC1", "t"),
    )
    if missing("twilio"):
        pytest.skip("Twilio's description is absent")
    with pytest.raises(AssertionError, match="Colour"):
        await twilio.stop()


async def test_a_stand_in_without_a_description_judges_nothing(http: Http) -> None:
    async with StandIn() as provider:
        await http.post(f"{provider.url}/anything", json={"at": "all"})
    assert (provider.judged, provider.problems) == (0, [])


DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.1",
    "servers": [{"url": "https://api.example.org/v2"}],
    "paths": {
        "/messages": {
            "post": {
                "parameters": [{"name": "X-Request", "in": "header", "required": True, "schema": {"type": "string"}}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Message"}}},
                },
            }
        },
        "/numbers/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "delete": {},
        },
        "/numbers/mine": {"delete": {}},
        "/numbers": {
            "get": {
                "parameters": [
                    {"name": "country", "in": "query", "required": True, "schema": {"type": "string", "maxLength": 2}},
                    {"name": "sms", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 50}},
                    {"name": "kinds[]", "in": "query", "schema": {"type": "array", "items": {"enum": ["a", "b"]}}},
                    {
                        "name": "filter",
                        "in": "query",
                        "style": "deepObject",
                        "schema": {"type": "object", "properties": {"state": {"type": "string", "maxLength": 2}}},
                    },
                ]
            },
            "post": {
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {
                                "type": "object",
                                "required": ["Number"],
                                "properties": {
                                    "Number": {"type": "string"},
                                    "Url": {"type": "string", "format": "uri"},
                                    "Method": {"type": "string", "enum": ["GET", "POST"]},
                                    "Count": {"type": "integer"},
                                    "Beta": {"type": "boolean"},
                                    "Media": {"type": "array", "items": {"type": "string", "format": "uri"}},
                                },
                            }
                        }
                    }
                }
            },
        },
    },
    "components": {
        "schemas": {
            "Base": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
            "Message": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {
                        "type": "object",
                        "properties": {
                            "text": {"type": "string", "maxLength": 5, "nullable": True},
                            "media": {"type": "array", "items": {"$ref": "#/components/schemas/Media"}},
                            "tags": {"type": "object"},
                            "price": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                        },
                    },
                ]
            },
            "Media": {"type": "object", "properties": {"url": {"type": "string"}}},
        }
    },
}
JSON = {"Content-Type": "application/json; charset=utf-8", "X-Request": "1"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ask(method: str, path: str, headers: dict[str, str] | None = None, body: Any = b"") -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method, path, CIMultiDict(headers or {}), raw)


@pytest.mark.parametrize(
    "request_",
    [
        ask("POST", "/messages", JSON, {"to": "1"}),
        ask("POST", "/v2/messages", JSON, {"to": "1", "text": None, "tags": {"any": 1}, "price": 0.5}),
        ask("POST", "/messages", JSON, {"to": "1", "media": [{"url": "x"}]}),
        ask("DELETE", "/numbers/12"),
        ask("DELETE", "/numbers/mine"),
        ask("GET", "/numbers?country=US&sms=true&limit=50&kinds[]=a&kinds[]=b&filter[state]=CA"),
        ask("POST", "/numbers", FORM, b"Number=%2B1&Url=https%3A%2F%2Fx.example&Count=3&Beta=true&Method=GET"),
        ask("POST", "/numbers", FORM, b"Number=1&Media=https%3A%2F%2Fx.example&Media=https%3A%2F%2Fy.example"),
    ],
)
def test_what_is_described_is_allowed(request_: Request) -> None:
    assert check(request_, DOCUMENT) == []


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (ask("POST", "/message", JSON, {"to": "1"}), "no such method and path"),
        (ask("PUT", "/messages", JSON, {"to": "1"}), "no such method and path"),
        (ask("POST", "/v3/messages", JSON, {"to": "1"}), "no such method and path"),
        (ask("POST", "/messages", JSON), "the body is missing"),
        (ask("POST", "/messages", JSON, b"{"), "the body is not application/json"),
        (ask("POST", "/messages", FORM, b"to=1"), "a body of application/x-www-form-urlencoded"),
        (ask("POST", "/messages", {"Content-Type": "application/json"}, {"to": "1"}), "header X-Request is missing"),
        (ask("POST", "/messages", JSON, {}), '"to" is a required property'),
        (ask("POST", "/messages", JSON, {"to": 1}), "body.to"),
        (ask("POST", "/messages", JSON, {"to": "1", "text": "longer"}), "body.text"),
        (ask("POST", "/messages", JSON, {"to": "1", "price": 0}), "body.price"),
        (ask("POST", "/messages", JSON, {"to": "1", "colour": 1}), "colour"),
        (ask("POST", "/messages", JSON, {"to": "1", "media": [{"uri": "x"}]}), "uri"),
        (ask("DELETE", "/numbers/twelve"), "path parameter id"),
        (ask("DELETE", "/numbers/12", JSON, {"a": 1}), "a body of application/json"),
        (ask("GET", "/numbers"), "query parameter country is missing"),
        (ask("GET", "/numbers?country=USA"), "query parameter country"),
        (ask("GET", "/numbers?country=US&sms=yes"), "query parameter sms"),
        (ask("GET", "/numbers?country=US&limit=51"), "query parameter limit"),
        (ask("GET", "/numbers?country=US&limit=1&limit=2"), "query parameter limit"),
        (ask("GET", "/numbers?country=US&kinds[]=c"), "query parameter kinds"),
        (ask("GET", "/numbers?country=US&colour=red"), "unknown query parameter colour"),
        (ask("GET", "/numbers?country=US&filter[city]=x"), "unknown query parameter filter"),
        (ask("GET", "/numbers?country=US&filter[state]=CAL"), "query parameter filter[state]"),
        (ask("POST", "/numbers", FORM, b"Url=x"), "is not a"),
        (ask("POST", "/numbers", FORM, b"Count=3"), '"Number" is a required property'),
        (ask("POST", "/numbers", FORM, b"Number=1&Method=PUT"), "body.Method"),
        (ask("POST", "/numbers", FORM, b"Number=1&Count=three"), "body.Count"),
        (ask("POST", "/numbers", FORM, b"Number=1&Number=2"), "body.Number"),
        (ask("POST", "/numbers", FORM, b"Number=1&Colour=red"), "Colour"),
        (ask("POST", "/numbers", FORM, b"Number=1&Media=x"), "body.Media.0"),
    ],
)
def test_what_is_not_described_is_told(request_: Request, problem: str) -> None:
    assert problem in "; ".join(check(request_, DOCUMENT))


def test_the_older_kind_of_description() -> None:
    document = {
        "swagger": "2.0",
        "basePath": "/v1",
        "paths": {
            "/sms": {
                "post": {
                    "parameters": [
                        {"name": "to", "in": "formData", "required": True, "type": "string", "maxLength": 3},
                        {"name": "flash", "in": "formData", "type": "boolean"},
                        {"name": "page", "in": "query", "required": False, "type": "integer"},
                    ]
                }
            },
            "/json": {"post": {"parameters": [{"name": "body", "in": "body", "schema": {"$ref": "#/definitions/M"}}]}},
        },
        "definitions": {"M": {"type": "object", "properties": {"to": {"type": "string"}}}},
    }
    assert check(ask("POST", "/v1/sms?page=1", FORM, b"to=1&flash=true"), document) == []
    assert "to" in "".join(check(ask("POST", "/v1/sms", FORM, b"flash=true"), document))
    assert "flash" in "".join(check(ask("POST", "/v1/sms", FORM, b"to=1&flash=maybe"), document))
    assert "page" in "".join(check(ask("POST", "/v1/sms?page=one", FORM, b"to=1"), document))
    assert "colour" in "".join(check(ask("POST", "/sms", FORM, b"to=1&colour=red"), document))
    assert check(ask("POST", "/v1/json", JSON, {"to": "1"}), document) == []
    assert "from" in "".join(check(ask("POST", "/v1/json", JSON, {"from": "1"}), document))
