-- The people who work with the console. `name` is what they sign in with, in small letters.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    full_name TEXT NOT NULL,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

-- A browser that is signed in; its cookie's hash.
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);

-- Wrong passwords, by user name and by address, until they are forgotten.
CREATE TABLE login_failures (
    key TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT;

-- Append-only: every change that a person or a program made, by whom. Message texts are not in it.
CREATE TABLE audit (
    seq SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    target TEXT NOT NULL,
    contact_id TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_contact ON audit (contact_id, seq) WHERE contact_id IS NOT NULL;

-- What a POST answered, so that the same one sent again is not carried out again.
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    contact_id TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_at ON idempotency_keys (at);

CREATE TABLE canned_answers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Append-only, as list_events.
CREATE TABLE tag_events (
    seq SERIAL_KEY,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX tag_events_contact ON tag_events (contact_id, seq);

-- One text to many, on its way out batch by batch. `author` is who sends it.
CREATE TABLE broadcasts (
    id TEXT PRIMARY KEY,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    media TEXT NOT NULL,
    number TEXT NOT NULL,
    channel TEXT NOT NULL,
    send_at INTEGER NOT NULL,
    audience TEXT NOT NULL,
    total INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    cancelled INTEGER NOT NULL
) STRICT;
CREATE INDEX broadcasts_open ON broadcasts (created_at) WHERE finished_at = 0;

CREATE TABLE broadcast_recipients (
    broadcast_id TEXT NOT NULL REFERENCES broadcasts (id) ON DELETE CASCADE,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    phone TEXT NOT NULL,
    reason TEXT NOT NULL,
    message_id TEXT,
    PRIMARY KEY (broadcast_id, contact_id)
) STRICT;
CREATE INDEX broadcast_recipients_contact ON broadcast_recipients (contact_id);
CREATE INDEX broadcast_recipients_waiting ON broadcast_recipients (broadcast_id, contact_id) WHERE state = 'waiting';

-- A file of contacts that is read, or was. A node that has the file says so every now and then (updated_at).
CREATE TABLE imports (
    id TEXT PRIMARY KEY,
    file TEXT NOT NULL,
    actor TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL,
    added INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    wrong INTEGER NOT NULL,
    kept_out INTEGER NOT NULL,
    problem TEXT NOT NULL,
    errors TEXT NOT NULL,
    ignored TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX imports_open ON imports (updated_at) WHERE state IN ('waiting', 'running');

-- Which routes are told of which events (config.toml), so that every node and command writes the same notifications.
CREATE TABLE subscriptions (
    event TEXT NOT NULL,
    route TEXT NOT NULL,
    PRIMARY KEY (event, route)
) STRICT;

-- A route whose people are away, until when, and who stands in for them.
CREATE TABLE route_absences (
    route TEXT PRIMARY KEY,
    until INTEGER NOT NULL,
    stand_in TEXT NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- The name as it is looked for: small letters without accents.
ALTER TABLE contacts ADD COLUMN search TEXT NOT NULL DEFAULT '';
UPDATE contacts SET search = SEARCHABLE(name);

-- What a list by query asks for; '' is a list by hand.
ALTER TABLE lists ADD COLUMN query TEXT NOT NULL DEFAULT '';

-- `waiting_since` is when the person texted whom staff have not answered yet, 0 for nobody waits.
ALTER TABLE conversations ADD COLUMN assigned_to TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN waiting_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN escalated_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_waiting ON conversations (last_message_at) WHERE waiting_since > 0;
CREATE INDEX conversations_held ON conversations (last_message_at) WHERE mode <> 'auto';
CREATE INDEX conversations_assigned ON conversations (assigned_to, last_message_at) WHERE assigned_to <> '';
CREATE INDEX conversations_unread ON conversations (last_message_at) WHERE unread > 0;

ALTER TABLE tokens ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
