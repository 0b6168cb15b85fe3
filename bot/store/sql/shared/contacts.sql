-- name: contacts_by_id(ids)
SELECT c.id, c.name, c.fields, c.source, c.created_at, c.updated_at
FROM each_text(:ids) AS r JOIN contacts AS c ON c.id = r.value;

-- name: phones_of_contacts(contacts)
SELECT p.number, p.contact_id, p.label, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number
FROM each_text(:contacts) AS r JOIN phones AS p ON p.contact_id = r.value
ORDER BY p.created_at, p.number;

-- name: page_contacts(q, digits, list, tag, opted_in, blocked, cursor, limit)
SELECT c.id, c.name, c.fields, c.source, c.created_at, c.updated_at
FROM contacts AS c
WHERE (CAST(:cursor AS TEXT) IS NULL OR c.id < :cursor)
    AND (CAST(:q AS TEXT) IS NULL
        OR LOWER(c.name) LIKE LOWER(:q) ESCAPE '!'
        OR (CAST(:digits AS TEXT) IS NOT NULL AND EXISTS (
            SELECT 1 FROM phones AS p WHERE p.contact_id = c.id AND p.number LIKE :digits
        )))
    AND (CAST(:list AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM list_members AS m WHERE m.contact_id = c.id AND m.list = :list
    ))
    AND (CAST(:tag AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM tags AS t WHERE t.contact_id = c.id AND t.tag = :tag
    ))
    AND (CAST(:opted_in AS BIGINT) IS NULL OR EXISTS (
        SELECT 1 FROM phones AS p WHERE p.contact_id = c.id AND p.opted_in = :opted_in
    ))
    AND (CAST(:blocked AS BIGINT) IS NULL OR EXISTS (
        SELECT 1 FROM phones AS p WHERE p.contact_id = c.id AND p.blocked = :blocked
    ))
ORDER BY c.id DESC
LIMIT :limit;

-- name: consent_history(contact, cursor, limit)
SELECT e.seq, e.id, e.phone, e.at, e.event, e.actor, e.reason, e.message_id, e.before, e.after
FROM consent_events AS e
WHERE e.phone IN (SELECT p.number FROM phones AS p WHERE p.contact_id = :contact) AND e.seq < :cursor
ORDER BY e.seq DESC
LIMIT :limit;

-- name: all_lists()
SELECT l.name, l.purpose, l.created_at, COUNT(m.contact_id) AS contacts
FROM lists AS l LEFT JOIN list_members AS m ON m.list = l.name
GROUP BY l.name, l.purpose, l.created_at
ORDER BY l.name;

-- name: list_names()
SELECT name FROM lists;

-- name: export_phones(cursor, list, limit)
SELECT c.id, c.name, c.fields, p.number, p.label, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number, (
    SELECT e.reason FROM consent_events AS e WHERE e.phone = p.number AND e.event IN ('created', 'opted_in')
    ORDER BY e.seq DESC LIMIT 1
) AS evidence
FROM contacts AS c JOIN phones AS p ON p.contact_id = c.id
WHERE p.number > :cursor
    AND (CAST(:list AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM list_members AS m WHERE m.contact_id = c.id AND m.list = :list
    ))
ORDER BY p.number
LIMIT :limit;

-- name: count_contacts()
SELECT COUNT(*) AS count FROM contacts;

-- name: list_named(name)
SELECT name, purpose FROM lists WHERE name = :name;

-- name: add_list(name, purpose, now)
INSERT INTO lists (name, purpose, created_at) VALUES (:name, :purpose, :now) ON CONFLICT (name) DO NOTHING
RETURNING name;

-- name: members_of_list(list)
SELECT contact_id FROM list_members WHERE list = :list ORDER BY contact_id;

-- name: all_contact_ids()
SELECT id AS contact_id FROM contacts ORDER BY id;

-- Deletion is for good. What stays is that somebody, known by a keyed hash only, does not want to be texted.

-- name: delete_contact(id)!
DELETE FROM contacts WHERE id = :id;

-- name: forget_decisions(phones)
DELETE FROM decisions WHERE message_id IN (
    SELECT m.id FROM messages AS m WHERE m.phone IN (SELECT r.value FROM each_text(:phones) AS r)
);

-- name: forget_notifications(phones)
DELETE FROM notifications WHERE conversation_id IN (
    SELECT c.id FROM conversations AS c WHERE c.phone IN (SELECT r.value FROM each_text(:phones) AS r)
);

-- name: forget_messages(phones)
DELETE FROM messages WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r);

-- name: forget_conversations(phones)
DELETE FROM conversations WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r);

-- name: forget_cooldowns(contact)!
DELETE FROM cooldowns WHERE contact_id = :contact;

-- name: forget_consent_numbers(rows)!
UPDATE consent_events SET phone = r.value ->> 'phone_hash', contact_id = NULL
FROM each_row(:rows) AS r WHERE consent_events.phone = r.value ->> 'phone';
