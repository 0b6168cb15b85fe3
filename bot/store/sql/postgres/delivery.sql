-- Any number of nodes send, and one claims at a time, so that each sees what the others have under way: two that
-- claimed in the same moment could take two messages of one phone, or exceed a number's rate. A row that somebody
-- else is changing (a STOP, say) is skipped, and its state is looked at again once it is locked.

-- name: lock_claims()
SELECT pg_advisory_xact_lock(7382954121);

-- Gate 2: what became forbidden since it was queued is cancelled by the very statement that would claim it.
-- name: claim_messages(now, lease_until, limit, allowances)
UPDATE messages SET
    state = CASE WHEN EXISTS (
        SELECT 1 FROM phones AS p
        WHERE p.number = messages.phone AND p.blocked = 0 AND (p.sendable = 1 OR messages.exempt_until > :now)
    ) THEN 'sending' ELSE 'cancelled' END,
    error = CASE WHEN EXISTS (
        SELECT 1 FROM phones AS p
        WHERE p.number = messages.phone AND p.blocked = 0 AND (p.sendable = 1 OR messages.exempt_until > :now)
    ) THEN error ELSE 'the phone may not be texted any more' END,
    lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE id IN (
    SELECT locked.id FROM messages AS locked
    WHERE locked.state = 'queued' AND locked.due_at <= :now AND locked.id IN (
        SELECT ranked.id FROM (
            SELECT id, number, ROW_NUMBER() OVER (PARTITION BY number ORDER BY priority, seq) AS place
            FROM (
                SELECT m.id, m.priority, m.seq, m.number
                FROM messages AS m
                WHERE m.state = 'queued' AND m.due_at <= :now
                    AND NOT EXISTS (
                        SELECT 1 FROM messages AS e
                        WHERE e.phone = m.phone AND e.state = 'sending'
                    )
                    AND NOT EXISTS (
                        SELECT 1 FROM messages AS e
                        WHERE e.phone = m.phone AND e.state = 'queued' AND (e.priority, e.seq) < (m.priority, m.seq)
                    )
                    AND m.number NOT IN (
                        SELECT r.value ->> 'number' FROM each_row(:allowances) AS r WHERE r.value ->> 'count' = '0'
                    )
                ORDER BY m.priority, m.seq
                LIMIT :limit
            ) AS candidates
        ) AS ranked
        WHERE ranked.place <= COALESCE((
            SELECT CAST(r.value ->> 'count' AS BIGINT) FROM each_row(:allowances) AS r
            WHERE r.value ->> 'number' = ranked.number
        ), :limit)
    )
    FOR UPDATE SKIP LOCKED
)
RETURNING seq, id, state, channel, number, phone, body, media, attempts, created_at, sent_by_name, run_id;

-- name: claim_notifications(now, lease_until, limit)
UPDATE notifications SET state = 'sending', lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE id IN (
    SELECT id FROM notifications WHERE state = 'queued' AND due_at <= :now
    ORDER BY due_at, seq LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING seq, id, route, type, payload, conversation_id, attempts, created_at;
