-- Any number of nodes claim at once: a row that another node is claiming is skipped, and its state is looked at
-- again once it is locked.

-- name: lock_rates()
SELECT pg_advisory_xact_lock(7382954121);

-- name: claim_messages(now, lease_until, limit, allowances, default_allowance)
UPDATE messages SET state = 'sending', lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE id IN (
    SELECT locked.id FROM messages AS locked
    WHERE locked.state = 'queued' AND locked.id IN (
        SELECT ranked.id FROM (
            SELECT m.id, m.priority, m.seq, m.number,
                ROW_NUMBER() OVER (PARTITION BY m.number ORDER BY m.priority, m.seq) AS place
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
                AND EXISTS (
                    SELECT 1 FROM phones AS p
                    WHERE p.number = m.phone AND p.blocked = 0 AND (p.sendable = 1 OR m.exempt_until > :now)
                )
        ) AS ranked
        WHERE ranked.place <= COALESCE(
            (SELECT CAST(r.value ->> 'count' AS BIGINT) FROM each_row(:allowances) AS r WHERE r.value ->> 'number' = ranked.number),
            :default_allowance
        )
        ORDER BY ranked.priority, ranked.seq
        LIMIT :limit
    )
    FOR UPDATE SKIP LOCKED
)
RETURNING seq, id, channel, number, phone, body, media, attempts, created_at, sent_by_name;

-- name: claim_notifications(now, lease_until, limit)
UPDATE notifications SET state = 'sending', lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE id IN (
    SELECT id FROM notifications WHERE state = 'queued' AND due_at <= :now
    ORDER BY due_at, seq LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING seq, id, route, type, payload, conversation_id, attempts, created_at;
