"""What a decision causes, and what was changed, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EFFECTS: Mapping[str, str] = {
    "Reply": "Answers: “{text}”",
    "Notify": "Tells {route}: {note}",
    "Handoff": "Hands the conversation to staff ({route}): {note}",
    "AddToList": "Puts them on the list {name}",
    "RemoveFromList": "Takes them off the list {name}",
    "AddTag": "Tags them {name}",
    "RemoveTag": "Takes the tag {name} off",
    "SetField": "Sets {name} to “{value}”",
    "IncrementField": "Adds {by} to {name}",
    "OptOut": "Opts the phone out",
    "OptIn": "Opts the phone in{kept}",
    "Block": "Blocks the phone: {reason}",
    "Pause": "Is silent for {seconds} seconds",
    "AddNote": "Notes: “{text}”",
    "StartWorkflow": "Starts the workflow {workflow}",
    "StopWorkflow": "Stops the workflow {workflow}",
    "Send": "Sends: “{text}”",
    "Answer": "Takes it as the answer to {step}",
    "Repeat": "Asks {step} again",
}


def effect_in_words(effect: Mapping[str, Any]) -> str:
    """One effect of a decision (bot/explaining.py), as a sentence."""
    name = str(effect["effect"])
    values = {key: value for key, value in effect.items() if key != "effect"}
    if name in ("Notify", "Handoff"):
        values["route"] = values.get("route") or "the default route"
    if name == "StopWorkflow":
        values["workflow"] = values.get("workflow") or "that they are in"
    if name == "OptIn":
        values["kept"] = "; what staff marked stays" if values.get("keeps_flags") else ""
    form = _EFFECTS.get(name)
    if form is None:
        return f"{name} {values}"
    return form.format(**values).removesuffix(": ")
