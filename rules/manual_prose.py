"""What docs/rules.md says between its tables."""

from collections.abc import Mapping

_PROSE: Mapping[str, str] = {
    "title": "The language of rule files",
    "begin": """
<!-- Made by `python -m rules.manual`. Change rules/grammar.py or rules/manual_prose.py, not this page. -->

You write what should happen when somebody texts you; the server does it. This page lists everything that can be
written. To learn it, start with the files in `rules/starter/`, change them, and look here when you miss something.

```yaml
version: 1
name: shop
rules:
  - id: hours
    when: {keyword: [hours, open]}
    do:
      - reply: "We are open Monday to Friday, 9 to 6."
```

Save the file and run `textwright check`: it names every mistake with its line. `textwright explain --from
+12025550123 "HOURS"` says what would be answered, and why. `textwright schema` makes a schema by which editors
complete and explain what you type.
""",
    "file": """
A rule file is YAML: names, colons, and two spaces where something belongs to something. All plain words are text, so
`no`, `09:00` and `+12025550123` mean what they say. You may have as many files as you like; lists, fields, schedules
and vars are shared by all of them.
""",
    "compliance": """
Consent is built in: STOP and its many spellings opt out, START opts in again, HELP is answered. Your files can add to
that, and can never take away from it.
""",
    "quiet_hours": """
What the business sends by itself (workflows, and replies to what nobody just texted) leaves between 08:00 and 21:00
on the contact's clock, and for marketing lists within the narrower hours of some states. You may narrow it further.
Answers to a message are sent at once, at any hour.
""",
    "schedules": "Opening hours, by a name of your own. Conditions and workflows name them.",
    "hours": "Each line of `hours`. Hours that end before they begin go past midnight.",
    "durations": """
### Durations, clock times, dates

`30m`, `6h`, `2d`, `1w`, `1d12h`, `90s`; `forever` where something need not end. In a workflow a day is a day of the
contact's calendar: `1d` after noon is noon, also when the clocks change, and `24h` are 24 hours. A clock time is
`"09:00"`, a date `2026-12-25`, a moment `"2026-03-05 15:00"`, on the file's clock.
""",
    "text": """
### How text is compared

Your words and the customer's are made alike before they are compared: capitals, accents, apostrophes, punctuation and
invisible characters do not count. `Stop!!`, `“stop”.` and `STOP 🛑` are all `stop`; `únete` is `unete`; `don't` is
`dont`. An emoji counts only where your own word has one. `keyword` means the first words: it takes "Price?" and
"price of Dune please", not "priceless". Use `exact` for what has consequences: `keyword: no` would take "No problem,
see you then".
""",
    "rules": "A rule says when, and what. Rules are tried in order and the first that matches answers.",
    "precedence": """
### Which rule wins

| first to last | who | also while staff answer |
| --- | --- | --- |
| 1 | the built-in rules of consent | yes |
| 2 | rules with `interrupt: true` | yes |
| 3 | the answers of the question that is open for this contact | |
| 4 | ordinary rules, by `priority`, then as they stand in the files | |
| 5 | that question's `otherwise` | |
| 6 | rules with `fallback: true` | |

The first match wins and ends it, unless it says `continue: true`. A rule that rests (`cooldown`) counts as not
matched. A message gets three automatic replies at the most; what a workflow sends that it starts is beside them.
""",
    "events": """
A rule waits for a message unless it says `event:`. For an event there is no text, so no condition on words and no
`message.` in a template; and nobody is put on a marketing list by one, for that takes their own message.
A rule about an event may go without `when`. For `delivery_failed` there is no `reply`: it would fail too.
""",
    "conditions": """
Several keys in one mapping must all be true: `when: {keyword: price, in_list: vip}`. Nest with `all`, `any`, `none`
and `not`, eight deep at the most.
""",
    "fields": """
`field: {city: Boston}` compares with one value, `field: {city: [Boston, Salem]}` with several, and `field: {visits:
{gte: 3, lt: 10}}` in other ways:
""",
    "actions": """
Actions are done in order, twenty in a rule at the most; a text shows what was set before it. A route is one of
config.toml's; `staff` is the default one.
""",
    "templates": """
`{{ contact.first_name | default("friend") }}` stands for a value. What can be missing must end in `default`, so that
nobody is called "None". `message.` is there only in what answers a message.
""",
    "workflows": """
A workflow is a conversation or a campaign of several steps. People come in by joining its list or by the action
`start`, go through its steps, and leave at the end, when they leave the list, when `exit_when` becomes true, or by
STOP.
""",
    "enroll": """
With a `list`, joining enrols and nobody comes in twice, unless you say otherwise. Without, `start` is the way in, and
whoever is through may come again. Whoever opted out or is blocked never comes in.
""",
    "steps": """
A step does one thing, and may have an `id`, which `goto` and tests name. One without goes by its place: `step3`.
After a step comes the next one. A loop needs a `wait` or an `ask` in it.
""",
    "ask": """
A contact has one open question at a time; a second workflow's question waits its turn. Answers are the `replies`;
other messages go to your rules, and only then to `otherwise`, and the question waits on. `save_as` keeps the answer
if it is one of the field's type: a whole number, a date, yes or no.
""",
    "replies": "Each of them. `when` is about the message that came.",
    "otherwise": "It needs a `reply`, a `goto`, or both.",
    "on_timeout": "What happens when nobody answered in time.",
    "wait_until": """
A `date` without `at` is its midnight. When the field changes while somebody waits, the moment moves with it; if it is
then past, or gone, `if_past` says what happens.
""",
    "branch": """
The first branch whose `when` is true is taken; without any, and without `else`, the next step follows. A branch waits
for no message: ask about words under the `replies` of an `ask`.
""",
    "on_change": """
### When you edit a workflow

`on_change: finish_old` (so where it is not given) lets people inside finish what they began, as it was. `follow`
moves them to the new version, to the step with the same `id`; so every step at which people can stand needs one.
`cancel` ends their runs. Texts in `vars`, schedules and lists that the workflow names belong to it: editing them is
editing it.
""",
    "when_sent": """
### When a workflow's texts leave

Within the quiet hours above and the workflow's `send_window`; otherwise they wait. An answer to its question is
answered at once. The first text of a workflow with a marketing list says how to stop; where yours does not, "Reply
STOP to stop." is added.
""",
    "silence": """
### While staff answer

After `handoff` and `pause` automation is silent: questions stay open and texts wait until the conversation is closed
or the time is over. Waits go on, and what sends nothing happens.
""",
    "tests": """
Say in the file what you expect, and `textwright test` tries it, with a clock that moves. A test ends with its first
step that went otherwise, and says what came instead and why.

```yaml
tests:
  - name: the price, by a word or a phrase
    steps:
      - {in: "Price?", expect: {rule: price, reply: "12.99"}}
      - {advance: 2d, expect: {sent: 0}}
```
""",
}
PROSE: Mapping[str, str] = {name: text.strip() for name, text in _PROSE.items()}
"""Every piece by its name, which rules/manual.py puts together."""
