-- Requests that count once, and the parts of long messages in both directions.

-- name: remember_nonces(rows)
INSERT INTO webhook_nonces (channel, nonce, until)
SELECT r.value ->> 'channel', r.value ->> 'nonce', CAST(r.value ->> 'until' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (channel, nonce) DO NOTHING
RETURNING channel, nonce;

-- name: forget_nonces(now)!
DELETE FROM webhook_nonces WHERE until <= :now;

-- A part without an id is known by what it says, and for a while only: references are short, and are used again.
-- name: keep_inbound_parts(rows, repeats_since)
INSERT INTO inbound_parts (
    channel, key, sender, recipient, part_group, number, total, provider_id, body, media, at, joined
)
SELECT r.value ->> 'channel', r.value ->> 'key', r.value ->> 'sender', r.value ->> 'recipient', r.value ->> 'part_group',
    CAST(r.value ->> 'number' AS BIGINT), CAST(r.value ->> 'total' AS BIGINT), r.value ->> 'provider_id',
    r.value ->> 'body', r.value ->> 'media', CAST(r.value ->> 'at' AS BIGINT), 0
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (channel, key) DO UPDATE SET media = excluded.media, at = excluded.at, joined = 0
    WHERE inbound_parts.joined = 1 AND inbound_parts.provider_id IS NULL AND inbound_parts.at <= :repeats_since
RETURNING channel, key;

-- name: waiting_parts(rows)
SELECT p.* FROM each_row(:rows) AS r
JOIN inbound_parts AS p
    ON p.channel = r.value ->> 'channel' AND p.sender = r.value ->> 'sender' AND p.recipient = r.value ->> 'recipient'
    AND p.part_group = r.value ->> 'part_group' AND p.joined = 0
ORDER BY p.number, p.at;

-- name: parts_are_joined(rows)!
UPDATE inbound_parts SET joined = 1 FROM each_row(:rows) AS r
WHERE inbound_parts.channel = r.value ->> 'channel' AND inbound_parts.key = r.value ->> 'key';

-- name: overdue_parts(before, limit)
SELECT channel, sender, recipient, part_group FROM inbound_parts
WHERE joined = 0
GROUP BY channel, sender, recipient, part_group
HAVING MAX(at) <= :before
LIMIT :limit;

-- name: forget_inbound_parts(before)!
DELETE FROM inbound_parts WHERE joined = 1 AND at <= :before;

-- name: keep_outbound_parts(rows)
INSERT INTO outbound_parts (channel, provider_id, number, total, part_id, state, error, at)
SELECT r.value ->> 'channel', r.value ->> 'provider_id', CAST(r.value ->> 'number' AS BIGINT),
    CAST(r.value ->> 'total' AS BIGINT), r.value ->> 'part_id', r.value ->> 'state', r.value ->> 'error',
    CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (channel, provider_id, number) DO NOTHING;

-- name: parts_with_ids(rows)
SELECT p.channel, p.provider_id, p.number, p.part_id FROM each_row(:rows) AS r
JOIN outbound_parts AS p
    ON p.channel = r.value ->> 'channel' AND p.part_id = r.value ->> 'provider_id' AND p.part_id <> '';

-- A part's state moves forward only, as a message's does.
-- name: move_outbound_parts(rows)!
UPDATE outbound_parts SET state = r.value ->> 'state', error = r.value ->> 'error'
FROM each_row(:rows) AS r
WHERE outbound_parts.channel = r.value ->> 'channel' AND outbound_parts.provider_id = r.value ->> 'provider_id'
    AND outbound_parts.number = CAST(r.value ->> 'number' AS BIGINT)
    AND CASE r.value ->> 'state' WHEN 'sent' THEN 2 WHEN 'delivered' THEN 4 ELSE 3 END
        > CASE outbound_parts.state WHEN 'delivered' THEN 4 WHEN 'undelivered' THEN 3 WHEN 'failed' THEN 3
            WHEN 'sent' THEN 2 ELSE 1 END;

-- name: parts_of_messages(rows)
SELECT p.channel, p.provider_id, p.number, p.total, p.state, p.error FROM each_row(:rows) AS r
JOIN outbound_parts AS p ON p.channel = r.value ->> 'channel' AND p.provider_id = r.value ->> 'provider_id';

-- name: forget_outbound_parts(before)!
DELETE FROM outbound_parts WHERE at <= :before;
