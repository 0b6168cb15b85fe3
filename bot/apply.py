"""Apply a decision: effects in, the new thread and the rows that it adds out. Pure: nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot import consent
from bot.changes import (
    AUTOMATIC,
    PRIORITY_BULK,
    PRIORITY_REPLY,
    Additions,
    JsonRow,
    consent_event,
    dumps,
    list_event,
    message_row,
    note_row,
    notification,
)
from bot.clock import MICROSECONDS, new_id
from bot.consent import CONFIRMATION_SECONDS, HELP_SECONDS, OPT_IN_SECONDS, Exemption, PhoneConsent
from bot.occasions import Arrival, Happening, Occasion, Policy
from bot.people import Contact, Conversation, Mode, Phone, Thread
from rules.decide import MAX_REPLIES, Decision
from rules.effects import (
    AddNote,
    AddTag,
    AddToList,
    Block,
    Effect,
    Handoff,
    IncrementField,
    Notify,
    OptIn,
    OptOut,
    Pause,
    RemoveFromList,
    RemoveTag,
    Reply,
    Send,
    SetField,
    StartWorkflow,
    StopWorkflow,
    field_changed,
)  # fmt: skip
from rules.quiet_hours import Window
from rules.reader import FOREVER

_FOREVER_SECONDS = 100 * 366 * 86400
_EXEMPT_SECONDS: Mapping[str, int] = {
    "opt_out": CONFIRMATION_SECONDS, "opt_in": OPT_IN_SECONDS, "help": HELP_SECONDS,
}  # fmt: skip
_NOTE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Author:
    """Who sends: a rule or a step of a workflow (of the run `run_id`).

    `window` is when it may, None at any time (an answer may); `hours` says by what to find the next one, if the text
    does not get out in this: 1 or 0 for marketing, and the workflow whose send_window it is.
    """

    name: str
    kind: str = AUTOMATIC
    window: Window | None = None
    hours: str = "0"
    run_id: str | None = None


class Application:
    """One occasion's effects being applied to one thread.

    `happened` are the events that they caused, (event, detail), for the turn to go on with.
    """

    def __init__(self, occasion: Occasion, thread: Thread, policy: Policy) -> None:
        self.occasion = occasion
        self._policy = policy
        self.contact: Contact | None = thread.contact
        self.phone: Phone | None = thread.phone
        self.conversation: Conversation = thread.conversation.at(occasion.at)
        self.automatic = thread.automatic
        self.answered = dict(thread.answered)
        self.added = Additions()
        self.happened: list[tuple[Happening, str]] = []
        self._replies = 0

    @property
    def now(self) -> int:
        """When it happens, in UTC microseconds."""
        return self.occasion.at

    @property
    def mode(self) -> Mode:
        """Who answers at this moment."""
        return self.conversation.mode_at(self.now)

    def receive(self, arrival: Arrival, state: str, error: str | None = None) -> None:
        """Record the inbound message itself; a blocked one moves nothing else."""
        inbound = arrival.inbound
        self.added.messages.append(
            message_row(
                # By its own channel it is known again, whichever the two have spoken through so far.
                replace(self.conversation, channel=arrival.channel.name),
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
            waits = self.mode == "staff" and not self.conversation.waiting_since
            self.conversation = replace(
                self.conversation,
                channel=arrival.channel.name,
                waiting_since=arrival.at if waits else self.conversation.waiting_since,
                unread=self.conversation.unread + 1,
                last_inbound_at=arrival.at,
                last_message_at=arrival.at,
            )

    def decided(self, decision: Decision, window: Window | None = None, hours: str = "0") -> None:
        """Apply everything that the decision's rules cause, in order; what they send by themselves, in `window`."""
        was_staff = self.mode == "staff"
        for fired in decision.fired:
            for effect in fired.effects:
                self.apply(effect, Author(fired.rule, window=window, hours=hours))
        blocked = self.phone is not None and self.phone.consent.blocked
        told = any(row["conversation_id"] for row in self.added.notifications)
        if was_staff and self.occasion.arrival and not told and not blocked:
            self.tell(self.conversation.route, "message.received", "", "")

    def tell(self, route: str, kind: str, note: str, rule: str) -> None:
        """Queue a notification for staff; without any route there is nobody to tell but the console."""
        wanted = route or self._policy.routes.default
        if not wanted:
            return
        name = self._policy.routes.told(wanted, self.now) or wanted
        arrival = self.occasion.arrival
        data: JsonRow = {
            "conversation": {
                "id": self.conversation.id,
                "phone": self.conversation.phone,
                "number": self.conversation.number,
                "channel": self.conversation.channel,
                "mode": self.mode,
            },
            "contact": {"id": self.contact.id, "name": self.contact.name} if self.contact else None,
            "message": {
                "id": arrival.id,
                "body": arrival.inbound.body,
                "media": [media.url for media in arrival.inbound.media],
            }
            if arrival
            else None,
            "route": wanted,
            "rule": rule,
            "note": note[:_NOTE_CHARACTERS],
        }
        row = notification(name, kind, data, at=self.now, conversation_id=self.conversation.id)
        self.added.notifications.append(row)

    def change_consent(self, after: PhoneConsent, actor: str, reason: str) -> None:
        """Move the phone's consent, with its line in the history."""
        if self.phone is None or after == self.phone.consent:
            return
        before = self.phone.consent
        self.added.consent_events.append(
            consent_event(self.phone, after, at=self.now, actor=actor, reason=reason, message_id=self._message_id)
        )
        if before.opted_in and not after.opted_in:
            self.added.silenced.append(self.phone.number)
            # Who wants no more texts does not wait for one, and cannot be answered.
            self.conversation = replace(self.conversation, waiting_since=0, escalated_at=0)
            self.happened.append(("opted_out", ""))
        elif after.opted_in and not before.opted_in:
            self.happened.append(("opted_in", ""))
        self.phone = replace(self.phone, consent=after)

    def apply(self, effect: Effect, by: Author) -> None:
        """Apply one effect."""
        match effect:
            case Reply():
                self._reply(effect, by)
            case Send(text):
                self._queue(text, (), by)
            case Notify():
                self.tell(effect.route, "conversation.notified", effect.note, by.name)
            case Handoff():
                self._hand_off(effect, by)
            case Pause(seconds):
                self._pause(seconds)
            case OptOut() | OptIn() | Block():
                self._change_consent(effect, by.name)
            case StartWorkflow(workflow) | StopWorkflow(workflow):
                self.happened.append(("start" if isinstance(effect, StartWorkflow) else "stop", workflow))
            case AddNote(text) if self.contact is not None:
                self.added.notes.append(note_row(self.contact.id, f"{by.kind} {by.name}", text, at=self.now))
            case AddToList() | RemoveFromList() | AddTag() | RemoveTag() | SetField() | IncrementField():
                self._flag(effect, by.name)
                if self.contact is not None:
                    self._change(self.contact, effect, by)
            case _:
                pass  # Answer and Repeat move a run (bot/turn.py)

    @property
    def _message_id(self) -> str | None:
        return self.occasion.arrival.id if self.occasion.arrival else None

    def _flag(self, effect: Effect, rule: str) -> None:
        """Two tags act on the sender's phone, as they do by hand; the third, opt-in, no rule file may give."""
        change = None
        if isinstance(effect, AddTag):
            change = consent.TAGGED.get(effect.name)
        elif isinstance(effect, RemoveTag) and self.contact is not None and effect.name in self.contact.tags:
            change = consent.UNTAGGED.get(effect.name)
        if change is not None and self.phone is not None:
            self.change_consent(change(self.phone.consent, rule), f"rule {rule}", type(effect).__name__)

    def _change(
        self,
        before: Contact,
        effect: AddToList | RemoveFromList | AddTag | RemoveTag | SetField | IncrementField,
        by: Author,
    ) -> None:
        after = _changed(before, effect)
        self.contact = after
        if after.lists != before.lists and isinstance(effect, AddToList | RemoveFromList):
            event: Happening = "list_joined" if isinstance(effect, AddToList) else "list_left"
            arrival = self.occasion.arrival
            is_evidence = arrival is not None and isinstance(effect, AddToList) and effect.is_marketing
            self.added.list_events.append(
                list_event(
                    after.id,
                    effect.name,
                    event,
                    at=self.now,
                    actor=f"{by.kind} {by.name}",
                    message_id=self._message_id,
                    evidence=arrival.inbound.body if arrival and is_evidence else "",
                )
            )
            self.happened.append((event, effect.name))
        if after.tags != before.tags and isinstance(effect, AddTag | RemoveTag):
            event_ = "added" if isinstance(effect, AddTag) else "removed"
            row = {"contact_id": after.id, "tag": effect.name, "event": event_, "at": self.now}
            self.added.tag_events.append({**row, "source": f"{by.kind} {by.name}"})
        if after.fields != before.fields:
            self.happened.append(("changed", ""))

    def _change_consent(self, effect: OptOut | OptIn | Block, rule: str) -> None:
        if self.phone is None:
            return
        now = self.phone.consent
        if isinstance(effect, OptOut):
            self.change_consent(consent.opt_out(now, wrong_number=effect.wrong_number), "contact", rule)
        elif isinstance(effect, OptIn):
            opt_in = consent.opt_in_by_any_text if effect.keeps_flags else consent.opt_in_by_text
            self.change_consent(opt_in(now), "contact", rule)
        else:
            self.change_consent(consent.block(now), f"rule {rule}", effect.reason)

    def _hand_off(self, effect: Handoff, by: Author) -> None:
        seconds = effect.seconds if effect.seconds is not None else self._policy.staff_seconds
        routes, before = self._policy.routes, self.conversation
        self.conversation = replace(
            before,
            mode="staff",
            route=effect.route or routes.default,
            staff_until=self._until(seconds),
            waiting_since=before.waiting_since or self.now,
            escalated_at=before.escalated_at if before.waiting_since else 0,
        )
        self.tell(effect.route, "conversation.routed", effect.note, by.name)
        route = routes.named(effect.route)
        if route is not None and route.away_reply and not before.waiting_since and routes.is_away(route.name, self.now):
            self._queue(route.away_reply, (), by)

    def _pause(self, seconds: int) -> None:
        """A person who has taken over stays; a pause is only longer silence."""
        if self.mode != "staff":
            self.conversation = replace(self.conversation, mode="paused", staff_until=self._until(seconds))

    def _until(self, seconds: int) -> int:
        return self.now + (_FOREVER_SECONDS if seconds == FOREVER else seconds) * MICROSECONDS

    def _reply(self, reply: Reply, by: Author) -> None:
        arrival = self.occasion.arrival
        exemption: Exemption = "" if reply.kind == "reply" else reply.kind
        carrier_stopped = (
            arrival is not None
            and arrival.inbound.carrier_action == "stop"
            and arrival.channel.carrier_confirms_opt_out
        )
        self._replies += 1
        if not (exemption == "opt_out" and carrier_stopped) and self._replies <= MAX_REPLIES:
            self._queue(reply.text, reply.media, by, exemption)

    def _queue(self, text: str, media: tuple[str, ...], by: Author, exemption: Exemption = "") -> None:
        """Queue a text for the sender, with gate 1 and the cap on automatic replies."""
        if self.phone is None or consent.refusal(self.phone.consent, exemption) is not None:
            return
        if exemption != "opt_out" and not self.may_text() and not self._is_owed(exemption):
            return
        self.automatic += 1
        self.answered[exemption] = self.now
        exempt_seconds = _EXEMPT_SECONDS.get(exemption, 0)
        window = by.window
        if self.conversation.last_message_at < self.now:
            self.conversation = replace(self.conversation, last_message_at=self.now)
        self.added.messages.append(
            message_row(
                self.conversation,
                id=new_id(),
                direction="outbound",
                state="held" if window and window.opens_at > self.now else "queued",
                body=text,
                media=dumps([{"url": url, "content_type": ""} for url in media]),
                sent_by=by.kind,
                sent_by_name=by.name,
                in_reply_to=self.occasion.id if self.occasion.event != "due" else None,
                exempt_until=self.now + exempt_seconds * MICROSECONDS if exempt_seconds else 0,
                exemption=exemption,
                priority=PRIORITY_BULK if window else PRIORITY_REPLY,
                due_at=max(self.now, window.opens_at) if window else self.now,
                sent_before=window.closes_at if window else 0,
                hours=by.hours if window else "",
                run_id=by.run_id,
                created_at=self.now,
            )
        )

    def _is_owed(self, exemption: Exemption) -> bool:
        """Past the cap HELP and START are still answered, once each while it lasts: that ends, too."""
        capped_since = self.conversation.capped_until - self._policy.auto_reply_window_seconds * MICROSECONDS
        return exemption in ("help", "opt_in") and self.answered.get(exemption, 0) < capped_since

    def may_text(self) -> bool:
        """Whether the cap on automatic texts has room; else it has again at `conversation.capped_until`.

        Two machines must not text each other for ever; past the cap staff are told, once per window."""
        policy = self._policy
        if self.automatic < policy.auto_reply_cap:
            return True
        if self.conversation.capped_until <= self.now:
            until = self.now + policy.auto_reply_window_seconds * MICROSECONDS
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
        case SetField() | IncrementField():
            name, fields = field_changed(effect, contact.name, contact.fields)
            return replace(contact, name=name, fields=fields)
