"""Looking contacts up: by every criterion, by all of them together, and page by page while contacts come and go."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from bot.clock import MICROSECONDS, system_clock
from bot.contacts import NewPerson, create
from bot.criteria import Criteria, searchable, selection
from bot.store.migrate import migrations
from bot.store.open import open_store
from bot.suppression import Suppressions
from rules.facts import ALL_CONTACTS
from tests.web.site import make_contact
from tests.web.tables import execute

DAY = 86_400 * MICROSECONDS


@pytest.fixture
def mark(new_phone):
    """A tag that only this test's contacts have."""
    return f"of {new_phone()}"


async def names(admin, **criteria):
    """The names found, the newest first, over all pages."""
    return [contact["name"] for contact in await found(admin, **criteria)]


async def found(admin, limit="500", **criteria):
    items, cursor = [], {}
    while True:
        page = await admin.get("/contacts", limit=limit, **criteria, **cursor)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


async def test_a_name_is_found_without_accents_and_whatever_its_case(admin, new_phone, mark):
    for name in (
        "Élodie Müller",
        "ELODIE muller",
        "Straße 5",
        "Ångström, Zoë",
        "İpek",
        "Ελένη",
        "北京 Li",
        "",
        "O'Brien",
    ):
        await make_contact(admin, new_phone(), name=name, tags=[mark])
    for q, wanted in (
        ("elodie", ["ELODIE muller", "Élodie Müller"]),
        ("ÉLODIE M", ["ELODIE muller", "Élodie Müller"]),
        ("e\u0301lodie", ["ELODIE muller", "Élodie Müller"]),
        ("die mül", ["ELODIE muller", "Élodie Müller"]),
        ("STRASSE", ["Straße 5"]),
        ("straße 5", ["Straße 5"]),
        ("angstrom, zoe", ["Ångström, Zoë"]),
        ("ipek", ["İpek"]),
        ("ελενη", ["Ελένη"]),
        ("京 l", ["北京 Li"]),
        ("o'b", ["O'Brien"]),
        (" elodie ", ["ELODIE muller", "Élodie Müller"]),
        ("lodie  m", []),
        ("nobody", []),
    ):
        assert await names(admin, q=q, tag=mark) == wanted, q
    assert len(await names(admin, q="", tag=mark)) == 9


async def test_a_name_that_was_changed_is_found_by_the_new_one_only(admin, new_phone, mark):
    contact = await make_contact(admin, new_phone(), name="Bo", tags=[mark])
    await admin.call("PATCH", f"/contacts/{contact['id']}", {"name": "Ägidius"})
    assert await names(admin, q="agi", tag=mark) == ["Ägidius"]
    assert await names(admin, q="bo", tag=mark) == []


async def test_a_part_of_a_number_is_found_as_people_write_numbers(admin, new_phone, mark):
    phone = new_phone()  # +1AAA55501NN
    area, last = phone[2:5], phone[-2:]
    await make_contact(admin, phone, name="Ana", tags=[mark])
    for q in (
        phone,
        phone[1:],
        phone[2:],
        f"({area}) 555-01{last}",
        f"{area}.555.01{last}",
        f"{area} 555 01{last}",
        f"+1-{area}-555-01{last}",
        f"1/{area}/555/01{last}",
        f" {phone[1:]}",
        f"{area}\u00a0555\u00a001{last}",
        f"{area}\u2011555\u201101{last}",
        f"{area}\u2013555",
        f"\u202a{phone}\u202c",
        f"555-01{last}",
        f"01{last}",
    ):
        assert await names(admin, q=q, tag=mark) == ["Ana"], q
    for q in (f"{phone}0", "999999", "()", "+", f"x{phone}", f"Wing {last}"):
        assert await names(admin, q=q, tag=mark) == [], q


@pytest.mark.parametrize("name", ["100% off", "a_b", "wow!", "back\\slash", "quote'd", "[ab]*", '"x"'])
async def test_signs_that_mean_something_to_a_store_mean_themselves(admin, new_phone, mark, name):
    await make_contact(admin, new_phone(), name="100 of ab wow backslash", tags=[mark])
    await make_contact(admin, new_phone(), name=name, tags=[mark])
    assert await names(admin, q=name, tag=mark) == [name]
    (sign,) = [sign for sign in "%_!\\'[\"" if sign in name][:1]
    assert await names(admin, q=sign, tag=mark) == [name]


