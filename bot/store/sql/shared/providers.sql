-- Channels that are out, and texts that leave through others.

-- name: all_outages()
SELECT channel, reason, since, next_try, tries FROM channel_outages;

-- name: begin_outage(channel, reason, since, next_try, tries)
INSERT INTO channel_outages (channel, reason, since, next_try, tries)
VALUES (:channel, :reason, :since, :next_try, :tries)
ON CONFLICT (channel) DO NOTHING
RETURNING channel;

-- name: outage_goes_on(channel, next_try, tries)
UPDATE channel_outages SET next_try = :next_try, tries = :tries WHERE channel = :channel RETURNING channel;

-- name: outage_tried(rows)!
UPDATE channel_outages SET next_try = CAST(r.value ->> 'next_try' AS BIGINT)
FROM each_row(:rows) AS r WHERE channel_outages.channel = r.value ->> 'channel';

-- name: end_outage(channel)
DELETE FROM channel_outages WHERE channel = :channel RETURNING channel;

-- name: forget_outages(channels)!
DELETE FROM channel_outages WHERE channel NOT IN (SELECT r.value FROM each_text(:channels) AS r);

-- name: queued_of_channels(channels, limit)
SELECT id, phone, number, channel, conversation_id, body, media, lease_until FROM messages
WHERE state = 'queued' AND channel IN (SELECT r.value FROM each_text(:channels) AS r)
ORDER BY priority, seq
LIMIT :limit;

-- name: queued_of_numbers(numbers, limit)
SELECT id, phone, number, channel, conversation_id FROM messages
WHERE state = 'queued' AND number IN (SELECT r.value FROM each_text(:numbers) AS r)
ORDER BY priority, seq
LIMIT :limit;

-- name: move_messages(rows, now)!
UPDATE messages SET number = r.value ->> 'number', channel = r.value ->> 'channel',
    conversation_id = r.value ->> 'conversation', lease_until = 0, updated_at = :now
FROM each_row(:rows) AS r WHERE messages.id = r.value ->> 'id' AND messages.state = 'queued';

-- What waited for a day for a channel that is out has nothing to say to anybody any more.
-- name: fail_stale(channels, before, error, now)
UPDATE messages SET state = 'failed', error = :error, updated_at = :now
WHERE state = 'queued' AND due_at < :before
    AND channel IN (SELECT r.value FROM each_text(:channels) AS r)
RETURNING id, phone, number, channel, conversation_id, state, error;
