"""The two gates say the same, and the state machine keeps its promises, over all states and all sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.consent import (
    Exemption,
    NeedsReason,
    PhoneConsent,
    Refused,
    block,
    event_name,
    opt_in_by_any_text,
    opt_in_by_staff,
    opt_in_by_text,
    opt_out,
    refusal,
    unblock,
)  # fmt: skip
from bot.store.open import open_store

LABELS = ("cell", "home", "work", "other")
EXEMPTIONS: tuple[Exemption, ...] = ("", "opt_in", "opt_out", "help")
NOW = 1_000_000
STATES = [
    PhoneConsent(*flags, label=label)
    for flags in itertools.product((True, False), repeat=4)
    for label in LABELS
]  # fmt: skip


def exempt_until(exemption: Exemption) -> int:
    """What the outbox row of a message carries while its exemption lasts."""
    return NOW + 1 if exemption else 0


async def test_the_gate_in_python_and_the_gate_in_sql_agree_about_every_phone_and_every_message(store_url, tmp_path):
    cases = [
        (f"+1202{position:07d}", state, exemption)
        for position, (state, exemption) in enumerate(itertools.product([*STATES, None], EXEMPTIONS))
    ]
    phones = [
        {"number": number, "contact_id": "c", "label": state.label, "at": 0}
        | {name: int(value) for name, value in state.as_json().items()}
        for number, state, _ in cases
        if state is not None
    ]
    messages = [_message(number, exemption) for number, _, exemption in cases]
    async with open_store(store_url, tmp_path) as store, store.transaction() as transaction:
        await transaction.each(
            "insert_contacts", [{"id": "c", "name": "", "search": "", "fields": "{}", "source": "x", "at": 0}]
        )
        await transaction.each("upsert_phones", phones)
        await transaction.each("insert_messages", messages)
        claimed = await _claim(transaction, NOW)
    expected = {
        number: "sending" if refusal(state, exemption) is None else "cancelled" for number, state, exemption in cases
    }
    assert claimed == expected


@pytest.mark.parametrize("exemption", ["opt_out", "opt_in", "help"])
async def test_an_exemption_ends_with_its_time(exemption, store_url, tmp_path):
    async with open_store(store_url, tmp_path) as store, store.transaction() as transaction:
        await transaction.each(
            "insert_contacts", [{"id": "c", "name": "", "search": "", "fields": "{}", "source": "x", "at": 0}]
        )
        state = PhoneConsent(label="work") if exemption == "opt_in" else opt_out(PhoneConsent())
        flags = {name: int(value) for name, value in state.as_json().items()}
        await transaction.each(
            "upsert_phones", [{"number": "+1", "contact_id": "c", "label": state.label, "at": 0, **flags}]
        )
        await transaction.each("insert_messages", [_message("+1", exemption)])
        assert await _claim(transaction, NOW + 1) == {"+1": "cancelled"}


async def _claim(transaction: Any, now: int) -> dict[str, str]:
    """What became of each message that was looked at."""
    rows = await transaction.rows(
        "claim_messages", now=now, lease_until=now + 1, limit=10_000, allowances="[]", channels="[]"
    )
    return {row["id"]: row["state"] for row in rows}


def _message(number: str, exemption: Exemption) -> dict[str, Any]:
    return {
        **dict.fromkeys(("conversation_id", "body", "sent_by", "sent_by_name", "number", "channel"), "x"),
        **dict.fromkeys(("priority", "due_at", "sent_before", "created_at"), 0),
        "hours": "",
        "run_id": None,
        "purchase_id": None,
        "id": number,
        "direction": "outbound",
        "state": "queued",
        "phone": number,
        "media": "[]",
        "parts": 1,
        "provider_id": None,
        "in_reply_to": None,
        "error": None,
        "exempt_until": exempt_until(exemption),
        "exemption": exemption,
    }


def _by_staff(state: PhoneConsent, reason: str = "the form of 3 March") -> PhoneConsent:
    try:
        return opt_in_by_staff(state, reason)
    except Refused:
        return state


STEPS: dict[str, Callable[[PhoneConsent], PhoneConsent]] = {
    "stop": opt_out,
    "wrong number": lambda state: opt_out(state, wrong_number=True),
    "start": opt_in_by_text,
    "any text": opt_in_by_any_text,
    "staff opt in": _by_staff,
    "staff opt in without a reason": lambda state: _by_staff(state, " "),
    "block": block,
    "unblock": unblock,
}
states = st.sampled_from(STATES)


@given(states, st.lists(st.sampled_from(list(STEPS)), max_size=12))
def test_every_sequence_of_changes_keeps_the_promises_of_the_table(state, steps):
    for step in steps:
        before, state = state, STEPS[step](state)
        if step == "block":
            assert (state.blocked, state.opted_in) == (True, False)
        if state.opted_in and not before.opted_in:
            assert step in ("start", "any text", "staff opt in")
            assert not before.blocked
        if before.blocked and step != "unblock":
            assert state.blocked
            assert state.opted_in <= before.opted_in
        if step == "unblock":
            assert state == replace(before, blocked=False)
        if step in ("stop", "wrong number", "block"):
            assert refusal(state) is not None
        if step == "start" and not before.blocked:
            assert refusal(replace(state, label="cell")) is None
        if step == "staff opt in without a reason":
            assert state == before
        if step in ("staff opt in", "any text", "stop"):
            assert (state.do_not_contact, state.wrong_number) == (before.do_not_contact, before.wrong_number)
        assert state.label == before.label
        assert (event_name(before, state) == "created") == (before == state)


@given(states, st.sampled_from(EXEMPTIONS))
def test_a_blocked_phone_gets_nothing_and_an_exemption_never_takes_away(state, exemption):
    assert refusal(block(state), exemption) == "the phone is blocked"
    if refusal(state) is None:
        assert refusal(state, exemption) is None
    assert refusal(opt_out(state), "opt_in") is not None


@given(states)
def test_staff_are_told_to_unblock_before_they_are_asked_for_a_reason(state):
    for reason in ("", "  ", "the form"):
        if state.blocked:
            with pytest.raises(Refused) as refused:
                opt_in_by_staff(state, reason)
            assert not isinstance(refused.value, NeedsReason)
        elif not reason.strip():
            with pytest.raises(NeedsReason):
                opt_in_by_staff(state, reason)
        else:
            assert opt_in_by_staff(state, reason).opted_in
