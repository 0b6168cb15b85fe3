"""Is a request what the provider's published description allows? StandIn asks this of every request that it takes.

A description is an OpenAPI 3 document, or one of the older Swagger kind: tests/cases/openapi/NAME.json, and further
NAME_*.json for a provider with several APIs. What it leaves out is not judged; what it says is judged strictly: method
and path must be there, what is required must be given, types, enums, formats and lengths must hold, and no field may be
sent that it does not know, unless it says additionalProperties.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema_rs

if TYPE_CHECKING:
    from tests.providers.standin import Request

FOLDER = Path(__file__).parents[1] / "cases" / "openapi"
SHARED = Path(__file__).parents[3] / "shared" / "facts" / "openapi"

# Published, but not ours to copy: read where they are, and not judged where they are absent.
ELSEWHERE: Mapping[str, tuple[str, ...]] = {"twilio": ("twilio_api_v2010.json",)}

# Adapters that speak HTTP, and why there is no description to hold them to.
NO_DESCRIPTION: Mapping[str, str] = {
    "http": "a gateway of anybody's: the settings of its channel say what it is sent",
}

Schema = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
FORM = "application/x-www-form-urlencoded"


def check(request: Request, document: Mapping[str, Any]) -> list[str]:
    """What is wrong with the request by this description; [] for nothing."""
    return Description(document).check(request)


def problems(provider: str, request: Request) -> list[str] | None:
    """What is wrong with a request to this provider by its descriptions; None where none is there to judge it."""
    judged = None
    for description in descriptions(provider):
        judged = description.check(request)
        if description.operation(request) is not None:
            return judged
    return None if missing(provider) else judged


@cache
def descriptions(provider: str) -> tuple[Description, ...]:
    """All that are there."""
    found = [FOLDER / f"{provider}.json", *sorted(FOLDER.glob(f"{provider}_*.json"))]
    found += [SHARED / name for name in ELSEWHERE.get(provider, ())]
    return tuple(Description(json.loads(path.read_text(encoding="utf-8"))) for path in found if path.exists())


def missing(provider: str) -> list[str]:
    """The published descriptions of this provider that are not on this machine."""
    return [name for name in ELSEWHERE.get(provider, ()) if not (SHARED / name).exists()]


class Description:
    """One API, as its provider describes it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._bodies: dict[str, jsonschema_rs.Validator] = {}
        self._values: dict[str, jsonschema_rs.Validator] = {}

    def check(self, request: Request) -> list[str]:
        """What is wrong with the request; [] for nothing."""
        where = f"{request.method} {urlsplit(request.path).path}"
        found = self.operation(request)
        if found is None:
            return [f"{where}: no such method and path"]
        operation, in_path = found
        wrong = [*self._parameters(operation, in_path, request), *self._body(operation, request)]
        return [f"{where}: {problem}" for problem in wrong]

    def operation(self, request: Request) -> tuple[Schema, dict[str, str]] | None:
        """The operation that a request asks for, and the values of the path's parameters."""
        path = urlsplit(request.path).path
        for pattern, item in self._paths:
            match = pattern.fullmatch(path)
            method = request.method.lower()
            if match and method in METHODS and method in item:
                names = item["x-names"]
                both = [*item.get("parameters", []), *item[method].get("parameters", [])]
                parameters = [self._resolved(parameter) for parameter in both]
                operation = {**item[method], "parameters": parameters, "x-key": f"{method} {pattern.pattern}"}
                return operation, {name: unquote(value) for name, value in zip(names, match.groups(), strict=True)}
        return None

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], Schema]]:
        """Those with the fewest parameters first: /numbers/mine is not /numbers/{id}.

        A stand-in takes the place of a host, or of a host with the path that all others begin with.
        """
        document = self._document
        bases = {urlsplit(server.get("url", "")).path.rstrip("/") for server in document.get("servers", [])}
        bases |= {document.get("basePath", "").rstrip("/"), ""}
        base = "(?:" + "|".join(re.escape(base) for base in sorted(bases)) + ")"
        found = []
        for path, item in sorted(document["paths"].items(), key=lambda entry: entry[0].count("{")):
            names = re.findall(r"\{([^}]+)\}", path)
            parts = [re.escape(part) for part in re.split(r"\{[^}]+\}", path)]
            found.append((re.compile(base + "([^/]+)".join(parts)), {**item, "x-names": names}))
        return found

    def _parameters(self, operation: Schema, in_path: Mapping[str, str], request: Request) -> Iterator[str]:
        parameters = operation["parameters"]
        query = parse_qsl(urlsplit(request.path).query, keep_blank_values=True)
        declared = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "query"}
        for name in dict.fromkeys(name for name, _ in query):
            schema = self._query_schema(name, declared)
            if schema is None:
                yield f"unknown query parameter {name}"
            else:
                yield from self._value(
                    f"query parameter {name}", [value for key, value in query if key == name], schema
                )
        given = {name.partition("[")[0] for name, _ in query} | {name for name, _ in query}
        for parameter in parameters:
            name, schema = parameter["name"], parameter.get("schema", parameter)
            if parameter["in"] == "path" and name in in_path:
                yield from self._value(f"path parameter {name}", [in_path[name]], schema)
            elif parameter["in"] == "query" and parameter.get("required") is True and name not in given:
                yield f"query parameter {name} is missing"
            elif parameter["in"] == "header" and name.lower() not in ("authorization", "accept", "content-type"):
                value = request.headers.get(name)
                if value is not None:
                    yield from self._value(f"header {name}", [value], schema)
                elif parameter.get("required") is True:
                    yield f"header {name} is missing"

    def _query_schema(self, name: str, declared: Mapping[str, Schema]) -> Schema | None:
        """The schema of a parameter of the query: `name`, `name[]`, or `name[part]` of one in the deepObject style."""
        plain, _, part = name.partition("[")
        parameter = declared.get(name) or declared.get(f"{plain}[]") or declared.get(plain)
        if parameter is None:
            return None
        schema = self._resolved(parameter.get("schema", parameter))
        if parameter["name"] == name or part in ("", "]"):
            return schema
        known: Schema = schema.get("properties", {})
        return known.get(part.removesuffix("]"), {}) if not known or part.removesuffix("]") in known else None

    def _value(self, what: str, values: Sequence[str], schema: Schema) -> Iterator[str]:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._values:
            self._values[key] = self._validator({"properties": {"value": self._strict(_schema_of(schema))}})
        value = self._read(values, schema)
        for error in self._values[key].iter_errors({"value": value}):
            yield f"{what}: {error.message}"

    def _body(self, operation: Schema, request: Request) -> Iterator[str]:
        content, required = self._content(operation)
        if not request.body:
            if required:
                yield "the body is missing"
            return
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        media = content.get(kind, content.get("*/*"))
        if media is None:
            yield f"a body of {kind or 'no type'}, not one of {sorted(content)}"
            return
        schema = media.get("schema")
        if schema is None or not (kind == FORM or kind.endswith("json")):
            return
        key = f"{operation['x-key']} {kind}"
        if key not in self._bodies:
            self._bodies[key] = self._validator(self._closed(schema))
        try:
            body = self._form(request.form, schema) if kind == FORM else json.loads(request.body)
        except ValueError:
            yield f"the body is not {kind}"
            return
        for error in self._bodies[key].iter_errors(body):
            place = ".".join(map(str, error.instance_path))
            yield f"body{'.' if place else ''}{place}: {error.message}"

    def _content(self, operation: Schema) -> tuple[Schema, bool]:
        """Media type -> its schema, and whether there must be a body."""
        if "requestBody" in operation:
            body = self._resolved(operation["requestBody"])
            return body.get("content", {}), body.get("required") is True
        for parameter in operation["parameters"]:
            if parameter.get("in") == "body":
                return {"application/json": parameter}, parameter.get("required") is True
        fields = [parameter for parameter in operation["parameters"] if parameter.get("in") == "formData"]
        if not fields:
            return {}, False
        needed = [field["name"] for field in fields if field.get("required")]
        schema = operation.setdefault("x-form", {"type": "object", "required": needed})
        schema["properties"] = {field["name"]: _schema_of(field) for field in fields}
        return {FORM: {"schema": schema}}, bool(needed)

    def _form(self, fields: Sequence[tuple[str, str]], schema: Schema) -> dict[str, Any]:
        known = dict(self._properties(schema))
        values: dict[str, list[str]] = {}
        for name, value in fields:
            values.setdefault(name, []).append(value)
        return {name: self._read(given, known.get(name, {})) for name, given in values.items()}

    def _properties(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        resolved = self._resolved(schema)
        yield from resolved.get("properties", {}).items()
        for part in _parts(resolved):
            yield from self._properties(part)

    def _read(self, values: Sequence[str], schema: Schema) -> Any:
        """Text as the type that the schema wants; as it is where it cannot be. One that is given twice is a list."""
        resolved = self._resolved(schema)
        kinds = resolved.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "array" in kinds:
            return [self._read([value], resolved.get("items", {})) for value in values]
        if len(values) > 1:
            return list(values)
        [value] = values
        if "boolean" in kinds and value in ("true", "false"):
            return value == "true"
        if {"integer", "number"} & set(kinds) and re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        if "number" in kinds and re.fullmatch(r"-?[0-9]+\.[0-9]+", value):
            return float(value)
        return value

    def _resolved(self, schema: Any) -> Schema:
        """What a reference inside the document points to."""
        for _ in range(20):
            if "$ref" not in schema:
                break
            target: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            schema = target
        found: Schema = schema
        return found

    def _validator(self, schema: Schema) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator({**schema, **self._definitions}, validate_formats=True)

    @cached_property
    def _definitions(self) -> Schema:
        """What references lead to, in the places where they look for it."""
        found: Schema = {}
        for name in ("components", "definitions", "parameters"):
            if name in self._document:
                found[name] = self._strict(self._document[name])
        return found

    def _closed(self, schema: Any) -> Any:
        """The schema, with no room for fields that it does not know, unless it makes room itself."""
        strict = self._strict(schema)
        if isinstance(schema, dict) and any(True for _ in self._properties(schema)):
            return {**strict, "unevaluatedProperties": False}
        return strict

    def _strict(self, schema: Any) -> Any:
        """The words of OpenAPI 3.0 that JSON Schema has not, in words that it has; the fields' own schemas closed."""
        if isinstance(schema, list):
            return [self._strict(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        strict: Schema = {}
        for name, value in schema.items():
            if name == "properties" and isinstance(value, dict):
                strict[name] = {field: self._closed(inner) for field, inner in value.items()}
            elif name == "items":
                strict[name] = self._closed(value)
            elif name in ("enum", "const", "default", "example"):
                strict[name] = value
            elif name not in ("nullable", "examples"):
                strict[name] = self._strict(value)
        for end in ("Minimum", "Maximum"):
            if isinstance(strict.get(f"exclusive{end}"), bool):
                bound = strict.pop(f"exclusive{end}")
                if bound and end.lower() in strict:
                    strict[f"exclusive{end}"] = strict.pop(end.lower())
        return {"anyOf": [strict, {"type": "null"}]} if schema.get("nullable") is True else strict


def _schema_of(parameter: Schema) -> Schema:
    """A Swagger parameter is a schema itself; its `required` says something else than a schema's."""
    return {name: value for name, value in parameter.items() if name != "required" or isinstance(value, list)}


def _parts(schema: Schema) -> Iterator[Schema]:
    for word in ("allOf", "anyOf", "oneOf"):
        yield from schema.get(word, [])
