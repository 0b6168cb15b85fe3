"""Numbers that are to be bought or given back: one row each, carried out step by step (buying.py).

`need` says what a purchase is for, and there is one open or done purchase for a need: whoever asks twice, on whichever
node, gets the one that there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import phonenumbers

from adapters import NUMBERS
from bot.alerts import alert
from bot.area_codes import area_code, country_of
from bot.clock import MICROSECONDS, new_id
from bot.config import Config
from bot.store.contract import Row, Transaction

Step = Literal["search", "order", "confirm", "set_up", "tell", "release"]
State = Literal["open", "done", "pool", "refused", "dry_run", "released"]
"""`pool`: none was to be had; `released`: the number was given back, or is not theirs any more."""

_AGAIN_SECONDS = 86_400
"""How long nothing is looked for again after nothing was to be had."""


class CannotBuy(Exception):
    """No number can be bought; the message says why, and what to do."""


def buying_channel(config: Config, wanted: str = "") -> str:
    """The channel that buys. Raises CannotBuy."""
    name = wanted or config.numbers.channel
    able = [channel.name for channel in config.channels.values() if channel.adapter in NUMBERS]
    if name and name not in able:
        what = "sells no numbers through its API" if name in config.channels else "is none of config.toml"
        raise CannotBuy(f"Channel '{name}' {what}.")
    if not able:
        raise CannotBuy(f"No channel's provider sells numbers through its API. Those that do: {', '.join(NUMBERS)}.")
    return name or able[0]


def _complete(config: Config, name: str) -> str:
    """The channel, if it could set up what it orders. Raises CannotBuy."""
    channel = config.channels[name]
    missing = sorted(key for key in NUMBERS[channel.adapter].needs if not channel.settings.get(key))
    if missing:
        raise CannotBuy(f"Channel '{name}' needs '{missing[0]}' in config.toml before it can buy numbers.")
    return name


def allowed_countries(config: Config) -> tuple[str, ...]:
    """Where numbers may be bought (two letters)."""
    return config.numbers.countries or (config.business.country,)


def place_of(phone: str) -> tuple[str, str]:
    """(country, area code) of a phone in E.164; the area code only where numbers go by it (+1)."""
    code = area_code(phone)
    if code:
        return country_of(code) or "US", code
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or "", ""
    except phonenumbers.NumberParseException:
        return "", ""


def month_start(now: int) -> int:
    """The beginning of the calendar month (UTC microseconds)."""
    first = datetime.fromtimestamp(now / MICROSECONDS, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return round(first.timestamp()) * MICROSECONDS


async def want_line(
    transaction: Transaction, config: Config, user: Row, *, by: str, now: int, again: bool = True
) -> Row:
    """The purchase of a user's own number, made now where there is none. Not `again`: where nothing was to be had
    today, nothing is looked for. Raises CannotBuy."""
    need = f"user:{user['id']}"
    last = await transaction.row("purchase_for", need=need)
    if last is not None and not again and last["state"] in ("pool", "dry_run") and _is_recent(last, now):
        return last
    if not user["cell"] and not _stands(last):
        raise CannotBuy(f"Whose number? {user['name']} has no cell whose area code it could have.")
    country, code = place_of(user["cell"])
    return await want_number(
        transaction, config, need=need, country=country, code=code, by=by, now=now, user_id=user["id"]
    )


async def want_number(
    transaction: Transaction,
    config: Config,
    *,
    need: str,
    country: str,
    code: str,
    by: str,
    now: int,
    number: str = "",
    channel: str = "",
    user_id: str | None = None,
) -> Row:
    """A purchase: of this `number`, or of one in or near an area code. The one that there is, where the need has one.
    Raises CannotBuy."""
    last = await transaction.row("purchase_for", need=need)
    if last is not None and _stands(last):
        return last
    if user_id is not None and (own := await transaction.row("lines_of_user", user=user_id)) is not None:
        raise CannotBuy(f"They have a number already: {own['number']}.")
    if code and country_of(code) not in ("", country):
        raise CannotBuy(f"Area code {code} is not in '{country}'.")
    if country not in allowed_countries(config):
        allowed = ", ".join(allowed_countries(config))
        raise CannotBuy(f"No numbers are bought in '{country}': [numbers] countries allows {allowed}.")
    if not config.server.public_url:
        raise CannotBuy("A number needs [server] public_url, where its provider can reach us.")
    row = _row(
        need=need,
        channel=_complete(config, buying_channel(config, channel)),
        country=country,
        area_code=code,
        step="order" if number else "search",
        number=number,
        found_by="asked for" if number else "",
        requested_by=by,
        user_id=user_id,
        at=now,
        ordered_at=now if number else 0,
    )
    if number:
        await hold_cap(transaction, config, now)
        if await transaction.row("who_has_number", number=number, id="") is not None:
            raise CannotBuy(f"{number} is ours already, or on its way.")
        if config.numbers.dry_run:
            raise CannotBuy(f"Dry run ([numbers] dry_run): {number} would be bought now.")
    await transaction.each("add_purchases", [row])
    await transaction.wake("numbers")
    found = await transaction.row("purchase_for", need=need)
    assert found is not None, "it was just made"
    return found


async def note_refusal(transaction: Transaction, config: Config, user: Row, reason: str, *, by: str, now: int) -> None:
    """Keep that a user gets no number now, and why, where people look: once a day for a reason."""
    need = f"user:{user['id']}"
    last = await transaction.row("purchase_for", need=need)
    if last is not None and last["state"] == "refused" and last["error"] == reason and _is_recent(last, now):
        return
    country, code = place_of(user["cell"])
    row = _row(
        need=need,
        channel=config.numbers.channel,
        country=country,
        area_code=code,
        state="refused",
        step="search",
        number="",
        found_by="pool",
        error=reason,
        requested_by=by,
        user_id=user["id"],
        at=now,
    )
    await transaction.each("add_purchases", [row])
    data = {"purchase": row["id"], "step": "search", "error": reason, "user": user["id"]}
    await alert(transaction, config, "number.trouble", data, f"{user['name']} gets no number: {reason}", at=now)


def _stands(row: Row | None) -> bool:
    return row is not None and row["state"] in ("open", "done")


def _is_recent(row: Row, now: int) -> bool:
    return bool(now - row["updated_at"] < _AGAIN_SECONDS * MICROSECONDS)


async def hold_cap(transaction: Transaction, config: Config, now: int) -> None:
    """Until the end of the transaction nobody else orders a number. Raises CannotBuy when the month's are used up."""
    await transaction.lock_names(["purchases"])
    row = await transaction.row("count_ordered", since=month_start(now))
    cap = config.numbers.monthly_cap
    if row is not None and row["count"] >= cap:
        raise CannotBuy(f"{row['count']} numbers were ordered this month, and [numbers] monthly_cap is {cap}.")


