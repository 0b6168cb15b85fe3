"""The grammar of rule files: every key, condition, action and step, with what it does and an example.

The loader takes the names from here, `textwright schema` makes the JSON Schema of it, docs/rules.md is written from
it, and every example is a test. Something that is not here is no part of the language.
"""

from __future__ import annotations

from collections.abc import Mapping

from rules.shapes import Construct, Key

FILE_KEYS: Mapping[str, Key] = {
    "version": Key("version", "The version of the language: 1.", required=True),
    "name": Key("name", "The name that the file's rules and workflows go by; else the file's own name."),
    "description": Key("text", "For people."),
    "timezone": Key("text", "The clock of this file, as an IANA name; else [business] timezone of config.toml."),
    "compliance": Key("compliance", "What this file adds to the built-in rules of consent. It never takes away."),
    "lists": Key("lists", "Lists of contacts. `marketing` asks for evidence of consent; `service` does not."),
    "fields": Key("field_types", "What is known of a contact, and as what type."),
    "schedules": Key("schedules", "Opening hours."),
    "vars": Key("vars", "Texts to use in templates as {{ var.NAME }}."),
    "rules": Key("rules", "The rules, most important first."),
    "workflows": Key("workflows", "Conversations and campaigns of several steps."),
    "tests": Key("tests", "What you expect of these rules. `textwright test` runs them."),
}
COMPLIANCE_KEYS: Mapping[str, Key] = {
    "help": Key("text", "The answer to HELP, within 160 characters; it must say how to stop."),
    "extra_stop_words": Key("words", "More words that opt out."),
    "extra_start_words": Key("words", "More words that opt in again."),
    "extra_help_words": Key("words", "More words that ask for help."),
    "natural_language_stop": Key(
        "natural_language_stop", "What 'please stop texting me' does: `opt_out`, or `review` (a person reads it)."
    ),
    "quiet_hours": Key("quiet_hours", "A narrower day than 08:00 to 21:00 for what the business sends by itself."),
}
QUIET_HOURS_KEYS: Mapping[str, Key] = {
    "from": Key("clock", "Nothing leaves before, on the contact's clock.", required=True),
    "to": Key("clock", "Nothing leaves from then on.", required=True),
}
SCHEDULE_KEYS: Mapping[str, Key] = {
    "hours": Key("hours", "When it is open.", required=True),
    "closed": Key("dates", "Dates on which nothing opens."),
    "timezone": Key("text", "Another clock than the file's."),
}
HOURS_KEYS: Mapping[str, Key] = {
    "days": Key("texts", "mon-fri, sat, or [mon, wed].", required=True),
    "from": Key("clock", "Opens.", required=True),
    "to": Key("clock", "Closes; before `from`, on the next day.", required=True),
}
RULE_KEYS: Mapping[str, Key] = {
    "id": Key("name", "The rule's name, once in a file.", required=True),
    "when": Key("condition", "When it applies. Only a fallback and a rule about an event may go without."),
    "do": Key("actions", "What it does.", required=True),
    "description": Key("text", "For people."),
    "event": Key("event", "What it waits for; else a message."),
    "continue": Key("boolean", "Let the following rules go on after this one."),
    "priority": Key("priority", "1 to 999, 500 where it is not given; lower comes first."),
    "interrupt": Key("boolean", "Answer also while a question waits or a person has taken over."),
    "fallback": Key("boolean", "Answer only when nothing else did."),
    "enabled": Key("boolean", "`false` puts the rule to sleep."),
    "cooldown": Key("cooldown", "How long the rule rests after it answered."),
    "active": Key("active", "The dates between which it applies, both included."),
}
COOLDOWN_KEYS: Mapping[str, Key] = {
    "per": Key("per", "Whether it rests for this `contact` or for `all`."),
    "for": Key("duration", "How long; `forever` for once.", required=True),
}
ACTIVE_KEYS: Mapping[str, Key] = {"from": Key("text", "The first day."), "until": Key("text", "The last day.")}
EVENTS: Mapping[str, str] = {
    "message": "A message came in.",
    "list_joined": "The contact was put on a list.",
    "list_left": "The contact was taken off a list.",
    "contact_added": "There is a new contact.",
    "opted_in": "A phone of the contact was opted in again.",
    "opted_out": "A phone of the contact was opted out.",
    "delivery_failed": "A message to the contact did not arrive.",
    "workflow_ended": "A workflow that the contact was in has ended.",
}

