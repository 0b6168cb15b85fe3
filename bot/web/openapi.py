"""The OpenAPI 3.1 description, made from the endpoints that validate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot.web.endpoints import PREFIX, Endpoint, Nothing
from bot.web.models import In, ProblemOut

_REF = "#/components/schemas/{model}"
_COMMON = {
    401: "No token, or not one of ours.",
    403: "The token's role may not do this.",
    422: "A value is not as described.",
    503: "The store does not answer.",
}
_REFUSALS = {
    400: "The body is not JSON.",
    404: "There is no such thing.",
    409: "The present state does not allow it.",
    413: "The body is too large.",
}


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
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schema.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, refs: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "description": f"Needs a token of role {endpoint.role} or above.",
        "tags": [endpoint.path.split("/")[1]],
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": _responses(endpoint, refs),
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


def _responses(endpoint: Endpoint, refs: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if endpoint.response is None:
        responses["204"] = {"description": "Done."}
    else:
        content = {"application/json": {"schema": refs[endpoint.response]}}
        responses[str(endpoint.status)] = {"description": "Done.", "content": content}
    texts = dict(_COMMON)
    if endpoint.body is not Nothing:
        texts |= {400: _REFUSALS[400], 413: _REFUSALS[413]}
    if "{" in endpoint.path:
        texts[404] = _REFUSALS[404]
    texts |= {status: _REFUSALS[status] for status in endpoint.refusals}
    for status, text in sorted(texts.items()):
        content = {"application/problem+json": {"schema": refs[ProblemOut]}}
        responses[str(status)] = {"description": text, "content": content}
    return responses


def _version() -> str:
    try:
        return metadata.version("textwright")
    except metadata.PackageNotFoundError:
        return "0"