async def give_back(transaction: Transaction, line: Row, *, by: str, now: int, days: float) -> Row:
    """Give a number back after its quarantine: until then it is answered, but nothing begins on it."""
    need = _release_of(line["number"])
    release_at = now + round(days * 86_400 * MICROSECONDS)
    await transaction.rows("quarantine_number", number=line["number"], release_at=release_at, now=now)
    await end_line(transaction, line, now)
    row = _row(
        need=need,
        channel=line["channel"],
        country="",
        area_code="",
        step="release",
        number=line["number"],
        found_by="",
        requested_by=by,
        user_id=None,
        at=now,
        due_at=release_at,
    )
    await transaction.each("add_purchases", [row])
    # It may be on its way out already: the earlier moment counts.
    await transaction.rows("hasten_release", need=need, due_at=release_at, now=now)
    await transaction.wake("numbers")
    found = await transaction.row("purchase_for", need=need)
    assert found is not None, "it was just made"
    return found


async def end_line(transaction: Transaction, line: Row, now: int) -> None:
    """The number is not ours any more: whoever had it, or asks for it, may get one again."""
    await take_away(transaction, line, now)
    await transaction.rows("end_purchases_of", number=line["number"], now=now)


async def end_release(transaction: Transaction, number: str, now: int) -> None:
    """It is not to be given back any more: it is gone already, or was bought again since."""
    await transaction.rows("end_need", need=_release_of(number), now=now)


def _release_of(number: str) -> str:
    return f"release:{number}"


async def take_away(transaction: Transaction, line: Row, now: int) -> None:
    """The number is not its user's own any more: they may get another."""
    if line["user_id"]:
        await transaction.rows("end_need", need=f"user:{line['user_id']}", now=now)


def number_row(
    number: str, channel: str, source: Literal["bought", "found"], *, label: str = "", user_id: str | None = None,
    provider_id: str = "", registration: str = "", campaign: str = "",
) -> Mapping[str, object]:  # fmt: skip
    """A row of `numbers`; what is "" or None is left as it is known."""
    return {"number": number, "channel": channel, "source": source, "label": label, "user_id": user_id,
            "provider_id": provider_id, "registration": registration, "campaign": campaign}  # fmt: skip


def _row(
    *, at: int, due_at: int | None = None, ordered_at: int = 0, state: State = "open", error: str = "", **values: object
) -> Mapping[str, object]:
    return {"id": new_id(), "state": state, "error": error, "at": at, "due_at": at if due_at is None else due_at,
            "ordered_at": ordered_at, **values}  # fmt: skip