CONDITIONS: Mapping[str, Construct] = {
    "keyword": Construct("words", "The message begins with one of these words or phrases.", "keyword: [price, cost]"),
    "exact": Construct("words", "The whole message is one of these.", "exact: [yes, y, 👍]"),
    "contains": Construct("words", "One of these stands anywhere, as whole words.", "contains: [how much, price of]"),
    "contains_all": Construct("words", "All of these stand somewhere, in any order.", "contains_all: [open, sunday]"),
    "substring": Construct(
        "words", "One of these stands anywhere, even inside a word: for languages without spaces.", "substring: 価格"
    ),
    "regex": Construct(
        "texts", "A pattern (RE2 syntax, any case) is found in the original text.", 'regex: "order #?[0-9]{4,}"'
    ),
    "number": Construct("number", "The whole message is a number.", "number: {min: 1, max: 5}"),
    "empty": Construct("boolean", "The message has no words.", "empty: true"),
    "has_media": Construct("boolean", "The message carries a picture or another file.", "has_media: true"),
    "media_type": Construct("media_types", "It carries one of these kinds.", "media_type: [image, video]"),
    "from": Construct("texts", "The sender's number; * stands for any digits.", 'from: ["+1202*"]'),
    "from_country": Construct("texts", "The country of the sender's number.", "from_country: [US, CA]"),
    "to": Construct("texts", "The number of yours that was texted.", 'to: "+12025550100"'),
    "channel": Construct("texts", "The channel of config.toml that it came by.", "channel: main"),
    "status": Construct("statuses", "The consent of the sender's phone.", "status: opted_in"),
    "known": Construct("boolean", "The sender was a contact before this.", "known: true"),
    "first_message": Construct("boolean", "It is the first that this phone ever sent.", "first_message: true"),
    "in_list": Construct("texts", "The contact is on one of these lists.", "in_list: [vip, club]"),
    "not_in_list": Construct("texts", "The contact is on none of these lists.", "not_in_list: vip"),
    "list": Construct("texts", "The list that was joined or left (list_joined, list_left).", "list: club"),
    "tag": Construct("texts", "The contact has one of these tags.", "tag: [wholesale]"),
    "field": Construct(
        "fields",
        "A field of the contact compares so. Of a missing field only `not` and `exists: false` are true.",
        "field: {visits: {gte: 3}, appointment_at: {within_next: 2d}}",
    ),
    "during": Construct("text", "A schedule is open.", "during: open"),
    "outside": Construct("text", "A schedule is closed.", "outside: open"),
    "messages": Construct(
        "messages", "So many messages came within so long, this one included.", "messages: {within: 10m, at_least: 3}"
    ),
    "idle": Construct("duration", "The contact's previous message is at least so old.", "idle: 30d"),
    "in_workflow": Construct("texts", "The contact is in one of these workflows.", "in_workflow: welcome"),
    "error": Construct("texts", "The provider's code of the failure (delivery_failed).", 'error: ["30003", "30005"]'),
    "always": Construct("boolean", "Always true.", "always: true"),
}
JOINTS: Mapping[str, Construct] = {
    "all": Construct("conditions", "All of these.", "all: [{keyword: price}, {in_list: vip}]"),
    "any": Construct("conditions", "One of these at least.", "any: [{keyword: price}, {contains: how much}]"),
    "none": Construct("conditions", "None of these.", "none: [{in_list: vip}, {tag: wholesale}]"),
    "not": Construct("condition", "Not this.", "not: {in_workflow: welcome}"),
}
FIELD_TESTS: Mapping[str, str] = {
    "is": "equal", "not": "not equal, or missing", "in": "one of", "gt": "greater", "gte": "greater or equal",
    "lt": "less", "lte": "less or equal", "exists": "there is a value (true), or none (false)",
    "within_next": "at most so far ahead", "within_last": "at most so long ago",
}  # fmt: skip