async def test_a_field_is_asked_for_by_value_or_as_missing(admin, new_phone, mark):
    for name, fields in (("one", {"size": "XL"}), ("two", {"size": ""}), ("three", {}), ("four", {"siz-e_2": "XL"})):
        await make_contact(admin, new_phone(), name=name, fields=fields, tags=[mark])
    assert await names(admin, tag=mark, field="size", value="XL") == ["one"]
    assert await names(admin, tag=mark, field="size", value="xl") == []
    assert await names(admin, tag=mark, field="size") == ["four", "three", "two"]
    assert await names(admin, tag=mark, field="size", value="") == ["four", "three", "two"]
    assert await names(admin, tag=mark, field="siz-e_2", value="XL") == ["four"]
    status, problem = await admin.call("GET", "/contacts", value="XL")
    assert (status, problem["errors"]) == (422, [{"field": "value", "detail": "of which field?"}])
    for name in ("$.size", "a.b", "1st", "a'b", ""):
        assert (await admin.call("GET", "/contacts", field=name))[0] == 422


@pytest.mark.parametrize(
    "query",
    [{"texted_within_days": "0"}, {"silent_for_days": "-1"}, {"texted_within_days": "3661"}, {"opted_in": "perhaps"},
     {"q": "x" * 101}, {"tag": ""}, {"list": "a/b"}, {"cursor": "x"}, {"limit": "0"}, {"limit": "501"}],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused_by_name(any_site, client, query):
    status, problem = await any_site.api(client).call("GET", "/contacts", **query)
    assert (status, [error["field"] for error in problem["errors"]]) == (422, list(query))


async def test_a_list_that_there_is_not_holds_nobody(admin):
    assert await admin.get("/contacts", list="nope") == {"items": [], "next": None}
    assert (await admin.get("/contacts", list=ALL_CONTACTS, limit="1")) == await admin.get("/contacts", limit="1")


async def test_pages_stay_right_while_contacts_come_and_go(admin, new_phone, mark):
    made = [(await make_contact(admin, new_phone(), tags=[mark]))["id"] for _ in range(12)]
    gone, kept = set(made[::3]), set(made) - set(made[::3])
    seen, cursor = [], {}
    while True:
        page = await admin.get("/contacts", tag=mark, limit="3", **cursor)
        seen += [contact["id"] for contact in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
        await make_contact(admin, new_phone(), tags=[mark])
        if gone:
            # Also the one that the cursor names.
            id_ = page["next"] if page["next"] in gone else gone.pop()
            gone.discard(id_)
            await admin.call("DELETE", f"/contacts/{id_}", confirm="true")
    assert len(seen) == len(set(seen))
    assert kept <= set(seen) <= set(made)
    assert seen == sorted(seen, reverse=True)


@dataclass
class Model:
    """What the test knows of a contact that no answer tells."""

    contact: dict
    texted_days_ago: list[int] = field(default_factory=list)


def meets(model: Model, asked: dict) -> bool:
    """Whether the contact is what is asked for, by plain Python."""
    contact, days = model.contact, min(model.texted_days_ago, default=10_000)
    phones = contact["phones"]
    rules = {
        "q": lambda q: searchable(q) in searchable(contact["name"]) or any(q in phone["number"] for phone in phones),
        "list": lambda name: name in contact["lists"],
        "tag": lambda tag: tag in contact["tags"],
        "without_tag": lambda tag: tag not in contact["tags"],
        "field": lambda name: contact["fields"].get(name, "") == asked.get("value", ""),
        "value": lambda _: True,
        "opted_in": lambda flag: any(phone["opted_in"] == (flag == "true") for phone in phones),
        "blocked": lambda flag: any(phone["blocked"] == (flag == "true") for phone in phones),
        "textable": lambda flag: any(phone["textable"] for phone in phones) == (flag == "true"),
        "texted_within_days": lambda most: days < int(most),
        "silent_for_days": lambda least: days >= int(least),
    }
    return all(rules[name](value) for name, value in asked.items())


async def population(site, client, admin, new_phone, mark, chance) -> list[Model]:
    """Contacts of every kind. Some texted us, so many days ago."""
    models = []
    for number in range(14):
        phones = [new_phone() for _ in range(chance.choice((1, 1, 2)))]
        contact = await make_contact(
            admin, phones[0], name=chance.choice(("Ana", "Élan", "Bo 3", "")), tags=[mark, chance.choice("ab")],
            fields=chance.choice(({}, {"size": "XL"}, {"size": "M"})), lists=chance.choice(([], ["club"])),
            opted_in=chance.random() < 0.7,
        )  # fmt: skip
        path = f"/contacts/{contact['id']}"
        for phone in phones[1:]:
            await admin.call("POST", f"{path}/phones", {"number": phone, "label": chance.choice(("cell", "home"))})
        for phone in phones:
            if chance.random() < 0.25:
                await admin.call("PATCH", f"{path}/phones/{phone}", {"blocked": True})
        texted = []
        if number % 2:
            await site.customer(client, phones[-1]).text("HOURS")
            texted = [chance.choice((0, 2, 9, 40))]
            moment = system_clock() - texted[0] * DAY - DAY // 2
            statement = f"UPDATE conversations SET last_inbound_at = {moment} WHERE phone = '{phones[-1]}'"
            await execute(site, statement)
        models.append(Model(await admin.get(path), texted))
    return models


async def test_all_criteria_together_find_who_meets_each_of_them(site, client, admin, new_phone, mark):
    chance = random.Random(7)
    models = await population(site, client, admin, new_phone, mark, chance)
    choices = {
        "q": ["a", "ELAN", "3", "5550", models[3].contact["phones"][0]["number"][3:]],
        "list": ["club", ALL_CONTACTS],
        "without_tag": ["a", "b"],
        "field": ["size"],
        "opted_in": ["true", "false"],
        "blocked": ["true", "false"],
        "textable": ["true", "false"],
        "texted_within_days": ["1", "7", "30"],
        "silent_for_days": ["1", "7", "30"],
    }
    alone = [{name: value} for name, values in choices.items() for value in values]
    mixed = [
        {name: chance.choice(choices[name]) for name in chance.sample(list(choices), chance.choice((2, 3)))}
        for _ in range(40)
    ]
    hits = set()
    for asked in alone + mixed:
        if "field" in asked and chance.random() < 0.6:
            asked["value"] = chance.choice(("XL", "M"))
        wanted = [model.contact["id"] for model in models if meets(model, asked)][::-1]
        got = [contact["id"] for contact in await found(admin, limit=chance.choice(("3", "50")), tag=mark, **asked)]
        assert got == wanted, asked
        hits.add(len(wanted))
    assert len(hits) > 6, "the cases say something"


async def test_a_search_within_a_list_by_query_meets_both(site, client, admin, new_phone, mark):
    models = await population(site, client, admin, new_phone, mark, random.Random(11))
    name = f"by query {mark}"
    query = {"tag": mark, "textable": True, "without_tag": "a"}
    assert (await admin.call("POST", "/lists", {"name": name, "query": query}))[0] == 201
    for asked in ({}, {"q": "a"}, {"tag": "b"}, {"without_tag": "b"}, {"silent_for_days": "7"}, {"textable": "false"}):
        both = {"textable": "true", "without_tag": "a"}
        wanted = [m.contact["id"] for m in models if meets(m, both) and meets(m, asked)][::-1]
        assert [contact["id"] for contact in await found(admin, list=name, **asked)] == wanted, asked


async def test_names_from_before_this_version_are_found_after_its_migration(store_url, tmp_path, monkeypatch):
    """A store of the version before it, with people in it."""
    everything = migrations()
    monkeypatch.setattr("bot.store.migrate.migrations", lambda: everything[:2])
    async with open_store(store_url, tmp_path) as store:
        columns = "id, name, fields, source, created_at, updated_at"
        async with store.migrating():
            await store.script(f"INSERT INTO contacts ({columns}) VALUES ('c1', 'Élodie Müller', '{{}}', '', 1, 1);")
    monkeypatch.undo()
    async with open_store(store_url, tmp_path) as store, store.snapshot() as transaction:
        for q in ("elodie", "Élodie", "MULLER"):
            chosen = await selection(transaction, Criteria(q=q))
            found_ = await transaction.rows("selected_ids", **chosen.parameters(0))
            assert [row["contact_id"] for row in found_] == ["c1"], q


async def test_contacts_made_at_the_same_moment_are_each_on_one_page(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as store:
        suppressions = await Suppressions.of(store)

        async def make(number):
            phones = ((f"+120255501{number:02d}", "cell"),)
            new = NewPerson(str(number), phones, frozenset(), frozenset(), {}, opted_in=False, evidence="")
            async with store.transaction() as transaction:
                await create(transaction, suppressions, lambda *_: False, new, "staff", 1)

        await asyncio.gather(*(make(number) for number in range(20)))
        seen, cursor = [], None
        async with store.snapshot() as transaction:
            while True:
                chosen = (await selection(transaction, Criteria())).parameters(0)
                page = await transaction.rows("page_contacts", **chosen, cursor=cursor, limit=3)
                if not page:
                    break
                seen += [row["id"] for row in page]
                cursor = seen[-1]
        assert len(seen) == len(set(seen)) == 20
