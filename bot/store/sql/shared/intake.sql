-- One batch of the pipeline. Every statement takes all rows of the batch at once.

-- name: known_inbound(keys)
SELECT m.channel, m.provider_id, m.id
FROM each_row(:keys) AS r
JOIN messages AS m
    ON m.provider_id = r.value ->> 'provider_id' AND m.channel = r.value ->> 'channel' AND m.direction = 'inbound'
UNION ALL
SELECT n.channel, r.value ->> 'provider_id', ''
FROM each_row(:keys) AS r
JOIN webhook_nonces AS n ON n.channel = r.value ->> 'channel' AND n.nonce = r.value ->> 'nonce';

-- name: inbound_ids(phones, since)
SELECT channel, provider_id FROM messages
WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r)
    AND direction = 'inbound' AND provider_id IS NOT NULL AND created_at > :since;

-- The latest message of each phone: of a provider that gives no ids, a redelivery says the same again.
-- name: last_inbound(phones, since)
SELECT m.phone, m.provider_id, m.id
FROM messages AS m
WHERE m.seq IN (
    SELECT MAX(n.seq) FROM each_text(:phones) AS r JOIN messages AS n ON n.phone = r.value
    WHERE n.direction = 'inbound' GROUP BY n.phone
) AND m.created_at > :since;

-- name: load_phones(phones)
SELECT p.number, p.contact_id, p.label, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number, c.name, c.fields
FROM each_text(:phones) AS r
JOIN phones AS p ON p.number = r.value
JOIN contacts AS c ON c.id = p.contact_id;

-- name: last_opt_ins(phones)
SELECT e.phone, MAX(e.at) AS at FROM each_text(:phones) AS r
JOIN consent_events AS e ON e.phone = r.value AND e.event = 'opted_in'
GROUP BY e.phone;

-- name: why_opted_in(phones)
SELECT e.phone, e.reason FROM consent_events AS e
WHERE e.seq IN (
    SELECT MAX(n.seq) FROM each_text(:phones) AS r JOIN consent_events AS n ON n.phone = r.value
    WHERE n.event IN ('created', 'opted_in') GROUP BY n.phone
);

-- name: load_suppressions(hashes)
SELECT s.phone_hash FROM each_text(:hashes) AS r JOIN suppressions AS s ON s.phone_hash = r.value;

-- name: load_labels(contacts)
SELECT m.contact_id, 'list' AS kind, m.list AS name
FROM each_text(:contacts) AS r JOIN list_members AS m ON m.contact_id = r.value
UNION ALL
SELECT t.contact_id, 'tag' AS kind, t.tag AS name
FROM each_text(:contacts) AS r JOIN tags AS t ON t.contact_id = r.value;

-- name: load_conversations(phones)
SELECT c.* FROM each_text(:phones) AS r JOIN conversations AS c ON c.phone = r.value;

-- name: load_cooldowns(contacts)
SELECT d.key, d.contact_id, d.fired_at
FROM each_text(:contacts) AS r JOIN cooldowns AS d ON d.contact_id = r.value;

-- name: count_automatic(phones, since)
SELECT m.phone, COUNT(*) AS count, MAX(CASE WHEN m.exemption = 'help' THEN m.created_at ELSE 0 END) AS help,
    MAX(CASE WHEN m.exemption = 'opt_in' THEN m.created_at ELSE 0 END) AS opt_in
FROM each_text(:phones) AS r JOIN messages AS m ON m.phone = r.value
WHERE m.direction = 'outbound' AND m.sent_by IN ('rule', 'workflow') AND m.created_at > :since
GROUP BY m.phone;

-- name: insert_contacts(rows)
INSERT INTO contacts (id, name, search, fields, source, created_at, updated_at)
SELECT r.value ->> 'id', r.value ->> 'name', r.value ->> 'search', r.value ->> 'fields', r.value ->> 'source',
    CAST(r.value ->> 'at' AS BIGINT), CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: update_contacts(rows)!
UPDATE contacts SET name = r.value ->> 'name', search = r.value ->> 'search', fields = r.value ->> 'fields', updated_at = CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE contacts.id = r.value ->> 'id';

-- name: upsert_phones(rows)
INSERT INTO phones (number, contact_id, label, opted_in, blocked, do_not_contact, wrong_number, created_at)
SELECT r.value ->> 'number', r.value ->> 'contact_id', r.value ->> 'label',
    CAST(r.value ->> 'opted_in' AS BIGINT), CAST(r.value ->> 'blocked' AS BIGINT),
    CAST(r.value ->> 'do_not_contact' AS BIGINT), CAST(r.value ->> 'wrong_number' AS BIGINT),
    CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (number) DO UPDATE SET
    label = excluded.label, opted_in = excluded.opted_in, blocked = excluded.blocked,
    do_not_contact = excluded.do_not_contact, wrong_number = excluded.wrong_number;

