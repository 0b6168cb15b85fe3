-- Times are UTC microseconds; JSON is TEXT; 0 and 1 are truth. PostgreSQL reads INTEGER as BIGINT (store/migrate.py).

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE contacts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    fields TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Consent belongs to a phone, not to the person: one number's STOP never silences another.
CREATE TABLE phones (
    number TEXT PRIMARY KEY,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    opted_in INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    do_not_contact INTEGER NOT NULL,
    wrong_number INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- The consent gate: the same truth as bot.consent.refusal().
    sendable INTEGER NOT NULL GENERATED ALWAYS AS (
        CASE WHEN opted_in = 1 AND blocked = 0 AND do_not_contact = 0 AND wrong_number = 0 AND label = 'cell'
            THEN 1 ELSE 0 END
    ) STORED
) STRICT;
CREATE INDEX phones_contact ON phones (contact_id);

-- Append-only.
CREATE TABLE consent_events (
    seq SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    phone TEXT NOT NULL,
    contact_id TEXT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    message_id TEXT,
    before TEXT NOT NULL,
    after TEXT NOT NULL
) STRICT;
CREATE INDEX consent_events_phone ON consent_events (phone, seq);

-- What survives the deletion of a contact who had opted out: a keyed hash of the number, nothing else.
CREATE TABLE suppressions (
    phone_hash TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE lists (
    name TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE list_members (
    list TEXT NOT NULL REFERENCES lists (name) ON DELETE CASCADE,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    added_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (list, contact_id)
) STRICT;
CREATE INDEX list_members_contact ON list_members (contact_id);

CREATE TABLE tags (
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (contact_id, tag)
) STRICT;
CREATE INDEX tags_tag ON tags (tag);

-- One phone and one of our numbers.
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    phone TEXT NOT NULL,
    number TEXT NOT NULL,
    channel TEXT NOT NULL,
    mode TEXT NOT NULL,
    route TEXT NOT NULL,
    staff_until INTEGER NOT NULL,
    capped_until INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    last_inbound_at INTEGER NOT NULL,
    last_message_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (phone, number)
) STRICT;
CREATE INDEX conversations_recent ON conversations (last_message_at);

-- `seq` orders the messages of a phone, whatever the clocks of several nodes say.
CREATE TABLE messages (
    seq SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL,
    state TEXT NOT NULL,
    channel TEXT NOT NULL,
    number TEXT NOT NULL,
    phone TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    body TEXT NOT NULL,
    media TEXT NOT NULL,
    parts INTEGER NOT NULL,
    provider_id TEXT,
    sent_by TEXT NOT NULL,
    sent_by_name TEXT NOT NULL,
    in_reply_to TEXT,
    exempt_until INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_provider ON messages (provider_id, channel, direction) WHERE provider_id IS NOT NULL;
CREATE INDEX messages_phone ON messages (phone, seq);
CREATE INDEX messages_held ON messages (due_at) WHERE state = 'held';
CREATE INDEX messages_queued ON messages (priority, seq) WHERE state = 'queued';
-- A partial index is used only where a statement asks for its condition word for word.
CREATE INDEX messages_line ON messages (phone, priority, seq) WHERE state = 'queued';
CREATE INDEX messages_in_flight ON messages (phone) WHERE state = 'sending';
CREATE INDEX messages_leased ON messages (lease_until) WHERE state = 'sending';

-- Receipts that came before the provider's answer to the send.
CREATE TABLE early_receipts (
    channel TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    opted_out INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, provider_id, state)
) STRICT;

-- When each of our numbers may send again (a leaky bucket shared by all nodes).
CREATE TABLE sender_rates (
    number TEXT PRIMARY KEY,
    free_at INTEGER NOT NULL
) STRICT;

-- Deciding is pure, so facts, version and message are enough to explain a decision again.
CREATE TABLE decisions (
    message_id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    version TEXT NOT NULL,
    facts TEXT NOT NULL,
    matched TEXT NOT NULL,
    fired TEXT NOT NULL,
    error TEXT
) STRICT;

CREATE TABLE rule_versions (
    version TEXT PRIMARY KEY,
    files TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE cooldowns (
    key TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    fired_at INTEGER NOT NULL,
    PRIMARY KEY (contact_id, key)
) STRICT;

CREATE TABLE notifications (
    seq SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    route TEXT NOT NULL,
    type TEXT NOT NULL,
    payload TEXT NOT NULL,
    conversation_id TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notifications_waiting ON notifications (due_at) WHERE state = 'queued';
CREATE INDEX notifications_leased ON notifications (lease_until) WHERE state = 'sending';

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
