"""Texts of staff with variables, filled in for one person: the templates of rule files, where no message is at hand."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

from bot.config import Config
from bot.contacts import Person
from bot.deciding import surroundings_of
from rules.book import RuleBook
from rules.facts import Contact, Facts
from rules.message import Message
from rules.template import Template, compile_template


class Personal:
    """Compiles and renders by one set of rules, whose fields may be asked for."""

    def __init__(self, config: Config, book: RuleBook) -> None:
        self._business = surroundings_of(config).business
        self._zone = ZoneInfo(config.business.timezone)
        self._fields = tuple(book.fields)

    def compiled(self, text: str) -> Template:
        """The text's template. Raises TemplateError."""
        return _compiled(text, self._zone, self._fields)

    def render(self, template: Template, person: Person | None, phone: str, now: int) -> str:
        """The text for a person; None is somebody who is no contact. `now` is UTC microseconds."""
        name = person.contact.name if person else ""
        fields = person.contact.fields if person else {}
        facts = Facts(text="", phone=phone, contact=Contact(name=name, fields=fields), business=self._business)
        return template.render(Message(facts, now), {})


@lru_cache(256)
def _compiled(text: str, zone: ZoneInfo, fields: tuple[str, ...]) -> Template:
    return compile_template(text, zone, fields, (), allow_message=False)
