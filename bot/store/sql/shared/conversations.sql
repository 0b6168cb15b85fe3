-- name: conversations_by_id(ids)
SELECT c.* FROM each_text(:ids) AS r JOIN conversations AS c ON c.id = r.value;

-- name: conversations_with_contacts(ids)
SELECT c.*, p.contact_id, k.name, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number, p.label, (
    SELECT m.seq FROM messages AS m WHERE m.phone = c.phone AND m.conversation_id = c.id AND m.state <> 'blocked'
    ORDER BY m.seq DESC LIMIT 1
) AS last_seq
FROM each_text(:ids) AS r
JOIN conversations AS c ON c.id = r.value
LEFT JOIN phones AS p ON p.number = c.phone
LEFT JOIN contacts AS k ON k.id = p.contact_id;

-- name: page_messages(phone, state, direction, cursor, limit)
SELECT * FROM messages
WHERE seq < :cursor
    AND (CAST(:phone AS TEXT) IS NULL OR phone = :phone)
    AND (CAST(:state AS TEXT) IS NULL OR state = :state)
    AND (CAST(:direction AS TEXT) IS NULL OR direction = :direction)
ORDER BY seq DESC
LIMIT :limit;

-- name: page_conversation_messages(conversation, cursor, limit)
SELECT m.* FROM messages AS m
WHERE m.phone = (SELECT c.phone FROM conversations AS c WHERE c.id = :conversation)
    AND m.conversation_id = :conversation AND m.seq < :cursor AND m.state <> 'blocked'
ORDER BY m.seq DESC
LIMIT :limit;

-- name: message_by_id(id)
SELECT * FROM messages WHERE id = :id;

-- name: decision_of(id)
SELECT d.message_id, d.at, d.version, d.facts, d.matched, d.fired, m.body, m.media, m.phone, m.number, m.channel
FROM decisions AS d LEFT JOIN messages AS m ON m.id = d.message_id
WHERE d.message_id = COALESCE(
    (SELECT a.in_reply_to FROM messages AS a WHERE a.id = :id AND a.direction = 'outbound'), CAST(:id AS TEXT)
);

-- name: page_notifications(state, cursor, limit)
SELECT * FROM notifications
WHERE seq < :cursor AND (CAST(:state AS TEXT) IS NULL OR state = :state)
ORDER BY seq DESC
LIMIT :limit;

-- name: replay_notification(id, now)
UPDATE notifications SET state = 'queued', attempts = 0, due_at = :now, error = NULL, updated_at = :now
WHERE id = :id AND state IN ('dead', 'delivered')
RETURNING *;

-- name: notification_by_id(id)
SELECT * FROM notifications WHERE id = :id;
