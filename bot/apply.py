"""Apply a decision: effects in, the new thread and the rows that it adds out. Pure: nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapters.contract import Inbound
from bot import consent
from bot.changes import AUTOMATIC, PRIORITY_REPLY, Additions, JsonRow, consent_event, dumps, notification
from bot.clock import MICROSECONDS, new_id
from bot.config import Channel
from bot.consent import CONFIRMATION_SECONDS, HELP_SECONDS, Exemption, PhoneConsent
from bot.people import Contact, Conversation, Phone, Thread
from rules.decide import Decision
from rules.effects import (
    AddTag,
    AddToList,
    Block,
    Effect,
    Handoff,
    IncrementField,
    Notify,
    OptIn,
    OptOut,
    RemoveFromList,
    RemoveTag,
    Reply,
    SetField,
)  # fmt: skip
from rules.facts import SenderKind
from rules.reader import FOREVER
from rules.segments import segments

_FOREVER_SECONDS = 100 * 366 * 86400
_EXEMPT_SECONDS: Mapping[str, int] = {"opt_out": CONFIRMATION_SECONDS, "help": HELP_SECONDS}
_NOTE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came in. `id` is ours; `sender` and `number` are E.164 where that is possible."""

    id: str
    channel: Channel
    inbound: Inbound
    sender: str
    kind: SenderKind
    number: str
    at: int
    content: str = ""
    """What identifies a message of a provider that gives no ids."""

    @property
    def provider_id(self) -> str:
        """The provider's id, or one of our own making."""
        return self.inbound.provider_id or f"{self.content}:{self.id}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration says about applying. Times are in seconds."""

    default_route: str
    auto_reply_cap: int
    auto_reply_window_seconds: int
    staff_seconds: int


