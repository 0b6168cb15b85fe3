-- A page is a stretch of the table, whichever list is asked for: so no statement takes longer for a short list.

-- name: export_messages(cursor, list, limit)
SELECT m.seq, m.id, m.created_at, m.direction, m.state, m.phone, m.number, m.channel, m.body, m.parts, m.sent_by,
    m.sent_by_name, m.error,
    CASE WHEN CAST(:list AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM phones AS p JOIN list_members AS l ON l.contact_id = p.contact_id
        WHERE p.number = m.phone AND l.list = :list
    ) THEN 1 ELSE 0 END AS is_wanted
FROM messages AS m
WHERE m.seq > :cursor
ORDER BY m.seq
LIMIT :limit;

-- name: export_consent(cursor, list, limit)
SELECT e.seq, e.at, e.phone, e.event, e.actor, e.reason, e.message_id, e.before, e.after,
    CASE WHEN CAST(:list AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM phones AS p JOIN list_members AS l ON l.contact_id = p.contact_id
        WHERE p.number = e.phone AND l.list = :list
    ) THEN 1 ELSE 0 END AS is_wanted
FROM consent_events AS e
WHERE e.seq > :cursor
ORDER BY e.seq
LIMIT :limit;
