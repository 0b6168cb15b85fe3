-- SQLite has one writer: no row needs a lock.

-- Gate 2: what became forbidden since it was queued is cancelled by the very statement that would claim it.
-- name: claim_messages(now, lease_until, limit, allowances, channels)
UPDATE messages SET
    state = CASE WHEN EXISTS (
        SELECT 1 FROM phones AS p
        WHERE p.number = messages.phone AND p.blocked = 0 AND (p.sendable = 1 OR messages.exempt_until > :now AND (
            messages.exemption <> 'opt_in' OR (p.opted_in = 1 AND p.do_not_contact = 0 AND p.wrong_number = 0)
        ))
    ) THEN 'sending' ELSE 'cancelled' END,
    error = CASE WHEN EXISTS (
        SELECT 1 FROM phones AS p
        WHERE p.number = messages.phone AND p.blocked = 0 AND (p.sendable = 1 OR messages.exempt_until > :now AND (
            messages.exemption <> 'opt_in' OR (p.opted_in = 1 AND p.do_not_contact = 0 AND p.wrong_number = 0)
        ))
    ) THEN error ELSE 'the phone may not be texted any more' END,
    lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE id IN (
    SELECT ranked.id FROM (
        SELECT id, number, ROW_NUMBER() OVER (PARTITION BY number ORDER BY priority, seq) AS place,
            channel, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY priority, seq) AS channel_place
        FROM (
            SELECT m.id, m.priority, m.seq, m.number, m.channel
            FROM messages AS m
            WHERE m.state = 'queued' AND m.due_at <= :now AND m.lease_until <= :now
                AND NOT EXISTS (
                    SELECT 1 FROM messages AS e
                    WHERE e.phone = m.phone AND e.state = 'sending'
                )
                AND NOT EXISTS (
                    SELECT 1 FROM messages AS e
                    WHERE e.phone = m.phone AND e.state = 'queued' AND (e.priority, e.seq) < (m.priority, m.seq)
                        AND e.channel NOT IN (
                            SELECT r.value ->> 'channel' FROM each_row(:channels) AS r WHERE r.value ->> 'count' = 0
                        )
                )
                AND m.number NOT IN (
                    SELECT r.value ->> 'number' FROM each_row(:allowances) AS r WHERE r.value ->> 'count' = 0
                )
                AND m.channel NOT IN (
                    SELECT r.value ->> 'channel' FROM each_row(:channels) AS r WHERE r.value ->> 'count' = 0
                )
            ORDER BY m.priority, m.seq
            LIMIT :limit
        ) AS candidates
    ) AS ranked
    WHERE ranked.place <= COALESCE((
        SELECT CAST(r.value ->> 'count' AS BIGINT) FROM each_row(:allowances) AS r
        WHERE r.value ->> 'number' = ranked.number
    ), :limit)
    AND ranked.channel_place <= COALESCE((
        SELECT CAST(r.value ->> 'count' AS BIGINT) FROM each_row(:channels) AS r
        WHERE r.value ->> 'channel' = ranked.channel
    ), :limit)
)
RETURNING seq, id, state, channel, number, phone, body, media, attempts, due_at, created_at, sent_by_name, run_id, conversation_id;

-- What people wait for goes first, and no route gets more than its share of this node's slots: `held` are those that it
-- has. However many wait, few are looked at: the routes one after the other, and the first few of each.
-- name: claim_notifications(now, lease_until, limit, share, held)
WITH RECURSIVE waiting (route) AS (
    SELECT (SELECT route FROM notifications WHERE state = 'queued' ORDER BY route LIMIT 1)
    UNION ALL
    SELECT (SELECT n.route FROM notifications AS n WHERE n.state = 'queued' AND n.route > w.route ORDER BY n.route LIMIT 1)
    FROM waiting AS w WHERE w.route IS NOT NULL
), kinds (priority) AS (VALUES (0), (1))
UPDATE notifications SET state = 'sending', lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE seq IN (
    SELECT ranked.seq FROM (
        SELECT n.seq, n.route, n.priority, n.due_at,
            ROW_NUMBER() OVER (PARTITION BY n.route ORDER BY n.priority, n.due_at, n.seq) AS place
        FROM waiting AS w CROSS JOIN kinds AS k CROSS JOIN notifications AS n
        WHERE n.seq IN (
            SELECT f.seq FROM notifications AS f
            WHERE f.state = 'queued' AND f.route = w.route AND f.priority = k.priority AND f.due_at <= :now
            ORDER BY f.due_at, f.seq LIMIT :share
        )
    ) AS ranked
    WHERE ranked.place <= :share - COALESCE((
        SELECT CAST(r.value ->> 'count' AS BIGINT) FROM each_row(:held) AS r WHERE r.value ->> 'route' = ranked.route
    ), 0)
    ORDER BY ranked.priority, ranked.due_at, ranked.seq LIMIT :limit
)
RETURNING seq, id, route, type, payload, conversation_id, attempts, created_at;