-- name: insert_consent_events(rows)
INSERT INTO consent_events (id, phone, contact_id, at, event, actor, reason, message_id, before, after)
SELECT r.value ->> 'id', r.value ->> 'phone', r.value ->> 'contact_id', CAST(r.value ->> 'at' AS BIGINT),
    r.value ->> 'event', r.value ->> 'actor', r.value ->> 'reason', r.value ->> 'message_id',
    r.value ->> 'before', r.value ->> 'after'
FROM each_row(:rows) AS r;

-- name: insert_suppressions(rows)
INSERT INTO suppressions (phone_hash, at, reason)
SELECT r.value ->> 'phone_hash', CAST(r.value ->> 'at' AS BIGINT), r.value ->> 'reason'
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (phone_hash) DO NOTHING;

-- name: delete_suppressions(hashes)
DELETE FROM suppressions WHERE phone_hash IN (SELECT r.value FROM each_text(:hashes) AS r);

-- name: join_lists(rows)
INSERT INTO list_members (list, contact_id, added_at, source)
SELECT r.value ->> 'list', r.value ->> 'contact_id', CAST(r.value ->> 'at' AS BIGINT), r.value ->> 'source'
FROM each_row(:rows) AS r JOIN lists AS l ON l.name = r.value ->> 'list' WHERE true
ON CONFLICT (list, contact_id) DO NOTHING;

-- name: leave_lists(rows)
DELETE FROM list_members WHERE (list, contact_id) IN (
    SELECT r.value ->> 'list', r.value ->> 'contact_id' FROM each_row(:rows) AS r
);

-- name: add_tags(rows)
INSERT INTO tags (contact_id, tag, added_at, source)
SELECT r.value ->> 'contact_id', r.value ->> 'tag', CAST(r.value ->> 'at' AS BIGINT), r.value ->> 'source'
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (contact_id, tag) DO NOTHING;

-- name: remove_tags(rows)
DELETE FROM tags WHERE (contact_id, tag) IN (
    SELECT r.value ->> 'contact_id', r.value ->> 'tag' FROM each_row(:rows) AS r
);

-- name: upsert_conversations(rows)
INSERT INTO conversations (
    id, phone, number, channel, mode, route, staff_until, capped_until, unread, last_inbound_at, last_message_at,
    created_at, assigned_to, waiting_since, escalated_at
)
SELECT r.value ->> 'id', r.value ->> 'phone', r.value ->> 'number', r.value ->> 'channel', r.value ->> 'mode',
    r.value ->> 'route', CAST(r.value ->> 'staff_until' AS BIGINT), CAST(r.value ->> 'capped_until' AS BIGINT),
    CAST(r.value ->> 'unread' AS BIGINT), CAST(r.value ->> 'last_inbound_at' AS BIGINT),
    CAST(r.value ->> 'last_message_at' AS BIGINT), CAST(r.value ->> 'created_at' AS BIGINT),
    r.value ->> 'assigned_to', CAST(r.value ->> 'waiting_since' AS BIGINT), CAST(r.value ->> 'escalated_at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (phone, number) DO UPDATE SET
    channel = excluded.channel, mode = excluded.mode, route = excluded.route, staff_until = excluded.staff_until,
    capped_until = excluded.capped_until, unread = excluded.unread, last_inbound_at = excluded.last_inbound_at,
    last_message_at = excluded.last_message_at, assigned_to = excluded.assigned_to,
    waiting_since = excluded.waiting_since, escalated_at = excluded.escalated_at;

-- name: cancel_queued(phones, reason, now)
UPDATE messages SET state = 'cancelled', error = :reason, updated_at = :now
WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r)
    AND direction = 'outbound' AND state IN ('held', 'queued') AND (exempt_until = 0 OR exemption = 'opt_in');

-- name: stop_waiting(phones)
UPDATE conversations SET waiting_since = 0, escalated_at = 0
WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r) AND waiting_since > 0
RETURNING id;

-- name: cancel_of_runs(runs, reason, now)
UPDATE messages SET state = 'cancelled', error = :reason, updated_at = :now
WHERE run_id IN (SELECT r.value FROM each_text(:runs) AS r) AND state IN ('held', 'queued');

