"""The OpenAPI 3.1 description, made from the endpoints that validate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot.web.auth import COOKIE, CSRF_HEADER
from bot.web.endpoints import PREFIX, Endpoint, Nothing
from bot.web.idempotency import MAX_KEY
from bot.web.models import In, ProblemOut

_REF = "#/components/schemas/{model}"
_COMMON = {
    401: "No token or session, or not one of ours.",
    403: "The caller's role may not do this; or the X-CSRF-Token is not the session's.",
    422: "A value is not as described.",
    503: "The store does not answer.",
}
_REFUSALS = {
    400: "The body is not JSON.",
    404: "There is no such thing.",
    409: "The present state does not allow it.",
    412: "Somebody changed it meanwhile: it is not as If-Match says.",
    413: "The body is too large.",
    424: "The provider did not answer as it should.",
}
_UPLOADS = ("text/csv", "text/vcard", "application/octet-stream")
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token (textwright token create)."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A browser that is signed in."},
    "csrf": {
        "type": "apiKey", "in": "header", "name": CSRF_HEADER,
        "description": "Beside the session, for all that changes something: the token of its pages.",
    },
}  # fmt: skip
_ETAG = {"description": "Changes with what is answered.", "schema": {"type": "string"}}
_REPLAYED = {
    "description": "`true` where this was answered before, and nothing was done again.",
    "schema": {"type": "string", "enum": ["true"]},
}
_IF_MATCH = "Only if it is still as it was with one of these ETags; `*` is however it is."
_IF_NONE_MATCH = "The ETags that the caller has: nothing is sent again for one of them."
_KEY = "For a day, the same request with the same key is answered and not carried out again."


def describe(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The description of all endpoints."""
    models: dict[type[BaseModel], None] = {ProblemOut: None}
    for endpoint in endpoints:
        for model in (endpoint.body, endpoint.response):
            if model is not None and model is not Nothing:
                models[model] = None
    references, schema = models_json_schema(
        [(model, "validation" if issubclass(model, In) else "serialization") for model in models],
        ref_template=_REF,
        by_alias=True,
    )
    refs: dict[Any, Any] = {model: reference for (model, _), reference in references.items()}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(PREFIX + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Textwright", "version": _version()},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": [], "csrf": []}],
        "paths": paths,
        "components": {
            "schemas": schema.get("$defs", {}),
            "securitySchemes": _SCHEMES,
        },
    }


def _operation(endpoint: Endpoint, refs: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "description": f"{_doc(endpoint)}Needs the role {endpoint.role} or above.",
        "tags": [endpoint.path.split("/")[1]],
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint), *_header_parameters(endpoint)],
        "responses": _responses(endpoint, refs),
    }
    if not endpoint.changes:
        operation["security"] = [{"token": []}, {"session": []}]
    if endpoint.upload:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": {"type": "string"}} for kind in _UPLOADS},
        }
    if endpoint.body is not Nothing:
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {"application/json": {"schema": refs[endpoint.body]}},
        }
    return operation


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    schema = endpoint.query.model_json_schema(ref_template=_REF)
    parameters = []
    for name, value in schema.get("properties", {}).items():
        # A query has no null: an absent parameter is how to say it.
        options = [option for option in value.get("anyOf", [value]) if option.get("type") != "null"]
        kept = {key: item for key, item in value.items() if key not in ("anyOf", "default", "title")}
        described = {**kept, **{k: v for k, v in options[0].items() if k not in ("default", "title")}}
        if value.get("default") is not None:
            described["default"] = value["default"]
        parameters.append({"name": name, "in": "query", "required": False, "schema": described})
    return parameters


def _header_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    parameters = []
    if endpoint.if_match:
        parameters.append(_header("If-Match", _IF_MATCH))
    if endpoint.has_etag:
        parameters.append(_header("If-None-Match", _IF_NONE_MATCH))
    if endpoint.takes_key:
        parameters.append(_header("Idempotency-Key", _KEY, minLength=1, maxLength=MAX_KEY, pattern=r"^[ -~]+$"))
    return parameters


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _doc(endpoint: Endpoint) -> str:
    text = " ".join(((endpoint.stream or endpoint.handler).__doc__ or "").split())
    return f"{text} " if text else ""


def _responses(endpoint: Endpoint, refs: dict[Any, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done."}
    status = endpoint.status if endpoint.response else 204
    if endpoint.stream is not None:
        status, done["content"] = 200, {"text/csv": {"schema": {"type": "string"}}}
    elif endpoint.response is not None:
        done["content"] = {"application/json": {"schema": refs[endpoint.response]}}
    headers = {}
    if endpoint.response and (endpoint.has_etag or endpoint.if_match):
        headers["ETag"] = _ETAG
    if endpoint.takes_key:
        headers["Idempotent-Replayed"] = _REPLAYED
    if headers:
        done["headers"] = headers
    responses: dict[str, Any] = {str(status): done}
    if endpoint.has_etag:
        responses["304"] = {"description": "It is as the caller has it.", "headers": {"ETag": _ETAG}}
    texts = dict(_COMMON)
    if endpoint.body is not Nothing or endpoint.upload:
        texts |= {400: _REFUSALS[400], 413: _REFUSALS[413]}
    if endpoint.upload:
        texts[400] = "The upload broke off."
    if "{" in endpoint.path:
        texts[404] = _REFUSALS[404]
    if endpoint.if_match:
        texts[412] = _REFUSALS[412]
    texts |= {status: _REFUSALS[status] for status in endpoint.refusals}
    content = {"application/problem+json": {"schema": refs[ProblemOut]}}
    for refusal, text in sorted(texts.items()):
        responses[str(refusal)] = {"description": text, "content": content}
    return responses


def _version() -> str:
    try:
        return metadata.version("textwright")
    except metadata.PackageNotFoundError:
        return "0"
