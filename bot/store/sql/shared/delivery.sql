-- The outbox and the notifier: claim, settle, and what becomes of a claim whose node died.

-- name: promote_held(now)!
UPDATE messages SET state = 'queued', updated_at = :now WHERE state = 'held' AND due_at <= :now;

-- What did not leave within its hours is held for good, until the clock has found the next ones.
-- name: hold_overdue(now, forever)
UPDATE messages SET state = 'held', due_at = :forever, sent_before = 0, updated_at = :now
WHERE state = 'queued' AND sent_before > 0 AND sent_before <= :now
RETURNING id;

-- name: overdue_messages(forever, limit)
SELECT id, phone, number, channel, hours FROM messages
WHERE state = 'held' AND due_at = :forever AND hours <> ''
ORDER BY seq
LIMIT :limit;

-- name: give_hours(rows, now)!
UPDATE messages SET due_at = CAST(r.value ->> 'due_at' AS BIGINT),
    sent_before = CAST(r.value ->> 'sent_before' AS BIGINT), hours = r.value ->> 'hours', updated_at = :now
FROM each_row(:rows) AS r WHERE messages.id = r.value ->> 'id' AND messages.state = 'held';

-- A question waits for its answer from when it left, not from when it was queued.
-- name: ask_from_now(rows, now)!
UPDATE runs SET due_at = runs.due_at + (:now - m.created_at)
FROM each_row(:rows) AS r JOIN messages AS m ON m.id = r.value ->> 'id'
WHERE runs.id = m.run_id AND runs.state = 'active' AND runs.waits_for = 'reply' AND runs.waits_since = m.created_at;

-- A receipt that repeated our id may have been quicker: it stays.
-- name: settle_sent(rows, now)
UPDATE messages SET
    state = CASE WHEN messages.state IN ('sending', 'unknown') THEN 'sent' ELSE messages.state END,
    error = CASE WHEN messages.state IN ('sending', 'unknown') THEN NULL ELSE messages.error END,
    provider_id = r.value ->> 'provider_id', parts = COALESCE(CAST(r.value ->> 'parts' AS BIGINT), messages.parts),
    lease_until = 0, updated_at = :now
FROM each_row(:rows) AS r
WHERE messages.id = r.value ->> 'id'
    AND (messages.state IN ('sending', 'unknown') OR messages.provider_id = r.value ->> 'provider_id')
RETURNING messages.id, messages.state;

-- What is tried again rests until then; when it was due first tells how long it has been waiting.
-- name: settle_otherwise(rows, now)!
UPDATE messages SET state = r.value ->> 'state', error = r.value ->> 'error',
    lease_until = CAST(r.value ->> 'rests_until' AS BIGINT), updated_at = :now
FROM each_row(:rows) AS r WHERE messages.id = r.value ->> 'id' AND messages.state = 'sending';

-- name: take_early_receipts(rows)
DELETE FROM early_receipts WHERE (channel, provider_id) IN (
    SELECT r.value ->> 'channel', r.value ->> 'provider_id' FROM each_row(:rows) AS r
)
RETURNING channel, provider_id, state, error, opted_out;

-- name: expire_leases(now, leased_until, state, error)
UPDATE messages SET state = :state, error = :error, lease_until = 0, updated_at = :now
WHERE state = 'sending' AND lease_until <= :leased_until
RETURNING id;

-- A message that is queued and yet was not claimed waits for another of its phone, or for its number's rate, or
-- for its next try: that is looked at again soon.
-- name: next_due_message(soon)
SELECT MIN(due_at) AS due_at FROM (
    SELECT MIN(due_at) AS due_at FROM messages WHERE state = 'held'
    UNION ALL
    SELECT :soon AS due_at WHERE EXISTS (SELECT 1 FROM messages WHERE state = 'queued')
) AS due;

-- name: sender_rates()
SELECT number, free_at FROM sender_rates;

-- name: set_sender_rates(rows)
INSERT INTO sender_rates (number, free_at)
SELECT r.value ->> 'number', CAST(r.value ->> 'free_at' AS BIGINT) FROM each_row(:rows) AS r WHERE true
ON CONFLICT (number) DO UPDATE SET free_at = excluded.free_at;

-- name: settle_notifications(rows, now)!
UPDATE notifications SET state = r.value ->> 'state', error = r.value ->> 'error',
    due_at = CAST(r.value ->> 'due_at' AS BIGINT), lease_until = 0, updated_at = :now
FROM each_row(:rows) AS r WHERE notifications.id = r.value ->> 'id' AND notifications.state = 'sending';

-- name: expire_notification_leases(now, leased_until)!
UPDATE notifications SET state = 'queued', lease_until = 0, updated_at = :now
WHERE state = 'sending' AND lease_until <= :leased_until;

-- name: forget_delivered(before, limit)
DELETE FROM notifications WHERE seq IN (
    SELECT seq FROM notifications WHERE state = 'delivered' AND updated_at < :before ORDER BY updated_at LIMIT :limit
)
RETURNING seq;

-- name: forget_dead(before, limit)
DELETE FROM notifications WHERE seq IN (
    SELECT seq FROM notifications WHERE state = 'dead' AND updated_at < :before ORDER BY updated_at LIMIT :limit
)
RETURNING seq;

-- name: next_due_notification()
SELECT MIN(due_at) AS due_at FROM notifications WHERE state = 'queued';
