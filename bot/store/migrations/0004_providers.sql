-- Signed requests of providers that count once, until they could not be believed any more.
CREATE TABLE webhook_nonces (
    channel TEXT NOT NULL,
    nonce TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (channel, nonce)
) STRICT;
CREATE INDEX webhook_nonces_until ON webhook_nonces (until);

-- Parts of long texts from providers that do not join them; kept for a while after, to know a part that comes again.
CREATE TABLE inbound_parts (
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    part_group TEXT NOT NULL,
    number INTEGER NOT NULL,
    total INTEGER NOT NULL,
    provider_id TEXT,
    body TEXT NOT NULL,
    media TEXT NOT NULL,
    at INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    PRIMARY KEY (channel, key)
) STRICT;
CREATE INDEX inbound_parts_waiting ON inbound_parts (channel, sender, recipient, part_group) WHERE joined = 0;
CREATE INDEX inbound_parts_at ON inbound_parts (at);

-- Parts of texts that we sent, where receipts come by part. `part_id` is '' where they carry the message's own id.
CREATE TABLE outbound_parts (
    channel TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    total INTEGER NOT NULL,
    part_id TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, provider_id, number)
) STRICT;
CREATE INDEX outbound_parts_id ON outbound_parts (channel, part_id) WHERE part_id <> '';

-- Channels that are out: nothing is sent through them but a try now and then.
CREATE TABLE channel_outages (
    channel TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    tries INTEGER NOT NULL
) STRICT;


-- Numbers that we bought or found at the provider, beside those of config.toml.
CREATE TABLE numbers (
    number TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    label TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE SET NULL,
    registration TEXT NOT NULL,
    campaign TEXT NOT NULL,
    release_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX numbers_user ON numbers (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX numbers_release ON numbers (release_at) WHERE state = 'quarantined';

-- One row for each number that is or was to be bought. `need` is what it is for: there is one purchase for a need.
CREATE TABLE purchases (
    id TEXT PRIMARY KEY,
    need TEXT NOT NULL,
    channel TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE SET NULL,
    country TEXT NOT NULL,
    area_code TEXT NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    number TEXT NOT NULL,
    found_by TEXT NOT NULL,
    passed_over TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    error TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ordered_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX purchases_need ON purchases (need) WHERE state IN ('open', 'done');
CREATE INDEX purchases_due ON purchases (due_at) WHERE state = 'open';

-- Where a user is reached: the cell whose area code their number should have, and the address that is told of it.
ALTER TABLE users ADD COLUMN cell TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';

-- A text that waits until its sender's number is bought.
ALTER TABLE messages ADD COLUMN purchase_id TEXT;
CREATE INDEX messages_purchase ON messages (purchase_id) WHERE purchase_id IS NOT NULL;

-- What people wait for (0) goes before events (1). A partial index is used only where its condition is asked for.
ALTER TABLE notifications ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- Whom an event is about, where it is about no conversation.
ALTER TABLE notifications ADD COLUMN contact_id TEXT;
CREATE INDEX notifications_line ON notifications (route, priority, due_at, seq) WHERE state = 'queued';
CREATE INDEX notifications_conversation ON notifications (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX notifications_contact ON notifications (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX notifications_delivered ON notifications (updated_at) WHERE state = 'delivered';
CREATE INDEX notifications_dead ON notifications (updated_at) WHERE state = 'dead';
