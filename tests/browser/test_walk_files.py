"""Files of contacts: trying one, what is wrong with it line by line, importing it, and exports."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from tests.browser.samples import contact
from tests.browser.walk import Walk
from tests.server import Api
from tests.web.site import Phones


async def hand_in(desk: Walk, name: str, text: str, *, dry: bool) -> None:
    """Choose a file, and hand it in."""
    await desk.open("/imports")
    trying = desk.page.get_by_label(re.compile("Only try"))
    assert await trying.is_checked(), "trying is what comes first"
    await trying.set_checked(dry)
    file = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    await desk.page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    await desk.click("Read the file")


async def test_a_file_is_tried_mended_and_imported(desk: Walk, admin: Api, new_phone: Phones):
    number = new_phone()
    wrong = f"name,cell,lists\nFair Visitor,{number},club\nNobody,12345,\nOtto,{new_phone()},nowhere\n"
    await hand_in(desk, "fair.csv", wrong, dry=True)
    await desk.sees("fair.csv")
    await desk.sees(re.compile("Would be: 3 rows: 1 new, 0 changed, 0 as they were, 2 left out"), within=15_000)
    rows = desk.page.locator("tbody tr")
    assert [(await rows.nth(place).inner_text()).split()[0] for place in range(2)] == ["3", "4"]
    await desk.sees(re.compile("12345"), inside=rows.nth(0))
    await desk.sees(re.compile("nowhere"), inside=rows.nth(1))
    await desk.sees("This was only a try.")
    assert (await admin.get("/contacts", q=number))["items"] == []
    await hand_in(desk, "fair.csv", f"name,cell,lists\nFair Visitor,{number},club\n", dry=False)
    await desk.sees(re.compile("1 rows: 1 new"), within=15_000)
    found = await admin.contact_of(number)
    assert (found["name"], found["lists"]) == ("Fair Visitor", ["All Contacts", "club"])
    assert not found["phones"][0]["opted_in"], "nobody is opted in without evidence"
    await desk.click("‹ Import and export")
    await desk.sees("only tried")


async def test_opting_in_everybody_needs_evidence(desk: Walk, new_phone: Phones):
    text = f"name,cell\nEve,{new_phone()}\n"
    await desk.open("/imports")
    await desk.page.get_by_label(re.compile("Everybody in the file")).check()
    desk.expects("status of 422")
    file = {"name": "eve.csv", "mimeType": "text/csv", "buffer": text.encode()}
    await desk.page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    await desk.click("Read the file")
    await desk.sees("Opting in needs evidence")


async def test_a_file_that_is_none_is_refused(desk: Walk):
    desk.expects("status of 422")
    await hand_in(desk, "picture.csv", "\x00\x01\x02 no header here", dry=True)
    await desk.sees("That did not work")


async def test_contacts_messages_and_consent_are_downloaded(desk: Walk, admin: Api, new_phone: Phones, tmp_path: Path):
    number = new_phone()
    await contact(admin, number, "Exported Émile")
    await desk.open("/imports")
    for link, words in (("Contacts", "Exported Émile"), ("Messages", "direction"), ("Consent history", number)):
        async with desk.page.expect_download() as coming:
            await desk.click(link, "link", inside=desk.page.locator("section", has_text="Export").last)
        download = await coming.value
        await download.save_as(tmp_path / download.suggested_filename)
        text = (tmp_path / download.suggested_filename).read_text(encoding="utf-8-sig")
        assert words in text
        assert len({len(row) for row in csv.reader(text.splitlines())}) == 1 or link == "Messages"