-- name: insert_messages(rows)
INSERT INTO messages (
    id, direction, state, channel, number, phone, conversation_id, body, media, parts, provider_id, sent_by,
    sent_by_name, in_reply_to, exempt_until, exemption, priority, due_at, sent_before, hours, run_id, purchase_id, lease_until, attempts,
    error, created_at, updated_at
)
SELECT r.value ->> 'id', r.value ->> 'direction', r.value ->> 'state', r.value ->> 'channel', r.value ->> 'number',
    r.value ->> 'phone', r.value ->> 'conversation_id', r.value ->> 'body', r.value ->> 'media',
    CAST(r.value ->> 'parts' AS BIGINT), r.value ->> 'provider_id', r.value ->> 'sent_by',
    r.value ->> 'sent_by_name', r.value ->> 'in_reply_to', CAST(r.value ->> 'exempt_until' AS BIGINT),
    r.value ->> 'exemption', CAST(r.value ->> 'priority' AS BIGINT), CAST(r.value ->> 'due_at' AS BIGINT),
    CAST(r.value ->> 'sent_before' AS BIGINT), r.value ->> 'hours', r.value ->> 'run_id', r.value ->> 'purchase_id', 0, 0,
    r.value ->> 'error', CAST(r.value ->> 'created_at' AS BIGINT), CAST(r.value ->> 'created_at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: insert_decisions(rows)
INSERT INTO decisions (message_id, at, version, facts, matched, fired, error)
SELECT r.value ->> 'message_id', CAST(r.value ->> 'at' AS BIGINT), r.value ->> 'version', r.value ->> 'facts',
    r.value ->> 'matched', r.value ->> 'fired', r.value ->> 'error'
FROM each_row(:rows) AS r;

-- name: upsert_cooldowns(rows)
INSERT INTO cooldowns (key, contact_id, fired_at)
SELECT r.value ->> 'key', r.value ->> 'contact_id', CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (contact_id, key) DO UPDATE SET fired_at = excluded.fired_at;

-- name: insert_notifications(rows)
INSERT INTO notifications (
    id, route, type, payload, conversation_id, state, attempts, due_at, lease_until, created_at, updated_at
)
SELECT r.value ->> 'id', r.value ->> 'route', r.value ->> 'type', r.value ->> 'payload',
    r.value ->> 'conversation_id', 'queued', 0, CAST(r.value ->> 'at' AS BIGINT), 0,
    CAST(r.value ->> 'at' AS BIGINT), CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r;

-- Receipts: states only move forward, and "delivered" is the last word.

-- name: apply_receipts(rows, now)
UPDATE messages SET state = r.value ->> 'state', updated_at = :now,
    error = CASE WHEN r.value ->> 'state' = 'delivered' THEN NULL ELSE COALESCE(NULLIF(r.value ->> 'error', ''), error) END
FROM each_row(:rows) AS r
WHERE messages.provider_id = r.value ->> 'provider_id' AND messages.channel = r.value ->> 'channel'
    AND messages.direction = 'outbound'
    AND CASE r.value ->> 'state' WHEN 'sent' THEN 2 WHEN 'delivered' THEN 4 ELSE 3 END
        > CASE messages.state WHEN 'delivered' THEN 4 WHEN 'undelivered' THEN 3 WHEN 'failed' THEN 3
            WHEN 'sent' THEN 2 ELSE 1 END
RETURNING messages.id, messages.phone, messages.number, messages.channel, messages.conversation_id, messages.state,
    messages.provider_id, messages.error;

-- The answer that had the message's id was lost: the provider's news of it repeats ours.
-- name: name_messages(rows)
UPDATE messages SET provider_id = r.value ->> 'provider_id'
FROM each_row(:rows) AS r
WHERE messages.id = r.value ->> 'reference' AND messages.channel = r.value ->> 'channel'
    AND messages.direction = 'outbound' AND messages.provider_id IS NULL AND messages.attempts > 0
RETURNING messages.id, messages.channel, messages.provider_id, messages.phone, messages.parts, messages.due_at;

-- name: known_outbound(rows)
SELECT m.id, m.channel, m.provider_id, m.phone, m.parts, m.due_at
FROM each_row(:rows) AS r
JOIN messages AS m
    ON m.provider_id = r.value ->> 'provider_id' AND m.channel = r.value ->> 'channel' AND m.direction = 'outbound';

-- name: keep_early_receipts(rows)
INSERT INTO early_receipts (channel, provider_id, state, error, opted_out, at)
SELECT r.value ->> 'channel', r.value ->> 'provider_id', r.value ->> 'state', r.value ->> 'error',
    CAST(r.value ->> 'opted_out' AS BIGINT), CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (channel, provider_id, state) DO UPDATE SET
    opted_out = CASE WHEN excluded.opted_out = 1 THEN 1 ELSE early_receipts.opted_out END;

-- name: insert_tag_events(rows)
INSERT INTO tag_events (contact_id, tag, event, actor, at)
SELECT r.value ->> 'contact_id', r.value ->> 'tag', r.value ->> 'event', r.value ->> 'source',
    CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: any_subscription()
SELECT event FROM subscriptions LIMIT 1;

-- name: publish_events(rows)
INSERT INTO notifications (
    id, route, type, payload, conversation_id, contact_id, priority, state, attempts, due_at, lease_until, created_at,
    updated_at
)
SELECT r.value ->> 'id' || ':' || s.route, s.route, r.value ->> 'event', r.value ->> 'payload',
    r.value ->> 'conversation_id', r.value ->> 'contact_id', CAST(r.value ->> 'priority' AS BIGINT), 'queued', 0,
    CAST(r.value ->> 'at' AS BIGINT), 0, CAST(r.value ->> 'at' AS BIGINT), CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r JOIN subscriptions AS s ON s.event = r.value ->> 'event'
WHERE true
RETURNING id;