class Application:
    """One decision being applied to one thread."""

    def __init__(self, arrival: Arrival, thread: Thread, policy: Policy) -> None:
        self._arrival = arrival
        self._policy = policy
        self.contact: Contact | None = thread.contact
        self.phone: Phone | None = thread.phone
        self.conversation: Conversation = thread.conversation
        self.automatic = thread.automatic
        self.added = Additions()

    @property
    def thread(self) -> Thread:
        """The thread as it is now."""
        return Thread(self.contact, self.phone, self.conversation, self.automatic, is_first=False)

    def receive(self, state: str, error: str | None = None) -> None:
        """Record the inbound message itself; a blocked one moves nothing else."""
        arrival = self._arrival
        inbound = arrival.inbound
        self.added.messages.append(
            _message_row(
                self.conversation,
                id=arrival.id,
                direction="inbound",
                state=state,
                body=inbound.body,
                media=dumps([{"url": media.url, "content_type": media.content_type} for media in inbound.media]),
                provider_id=arrival.provider_id,
                sent_by="contact",
                sent_by_name=self.contact.id if self.contact else "",
                error=error,
                created_at=arrival.at,
            )
        )
        if state != "blocked":
            self.conversation = replace(
                self.conversation,
                channel=arrival.channel.name,
                unread=self.conversation.unread + 1,
                last_inbound_at=arrival.at,
                last_message_at=arrival.at,
            )

    def decided(self, decision: Decision) -> None:
        """Apply everything that the decision's rules cause, in order."""
        was_staff = self.conversation.mode_at(self._arrival.at) == "staff"
        for fired in decision.fired:
            for effect in fired.effects:
                self._apply(effect, fired.rule)
        blocked = self.phone is not None and self.phone.consent.blocked
        told = any(row["conversation_id"] for row in self.added.notifications)
        if was_staff and not told and not blocked:
            self.tell(self.conversation.route, "message.received", "", "")

    def tell(self, route: str, kind: str, note: str, rule: str) -> None:
        """Queue a notification for staff; without any route there is nobody to tell but the console."""
        name = route or self._policy.default_route
        if not name:
            return
        arrival = self._arrival
        data: JsonRow = {
            "conversation": {
                "id": self.conversation.id,
                "phone": self.conversation.phone,
                "number": self.conversation.number,
                "channel": self.conversation.channel,
                "mode": self.conversation.mode_at(arrival.at),
            },
            "contact": {"id": self.contact.id, "name": self.contact.name} if self.contact else None,
            "message": {
                "id": arrival.id,
                "body": arrival.inbound.body,
                "media": [media.url for media in arrival.inbound.media],
            },
            "route": name,
            "rule": rule,
            "note": note[:_NOTE_CHARACTERS],
        }
        row = notification(name, kind, data, at=arrival.at, conversation_id=self.conversation.id)
        self.added.notifications.append(row)

    def change_consent(self, after: PhoneConsent, actor: str, reason: str) -> None:
        """Move the phone's consent, with its line in the history."""
        if self.phone is None or after == self.phone.consent:
            return
        event = consent_event(
            self.phone, after, at=self._arrival.at, actor=actor, reason=reason, message_id=self._arrival.id
        )
        self.added.consent_events.append(event)
        if self.phone.consent.opted_in and not after.opted_in:
            self.added.silenced.append(self.phone.number)
        self.phone = replace(self.phone, consent=after)

    def _apply(self, effect: Effect, rule: str) -> None:
        match effect:
            case Reply():
                self._reply(effect, rule)
            case Notify():
                self.tell(effect.route, "conversation.notified", effect.note, rule)
            case Handoff():
                self._hand_off(effect, rule)
            case OptOut() | OptIn() | Block():
                self._change_consent(effect, rule)
            case AddToList() | RemoveFromList() | AddTag() | RemoveTag() | SetField() | IncrementField():
                self._flag(effect, rule)
                if self.contact is not None:
                    self.contact = _changed(self.contact, effect)

    def _flag(self, effect: Effect, rule: str) -> None:
        """Two tags act on the sender's phone, as they do by hand; the third, opt-in, no rule file may give."""
        change = None
        if isinstance(effect, AddTag | RemoveTag):
            change = (consent.TAGGED if isinstance(effect, AddTag) else consent.UNTAGGED).get(effect.name)
        if change is not None and self.phone is not None:
            self.change_consent(change(self.phone.consent, rule), f"rule {rule}", type(effect).__name__)

    def _change_consent(self, effect: OptOut | OptIn | Block, rule: str) -> None:
        if self.phone is None:
            return
        now = self.phone.consent
        if isinstance(effect, OptOut):
            self.change_consent(consent.opt_out(now, wrong_number=effect.wrong_number), "contact", rule)
        elif isinstance(effect, OptIn):
            self.change_consent(consent.opt_in_by_text(now), "contact", rule)
        else:
            self.change_consent(consent.block(now), f"rule {rule}", effect.reason)

    def _hand_off(self, effect: Handoff, rule: str) -> None:
        seconds = effect.seconds if effect.seconds is not None else self._policy.staff_seconds
        seconds = _FOREVER_SECONDS if seconds == FOREVER else seconds
        self.conversation = replace(
            self.conversation,
            mode="staff",
            route=effect.route or self._policy.default_route,
            staff_until=self._arrival.at + seconds * MICROSECONDS,
        )
        self.tell(effect.route, "conversation.routed", effect.note, rule)

    def _reply(self, reply: Reply, rule: str) -> None:
        arrival = self._arrival
        exemption: Exemption = "" if reply.kind == "reply" else reply.kind
        carrier_stopped = arrival.inbound.carrier_action == "stop" and arrival.channel.carrier_confirms_opt_out
        if exemption == "opt_out" and carrier_stopped:
            return
        if self.phone is None or consent.refusal(self.phone.consent, exemption) is not None:
            return
        if exemption != "opt_out" and not self._within_cap():
            return
        self.automatic += 1
        exempt_seconds = _EXEMPT_SECONDS.get(exemption, 0)
        self.added.messages.append(
            _message_row(
                self.conversation,
                id=new_id(),
                direction="outbound",
                state="queued",
                body=reply.text,
                media=dumps([{"url": url, "content_type": ""} for url in reply.media]),
                sent_by=AUTOMATIC,
                sent_by_name=rule,
                in_reply_to=arrival.id,
                exempt_until=arrival.at + exempt_seconds * MICROSECONDS if exempt_seconds else 0,
                created_at=arrival.at,
            )
        )

    def _within_cap(self) -> bool:
        """Two machines must not text each other for ever; past the cap staff are told, once per window."""
        policy, at = self._policy, self._arrival.at
        if self.automatic < policy.auto_reply_cap:
            return True
        if self.conversation.capped_until <= at:
            until = at + policy.auto_reply_window_seconds * MICROSECONDS
            self.conversation = replace(self.conversation, capped_until=until)
            note = f"{self.automatic} automatic replies in {policy.auto_reply_window_seconds} s: no more for now."
            self.tell("", "conversation.capped", note, "")
        return False


def _changed(
    contact: Contact, effect: AddToList | RemoveFromList | AddTag | RemoveTag | SetField | IncrementField
) -> Contact:
    match effect:
        case AddToList(name):
            return replace(contact, lists=contact.lists | {name})
        case RemoveFromList(name):
            return replace(contact, lists=contact.lists - {name})
        case AddTag(name):
            return replace(contact, tags=contact.tags | {name})
        case RemoveTag(name):
            return replace(contact, tags=contact.tags - {name})
        case SetField("name", value):
            return replace(contact, name=value)
        case SetField(name, value):
            return replace(contact, fields={**contact.fields, name: value})
        case IncrementField(name, by):
            value = contact.fields.get(name, "0")
            count = int(value) if value.lstrip("-").isdigit() else 0
            return replace(contact, fields={**contact.fields, name: str(count + by)})


def _message_row(conversation: Conversation, **values: object) -> JsonRow:
    row: JsonRow = {
        "channel": conversation.channel,
        "number": conversation.number,
        "phone": conversation.phone,
        "conversation_id": conversation.id,
        "provider_id": None,
        "in_reply_to": None,
        "exempt_until": 0,
        "priority": PRIORITY_REPLY,
        "error": None,
        "due_at": values["created_at"],
        "parts": segments(str(values["body"])).count,
        **values,
    }
    return row
