-- The outbox and the notifier: claim, settle, and what becomes of a claim whose node died.

-- name: promote_held(now)!
UPDATE messages SET state = 'queued', updated_at = :now WHERE state = 'held' AND due_at <= :now;

-- What did not leave within its hours waits for the next ones.
-- name: hold_overdue(now)!
UPDATE messages SET state = 'held', due_at = resume_at, sent_before = 0, updated_at = :now
WHERE state = 'queued' AND sent_before > 0 AND sent_before <= :now;

-- name: settle_sent(rows, now)!
UPDATE messages SET state = 'sent', provider_id = r.value ->> 'provider_id',
    parts = COALESCE(CAST(r.value ->> 'parts' AS BIGINT), parts), error = NULL, lease_until = 0, updated_at = :now
FROM each_row(:rows) AS r WHERE messages.id = r.value ->> 'id' AND messages.state IN ('sending', 'unknown');

-- name: settle_otherwise(rows, now)!
UPDATE messages SET state = r.value ->> 'state', error = r.value ->> 'error',
    due_at = CAST(r.value ->> 'due_at' AS BIGINT), lease_until = 0, updated_at = :now
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

-- name: expire_notification_leases(now)!
UPDATE notifications SET state = 'queued', lease_until = 0, updated_at = :now
WHERE state = 'sending' AND lease_until <= :now;

-- name: next_due_notification()
SELECT MIN(due_at) AS due_at FROM notifications WHERE state = 'queued';
