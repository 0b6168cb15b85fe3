"""Templates: values in texts, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.facts import Business
from rules.message import Message
from rules.segments import segments
from rules.template import MAX_SEGMENTS, TemplateError, compile_template
from tests.rules import build

ZONE = ZoneInfo("America/New_York")


def render(template: str, said: str = "Hello there", contact: dict[str, Any] | None = None, **facts: Any) -> str:
    compiled = compile_template(template, ZONE, ["colour", "visit"], ["url"])
    return compiled.render(Message(build.facts(said, contact, **facts), build.NOON), {"url": "example.org"})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ business.name }}!", "Harbor Books!"),
        ("{{business.name|upper}}", "HARBOR BOOKS"),
        ("{{ contact.name | lower | default('x') }}", "ana lee"),
        ('{{ contact.first_name | default("friend") }}', "Ana"),
        ('{{ contact.colour | default("no | colour") }}', "no | colour"),
        ("{{ contact.colour | default('none') | title }}", "None"),
        ("{{ contact.number }}", "+12025550123"),
        ("{{ message.number }}", "+12025550100"),
        ("{{ message.text | first_word | upper }}", "HELLO"),
        ("{{ message.keyword }}", "hello"),
        ('{{ message.text | truncate("5") }}', "Hello"),
        ("{{ var.url }}/{{ var.url }}", "example.org/example.org"),
        ("{{ now.date }} {{ now.time }} {{ now.weekday }}", "2026-03-03 07:00 Tuesday"),
        ('{{ now.date | date("%d %B") }}', "03 March"),
        ("{{ business.country }}", "US"),
        ("a { b } c", "a { b } c"),
    ],
)
def test_a_path_is_filled_with_its_value(template: str, text: str) -> None:
    assert render(template) == text


@pytest.mark.parametrize(("value", "text"), [("2026-03-05 15:00", "05.03. 15:00"), ("soon", "soon"), ("", "later")])
def test_a_moment_is_formatted_and_what_is_none_is_left(value: str, text: str) -> None:
    template = '{{ contact.visit | date("%d.%m. %H:%M") | default("later") }}'
    assert render(template, contact={"fields": {"visit": value}}) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ contact.colour }}", "'contact.colour' can be missing: end it in | default(\"...\")."),
        ("{{ contact.color | default('x') }}", "unknown path 'contact.color'. Did you mean 'contact.colour'?"),
        ("{{ now.date | dat }}", "unknown filter 'dat'. Did you mean 'date'?"),
        ("{{ business.name", "'{{' and '}}' must stand in pairs."),
        ("business.name }}", "'{{' and '}}' must stand in pairs."),
        ("{{ {{ business.name }} }}", "unknown path '{{ business.name'. Did you mean 'business.name'?"),
        ("{{ }}", "unknown path ''."),
        ("{{ business.name | truncate }}", 'truncate needs a length: truncate("40").'),
        ('{{ business.name | truncate("' + "9" * 5000 + '") }}', "the text has 5034 characters; 4000 is the most."),
        ("{{ contact.__class__ }}", "unknown path 'contact.__class__'. Did you mean 'contact.colour'?"),
        ("{{ business.name.upper() }}", "unknown path 'business.name.upper()'. Did you mean 'business.name'?"),
    ],
)
def test_a_template_that_cannot_be_is_refused_when_it_is_compiled(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template)
    assert str(caught.value) == message


def test_message_paths_can_be_kept_out_of_workflow_texts() -> None:
    with pytest.raises(TemplateError):
        compile_template("{{ message.text }}", ZONE, [], [], allow_message=False)


def test_a_value_is_never_parsed_again() -> None:
    assert render("You said: {{ message.text }}", "{{ business.name }}") == "You said: {{ business.name }}"
    assert (
        render('{{ contact.colour | default("x") }}', contact={"fields": {"colour": "{{ var.url }}"}})
        == "{{ var.url }}"
    )


def test_control_and_bidi_characters_and_lone_surrogates_of_a_value_are_dropped() -> None:
    assert render("{{ message.text }}", "a\0b\x1b[0m\u202ec\ud800d\ne\x85") == "ab[0mcd\ne"


def test_a_value_is_capped() -> None:
    assert render('{{ contact.colour | default("x") }}', contact={"fields": {"colour": "x" * 999}}) == "x" * 160


@pytest.mark.parametrize("character", ["a", "€", "á", "😀"])
def test_a_text_is_cut_at_ten_segments(character: str) -> None:
    text = render("{{ message.text }}{{ message.text }}", character * 1600)
    assert segments(text).count == MAX_SEGMENTS


def test_the_hint_of_the_contact_is_empty_where_there_is_none() -> None:
    assert render("Bye{{ business.contact_hint }}.") == "Bye, or contact 555-0100."
    assert render("Bye{{ business.contact_hint }}.", business=Business()) == "Bye."


@given(st.text(max_size=60))
def test_any_template_renders_or_says_why_not(template: str) -> None:
    with suppress(TemplateError):
        assert isinstance(render(template), str)


@given(
    st.text(max_size=400), st.sampled_from(["upper", "lower", "title", "first_word", "date", "time", 'truncate("7")'])
)
def test_any_value_passes_any_filter(value: str, name: str) -> None:
    text = render(f"{{{{ message.text | {name} }}}}", value)
    text.encode()
    assert segments(text).count <= MAX_SEGMENTS