ACTIONS: Mapping[str, Construct] = {
    "reply": Construct("reply", "Answer the sender; three times a message at the most.", 'reply: "We open at nine."'),
    "notify": Construct("notify", "Tell staff.", 'notify: {route: front_desk, note: "{{ contact.number }} is late"}'),
    "handoff": Construct(
        "handoff", "Give the conversation to staff; automation is silent until they close it.", "handoff: front_desk"
    ),
    "add_to_list": Construct("texts", "Put the contact on lists.", "add_to_list: club"),
    "remove_from_list": Construct("texts", "Take the contact off lists.", "remove_from_list: club"),
    "tag": Construct("texts", "Tag the contact.", "tag: [wholesale]"),
    "untag": Construct(
        "texts",
        "Take tags off the contact; `do-not-contact` and `wrong-number` only staff take off.",
        "untag: wholesale",
    ),
    "set": Construct("values", "Set fields of the contact.", 'set: {favourite: "{{ message.text }}"}'),
    "increment": Construct("counts", "Add to number fields; a missing one counts as 0.", "increment: {visits: 1}"),
    "start": Construct("text", "Start a workflow for the contact.", "start: welcome"),
    "stop": Construct("text", "End a workflow for the contact, or `all`.", "stop: welcome"),
    "opt_out": Construct("true", "Opt the sender's phone out.", "opt_out: true"),
    "block": Construct("text", "Block the sender's phone, with a reason.", "block: abusive language"),
    "pause": Construct("duration", "Automation is silent for this contact for so long.", "pause: 2h"),
    "note": Construct("text", "A note for staff, kept with the contact.", 'note: "asked for {{ message.keyword }}"'),
    "ignore": Construct("true", "Do nothing, on purpose.", "ignore: true"),
}
MAX_ACTIONS = 20
REPLY_KEYS: Mapping[str, Key] = {
    "text": Key("text", "The text.", required=True),
    "media": Key("texts", "Pictures, as https addresses."),
}
NOTIFY_KEYS: Mapping[str, Key] = {
    "route": Key("text", "A [routes.NAME] of config.toml, or `staff`: the default one.", required=True),
    "note": Key("text", "What to tell them."),
}
HANDOFF_KEYS: Mapping[str, Key] = {**NOTIFY_KEYS, "for": Key("duration", "How long; else as config.toml says.")}

