"""Every action of the rule language: how it is read from a file, and the effects that it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from rules.effects import (
    AddNote,
    AddTag,
    AddToList,
    Block,
    Effect,
    Handoff,
    IncrementField,
    Notify,
    OptIn,
    OptOut,
    Pause,
    RemoveFromList,
    RemoveTag,
    Reply,
    ReplyKind,
    SetField,
    StartWorkflow,
    StopWorkflow,
)  # fmt: skip
from rules.facts import ALL_CONTACTS
from rules.grammar import HANDOFF_KEYS, MAX_ACTIONS, NOTIFY_KEYS, REPLY_KEYS
from rules.message import Message
from rules.nodes import Node
from rules.reader import Reader
from rules.tags import DO_NOT_CONTACT, OPT_IN, WRONG_NUMBER
from rules.template import Template, TemplateError, compile_template

MAX_MEDIA = 10
_OTHER_BRACES = re.compile(r"(?<!\{)\{ ?(?:contact|message|business|now|vars?)\.\w+ ?\}(?!\})|\$\{\w+\}|\{%.{0,40}?%\}")
STAFF = "staff"
"""The route that is always there: the default one of config.toml, and without any, the console alone."""

Variables = Mapping[str, str]
Action = Callable[[Message, Variables], list[Effect]]
"""What an action does for one message: the effects that it becomes."""


@dataclass(frozen=True, slots=True)
class ReplyAction:
    """Answer the sender."""

    template: Template
    media: tuple[str, ...] = ()
    kind: ReplyKind = "reply"

    def __call__(self, message: Message, variables: Variables) -> list[Effect]:
        """The reply."""
        return [Reply(self.template.render(message, variables), self.media, self.kind)]


@dataclass(frozen=True, slots=True)
class TellAction:
    """Tell staff; with `handoff`, give them the conversation."""

    route: str
    note: Template | None
    handoff: bool = False
    seconds: int | None = None

    def __call__(self, message: Message, variables: Variables) -> list[Effect]:
        """The notification or handoff."""
        note = self.note.render(message, variables) if self.note else ""
        return [Handoff(self.route, note, self.seconds)] if self.handoff else [Notify(self.route, note)]


@dataclass(frozen=True, slots=True)
class SetAction:
    """Set a field."""

    name: str
    value: Template

    def __call__(self, message: Message, variables: Variables) -> list[Effect]:
        """The change."""
        return [SetField(self.name, self.value.render(message, variables))]


@dataclass(frozen=True, slots=True)
class NoteAction:
    """Note something down for staff."""

    text: Template

    def __call__(self, message: Message, variables: Variables) -> list[Effect]:
        """The note."""
        return [AddNote(self.text.render(message, variables))]


@dataclass(frozen=True, slots=True)
class PlainAction:
    """Effects that are the same for every message."""

    effects: tuple[Effect, ...]

    def __call__(self, message: Message, variables: Variables) -> list[Effect]:
        """Those effects."""
        return list(self.effects)


def read_actions(reader: Reader, node: Node) -> tuple[Action, ...]:
    """Read a `do:` list."""
    items = reader.items(node, "do")
    if len(items) > MAX_ACTIONS:
        reader.error(node, f"a rule has {MAX_ACTIONS} actions at the most, this one {len(items)}.")
        return ()
    actions: list[Action] = []
    for item in items:
        if item.kind != "mapping":
            reader.error(item, f'an action must be a mapping such as {{reply: "text"}}, not {item.described}.')
            continue
        known = _READERS | _BUILTIN_READERS if reader.builtin else _READERS
        for name, value in reader.mapping(item, known, "action").items():
            action = known[name](reader, value)
            if action is not None:
                actions.append(action)
    return tuple(actions)


def read_template(reader: Reader, node: Node, what: str) -> Template | None:
    """Read a text with its `{{ }}`; `message.*` only where there is a message."""
    text = reader.text(node, what)
    if text is None:
        return None
    declared = reader.declared
    if found := _OTHER_BRACES.search(text):
        meant = "{{ contact.first_name | default('there') }}"
        reader.warning(node, f"'{found[0]}' is sent as it stands. A variable is written as {meant}.")
    try:
        return compile_template(text, reader.zone, declared.fields, declared.vars, allow_message=reader.has_message)
    except TemplateError as error:
        reader.error(node, str(error))
        return None


def _reply(reader: Reader, node: Node) -> Action | None:
    if node.kind == "text":
        template = read_template(reader, node, "reply")
        return ReplyAction(template) if template else None
    keys = reader.mapping(node, REPLY_KEYS, "reply key")
    if "text" not in keys:
        reader.error(node, "a reply needs a 'text'.")
        return None
    template = read_template(reader, keys["text"], "reply")
    media = reader.texts(keys["media"], "media") if "media" in keys else ()
    if len(media) > MAX_MEDIA or any(urlsplit(url).scheme not in ("http", "https") for url in media):
        reader.error(keys["media"], f"media are at most {MAX_MEDIA} addresses that begin with https://.")
    return ReplyAction(template, media) if template else None


def _route(reader: Reader, node: Node) -> str | None:
    text = node.text if node.kind == "text" else None
    if text == "" and reader.builtin:
        return ""
    routes = reader.declared.routes
    if text == STAFF and not reader.declared.staff_is_route:
        return ""
    where = f"Routes are config.toml's [routes.NAME]; '{STAFF}' is always there."
    return reader.declared_name(node, routes, "route", where)


def _notify(reader: Reader, node: Node) -> Action | None:
    if node.kind == "text":
        route = _route(reader, node)
        return TellAction(route, None) if route is not None else None
    keys = reader.mapping(node, NOTIFY_KEYS, "notify key")
    if "route" not in keys:
        reader.error(node, "'notify' needs a 'route'.")
        return None
    route = _route(reader, keys["route"])
    note = read_template(reader, keys["note"], "note") if "note" in keys else None
    return TellAction(route, note) if route is not None else None


def _handoff(reader: Reader, node: Node) -> Action | None:
    if node.kind == "text":
        route = _route(reader, node)
        return TellAction(route, None, handoff=True) if route is not None else None
    keys = reader.mapping(node, HANDOFF_KEYS, "handoff key")
    if "route" not in keys:
        reader.error(node, "'handoff' needs a 'route'.")
        return None
    route = _route(reader, keys["route"])
    note = read_template(reader, keys["note"], "note") if "note" in keys else None
    seconds = reader.duration(keys["for"], "for") if "for" in keys else None
    return TellAction(route, note, handoff=True, seconds=seconds) if route is not None else None


def _lists(kind: type[AddToList] | type[RemoveFromList]) -> Callable[[Reader, Node], Action | None]:
    def effect(reader: Reader, name: str) -> Effect:
        is_marketing = reader.declared.lists.get(name) == "marketing"
        return AddToList(name, is_marketing) if kind is AddToList else RemoveFromList(name)

    def read(reader: Reader, node: Node) -> Action | None:
        if any(item.text == ALL_CONTACTS for item in reader.items(node, "list")):
            reader.error(node, f"everybody is on {ALL_CONTACTS}; nobody joins or leaves it.")
            return None
        names = reader.declared_names(node, reader.declared.lists, "list", "Declare it under 'lists:'.")
        return PlainAction(tuple(effect(reader, name) for name in names)) if names else None

    return read


def _tags(kind: type[AddTag] | type[RemoveTag]) -> Callable[[Reader, Node], Action | None]:
    def read(reader: Reader, node: Node) -> Action | None:
        names = reader.tags(node)
        if OPT_IN in names:
            reader.error(node, f"the tag '{OPT_IN}' is consent: only staff give it, and the START word.")
        for name in names:
            if kind is RemoveTag and name in (WRONG_NUMBER, DO_NOT_CONTACT):
                reader.error(node, f"the tag '{name}' holds back texts: only staff take it off, and the START word.")
        return PlainAction(tuple(kind(name) for name in names)) if names else None

    return read


def _set(reader: Reader, node: Node) -> Action | None:
    actions: list[Action] = []
    for name, value in reader.mapping(node, reader.declared.fields, "field").items():
        kind = reader.declared.fields[name]
        if kind == "text":
            template = read_template(reader, value, name)
            if template:
                actions.append(SetAction(name, template))
            continue
        text = reader.field_value(value, kind, name)
        if text is not None:
            actions.append(PlainAction((SetField(name, text),)))
    return _together(actions)


def _increment(reader: Reader, node: Node) -> Action | None:
    effects: list[Effect] = []
    for name, value in reader.mapping(node, reader.declared.fields, "field").items():
        if reader.declared.fields[name] != "integer":
            reader.error(value, f"only an integer field counts; '{name}' is {reader.declared.fields[name]}.")
            continue
        by = reader.integer(value, name, -1_000_000, 1_000_000)
        if by is not None:
            effects.append(IncrementField(name, by))
    return PlainAction(tuple(effects)) if effects else None


def _together(actions: list[Action]) -> Action | None:
    if len(actions) < 2:
        return actions[0] if actions else None
    return lambda message, variables: [effect for action in actions for effect in action(message, variables)]


def _true(name: str, *effects: Effect) -> Callable[[Reader, Node], Action | None]:
    def read(reader: Reader, node: Node) -> Action | None:
        if reader.boolean(node, name) is not True:
            reader.error(node, f"'{name}' can only be true. Leave the line out instead.")
            return None
        return PlainAction(effects)

    return read


def _opt_out(reader: Reader, node: Node) -> Action | None:
    if reader.builtin and node.text == "wrong_number":
        return PlainAction((OptOut(wrong_number=True),))
    return _true("opt_out", OptOut())(reader, node)


def _opt_in(reader: Reader, node: Node) -> Action | None:
    if node.text == "keep_flags":
        return PlainAction((OptIn(keeps_flags=True),))
    return _true("opt_in", OptIn())(reader, node)


def _block(reader: Reader, node: Node) -> Action | None:
    reason = reader.text(node, "the reason to block")
    return PlainAction((Block(reason),)) if reason else None


def _confirm(reader: Reader, node: Node) -> Action | None:
    kinds: dict[str, ReplyKind] = {"opt_out": "opt_out", "opt_in": "opt_in", "help": "help"}
    for name, value in reader.mapping(node, kinds, "confirmation").items():
        template = read_template(reader, value, "confirmation")
        if template:
            return ReplyAction(template, kind=kinds[name])
    return None


def _start(reader: Reader, node: Node) -> Action | None:
    workflow = reader.workflow(node)
    return PlainAction((StartWorkflow(workflow),)) if workflow else None


def _stop(reader: Reader, node: Node) -> Action | None:
    if node.kind == "text" and node.text == "all":
        return PlainAction((StopWorkflow(""),))
    workflow = reader.workflow(node)
    return PlainAction((StopWorkflow(workflow),)) if workflow else None


def _pause(reader: Reader, node: Node) -> Action | None:
    seconds = reader.duration(node, "pause")
    return PlainAction((Pause(seconds),)) if seconds else None


def _note(reader: Reader, node: Node) -> Action | None:
    template = read_template(reader, node, "note")
    return NoteAction(template) if template else None


_READERS: dict[str, Callable[[Reader, Node], Action | None]] = {
    "reply": _reply,
    "notify": _notify,
    "handoff": _handoff,
    "add_to_list": _lists(AddToList),
    "remove_from_list": _lists(RemoveFromList),
    "tag": _tags(AddTag),
    "untag": _tags(RemoveTag),
    "set": _set,
    "increment": _increment,
    "opt_out": _opt_out,
    "block": _block,
    "ignore": _true("ignore"),
    "start": _start,
    "stop": _stop,
    "pause": _pause,
    "note": _note,
}

_BUILTIN_READERS: dict[str, Callable[[Reader, Node], Action | None]] = {
    "opt_in": _opt_in,
    "confirm": _confirm,
}
