"""Paths into a gateway's JSON, templates of ours, and lists of pairs: what the settings of `http` are made of."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from adapters.errors import BadPayload
from adapters.generic_http_settings import SETTINGS
from adapters.text import clean_text

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")


class Given:
    """The settings of one channel, defaults included. Each reader raises ValueError naming the setting."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._texts = {name: settings.get(name) or setting.default for name, setting in SETTINGS.items()}

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def one_of(self, name: str, words: Iterable[str]) -> str:
        """One of a few words."""
        words = list(words)
        if self[name] not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}")
        return self[name]

    def listed(self, name: str) -> list[str]:
        """What stands between commas."""
        return [item.strip() for item in self[name].split(",") if item.strip()]

    def pairs(self, name: str, words: Iterable[str]) -> dict[str, str]:
        """`key=word, ...` where each word is one of these. A key may hold an equals sign itself."""
        words = list(words)
        found = {}
        for item in self.listed(name):
            key, equals, word = item.rpartition("=")
            if not equals or not key.strip() or word.strip() not in words:
                raise ValueError(f"{name}: {item!r} is no KEY=WORD with a word of {', '.join(words)}")
            found[key.strip()] = word.strip()
        return found


def find(value: Any, path: str) -> Any:
    """What is at `data.messages.0.text`; None where there is nothing. "" is the value itself.

    A name that holds dots is found as it is, before it is taken for a path.
    """
    if not path:
        return value
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 6:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def text_at(value: Any, path: str) -> str | None:
    """A text or a whole number, cleaned; None where there is nothing. Raises BadPayload for anything else."""
    found = find(value, path) if path else None
    if found is None:
        return None
    if isinstance(found, int) and not isinstance(found, bool):
        try:
            return str(found)
        except ValueError as error:
            raise BadPayload(f"{path} is a number that is far too long") from error
    if not isinstance(found, str):
        raise BadPayload(f"{path} is neither text nor a whole number")
    return clean_text(found)


def required_at(value: Any, path: str) -> str:
    """The same where it must be there and not be blank."""
    text = text_at(value, path)
    if not text:
        raise BadPayload(f"{path} is missing")
    return text


def placeholders(text: str) -> set[str]:
    """The names that stand in braces."""
    return set(_PLACEHOLDER.findall(text))


def check_placeholders(setting: str, text: str, known: Iterable[str]) -> None:
    """Raises ValueError for one that would never be filled."""
    known = list(known)
    for name in sorted(placeholders(text) - set(known)):
        raise ValueError(f"{setting}: {{{name}}} is none of {', '.join(f'{{{word}}}' for word in known)}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder's value in its place; what a value holds is never taken for a placeholder."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def template(setting: str, text: str, known: Iterable[str]) -> dict[str, Any]:
    """A JSON object as a template. Raises ValueError for what is none."""
    known = list(known)
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{setting} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{setting} must be a JSON object")
    for item in _texts(parsed):
        check_placeholders(setting, item, known)
        if "media" in placeholders(item) and item != "{media}":
            raise ValueError(f"{setting}: {{media}} is a list and must stand alone in its text")
    return parsed


def filled(item: Any, values: Mapping[str, str], media: list[str]) -> Any:
    """A template with its values, which are put into texts that were parsed before: none can become JSON."""
    if isinstance(item, str):
        return media if item == "{media}" else fill(item, values)
    if isinstance(item, dict):
        return {name: filled(value, values, media) for name, value in item.items()}
    if isinstance(item, list):
        return [filled(value, values, media) for value in item]
    return item


def fields(setting: str, parsed: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A filled template as the fields of a form or a query; a list repeats its field."""
    found: list[tuple[str, str]] = []
    for name, value in parsed.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict | list):
                raise ValueError(f"{setting}: {name!r} is nested, which a form cannot hold")
            if item is not None:
                found.append((name, item if isinstance(item, str) else orjson.dumps(item).decode()))
    return found


def uses(parsed: Mapping[str, Any], name: str) -> bool:
    """Whether a template has this placeholder anywhere."""
    return any(name in placeholders(item) for item in _texts(parsed))


def _texts(item: Any) -> Iterable[str]:
    if isinstance(item, str):
        yield item
    elif isinstance(item, dict):
        for value in item.values():
            yield from _texts(value)
    elif isinstance(item, list):
        for value in item:
            yield from _texts(value)