WORKFLOW_KEYS: Mapping[str, Key] = {
    "description": Key("text", "For people."),
    "list": Key("text", "Its list: joining it enrols, leaving it ends the run."),
    "enroll": Key("enroll", "Who comes in, and how often."),
    "exit_when": Key("condition", "Ends the run; looked at before every step and at every message."),
    "send_window": Key("text", "A schedule: nothing is sent while it is closed."),
    "max_duration": Key("duration", "The longest that a run may take; 90d where it is not given."),
    "on_change": Key("on_change", "What becomes of people inside when you edit it."),
    "steps": Key("steps", "The steps, in order.", required=True),
}
ENROLL_KEYS: Mapping[str, Key] = {
    "on": Key("on", "`list_joined`, or `manual`: only by the action start, the API or the console."),
    "again": Key("again", "Somebody who was in before: `never`, `after_end`, or `restart` at once."),
    "when": Key("condition", "Only those of whom this is true."),
}
STEPS: Mapping[str, Construct] = {
    "send": Construct("text", "Send a text.", 'send: "Welcome to {{ var.shop }}!"'),
    "ask": Construct(
        "ask",
        "Send a question and wait for the answer. One question is open at a time; others wait their turn.",
        'ask: {text: "How was it, 1 to 5?", timeout: 2d, replies: [{when: {number: {min: 1, max: 5}}}]}',
    ),
    "wait": Construct("duration", "Let time pass. Days are days of the contact's calendar.", "wait: 1d"),
    "wait_until": Construct(
        "wait_until", "Wait for the moment in a field.", 'wait_until: {field: appointment_at, offset: -1d, at: "09:00"}'
    ),
    "branch": Construct(
        "branches", "Take the first branch that is true.", "branch: [{when: {in_list: vip}, goto: end}, {else: next}]"
    ),
    "do": Construct("actions", "Do actions.", "do: [{tag: welcomed}]"),
    "goto": Construct("step_id", "Go to a step, to `next` or to the `end`.", "goto: end"),
    "end": Construct("text", "End here, with a word for how.", "end: done"),
}
ASK_KEYS: Mapping[str, Key] = {
    "text": Key("text", "The question.", required=True),
    "timeout": Key("duration", "How long it waits.", required=True),
    "replies": Key("replies", "Answers, the first that is true counts.", required=True),
    "otherwise": Key("otherwise", "For a message that answers nothing, here or elsewhere."),
    "on_timeout": Key("on_timeout", "When no answer came; else the next step."),
    "save_as": Key("text", "A field that keeps the answer."),
}
BRANCH_KEYS: Mapping[str, Key] = {
    "when": Key("condition", "When it is taken.", required=True),
    "do": Key("actions", "What it does."),
    "goto": Key("step_id", "Where it leads: a step, `next` (so where it is not given) or `end`."),
}
ELSE_KEYS: Mapping[str, Key] = {
    "else": Key("step_id", "Where it leads when no other branch is true: a step, `next` or `end`.", required=True)
}
OTHERWISE_KEYS: Mapping[str, Key] = {
    "reply": Key("text", "What to answer."),
    "repeat": Key("repeat", "How often; 1 where it is not given."),
    "goto": Key("step_id", "Where to go after that. Without, the question waits on."),
}
ON_TIMEOUT_KEYS: Mapping[str, Key] = {
    "do": Key("actions", "What to do."),
    "goto": Key("step_id", "Where to go."),
}
WAIT_UNTIL_KEYS: Mapping[str, Key] = {
    "field": Key("text", "A date or datetime field of the contact.", required=True),
    "offset": Key("offset", "So long before (-24h) or after it."),
    "at": Key("clock", "At this clock time of that day, on the contact's clock."),
    "if_past": Key("step_id", "When it is past, or missing: `skip` (go on; also if not given), `end`, or a step."),
}

TEST_KEYS: Mapping[str, Key] = {
    "name": Key("text", "What is tested.", required=True),
    "at": Key("text", 'When it begins, on the file\'s clock; else "2026-03-03 12:00", a Tuesday.'),
    "contact": Key("test_contact", "Who texts; else somebody unknown."),
    "steps": Key("test_steps", "What happens, and what is expected.", required=True),
}
TEST_CONTACT_KEYS: Mapping[str, Key] = {
    "phone": Key("text", "Their number."),
    "status": Key("status", "Their consent."),
    "name": Key("text", "Their name."),
    "lists": Key("texts", "Lists that they are on."),
    "tags": Key("texts", "Their tags."),
    "fields": Key("values", "What is known of them."),
}
TEST_STEPS: Mapping[str, Key] = {
    "in": Key("text", "This text comes in."),
    "advance": Key("duration", "So much time passes."),
    "join": Key("text", "They are put on this list."),
    "leave": Key("text", "They are taken off this list."),
}
EXPECT_KEYS: Mapping[str, Key] = {
    "rule": Key("texts", "These rules answered; `none`."),
    "reply": Key("texts", "What was sent in this step has these words."),
    "no_reply": Key("boolean", "Nothing was sent in this step (true), or something was (false)."),
    "sent": Key("sent", "So many texts were sent in this step."),
    "notified": Key("texts", "These routes were told in this step."),
    "mode": Key("mode", "Who answers now."),
    "status": Key("status", "The phone's consent now."),
    "in_list": Key("texts", "On these lists. Whoever opted out does not count on a marketing list."),
    "not_in_list": Key("texts", "On none of these lists."),
    "tag": Key("texts", "Has these tags."),
    "workflow": Key("values", "Where they stand in a workflow: a step's id, `ended`, or `none` (never in it)."),
    "field": Key("values", "What is known of them now; an empty text for nothing."),
}
