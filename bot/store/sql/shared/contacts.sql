-- name: contacts_by_id(ids)
SELECT c.id, c.name, c.fields, c.source, c.created_at, c.updated_at
FROM each_text(:ids) AS r JOIN contacts AS c ON c.id = r.value;

-- name: phones_of_contacts(contacts)
SELECT p.number, p.contact_id, p.label, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number
FROM each_text(:contacts) AS r JOIN phones AS p ON p.contact_id = r.value
ORDER BY p.created_at, p.number;

-- Of a selection of contacts (bot/criteria.py).

-- name: page_contacts(a_q, a_digits, a_few, a_list, a_tag, a_without_tag, a_field, a_value, a_opted_in, a_blocked, a_textable, a_texted_since, a_silent_since, b_q, b_digits, b_few, b_list, b_tag, b_without_tag, b_field, b_value, b_opted_in, b_blocked, b_textable, b_texted_since, b_silent_since, cursor, limit)
SELECT c.id FROM contacts AS c
WHERE (CAST(:cursor AS TEXT) IS NULL OR c.id < :cursor) AND matching(a) AND matching(b)
ORDER BY c.id DESC
LIMIT :limit;

-- name: selected_ids(a_q, a_digits, a_few, a_list, a_tag, a_without_tag, a_field, a_value, a_opted_in, a_blocked, a_textable, a_texted_since, a_silent_since, b_q, b_digits, b_few, b_list, b_tag, b_without_tag, b_field, b_value, b_opted_in, b_blocked, b_textable, b_texted_since, b_silent_since)
SELECT c.id AS contact_id FROM contacts AS c WHERE matching(a) AND matching(b) ORDER BY c.id;

-- name: count_selected(a_q, a_digits, a_few, a_list, a_tag, a_without_tag, a_field, a_value, a_opted_in, a_blocked, a_textable, a_texted_since, a_silent_since, b_q, b_digits, b_few, b_list, b_tag, b_without_tag, b_field, b_value, b_opted_in, b_blocked, b_textable, b_texted_since, b_silent_since)
SELECT COUNT(*) AS contacts, COALESCE(SUM(s.textable), 0) AS textable, COALESCE(SUM(s.opted_out), 0) AS opted_out,
    COALESCE(SUM(s.blocked), 0) AS blocked
FROM (
    SELECT MAX(p.sendable) AS textable, 1 - MAX(p.opted_in) AS opted_out, MAX(p.blocked) AS blocked
    FROM contacts AS c LEFT JOIN phones AS p ON p.contact_id = c.id
    WHERE matching(a) AND matching(b)
    GROUP BY c.id
) AS s;

-- Of each of them the first phone that may be texted, else the first: why not is what its row says.
-- name: refusals_of_selected(a_q, a_digits, a_few, a_list, a_tag, a_without_tag, a_field, a_value, a_opted_in, a_blocked, a_textable, a_texted_since, a_silent_since, b_q, b_digits, b_few, b_list, b_tag, b_without_tag, b_field, b_value, b_opted_in, b_blocked, b_textable, b_texted_since, b_silent_since)
SELECT s.why, COUNT(*) AS contacts FROM (
    SELECT c.id, MIN(CASE WHEN p.sendable = 1 THEN '0' WHEN p.blocked = 1 THEN '1' WHEN p.opted_in = 0 THEN '2'
        WHEN p.do_not_contact = 1 THEN '3' WHEN p.wrong_number = 1 THEN '4' WHEN p.number IS NOT NULL THEN '5'
        ELSE '6' END) AS why
    FROM contacts AS c LEFT JOIN phones AS p ON p.contact_id = c.id
    WHERE matching(a) AND matching(b)
    GROUP BY c.id
) AS s
GROUP BY s.why
ORDER BY s.why;

-- name: address_selected(a_q, a_digits, a_few, a_list, a_tag, a_without_tag, a_field, a_value, a_opted_in, a_blocked, a_textable, a_texted_since, a_silent_since, b_q, b_digits, b_few, b_list, b_tag, b_without_tag, b_field, b_value, b_opted_in, b_blocked, b_textable, b_texted_since, b_silent_since, broadcast)
INSERT INTO broadcast_recipients (broadcast_id, contact_id, state, phone, reason)
SELECT CAST(:broadcast AS TEXT), c.id, 'waiting', '', '' FROM contacts AS c WHERE matching(a) AND matching(b)
RETURNING contact_id;

-- name: consent_history(contact, cursor, limit)
SELECT e.seq, e.id, e.phone, e.at, e.event, e.actor, e.reason, e.message_id, e.before, e.after
FROM consent_events AS e
WHERE e.phone IN (SELECT p.number FROM phones AS p WHERE p.contact_id = :contact) AND e.seq < :cursor
ORDER BY e.seq DESC
LIMIT :limit;

-- name: all_lists()
SELECT name, purpose, query, created_at FROM lists ORDER BY name;

-- name: counts_of_lists()
SELECT m.list, COUNT(*) AS contacts, COALESCE(SUM(s.textable), 0) AS textable,
    COALESCE(SUM(s.opted_out), 0) AS opted_out, COALESCE(SUM(s.blocked), 0) AS blocked
FROM list_members AS m LEFT JOIN (
    SELECT p.contact_id, MAX(p.sendable) AS textable, 1 - MAX(p.opted_in) AS opted_out, MAX(p.blocked) AS blocked
    FROM phones AS p GROUP BY p.contact_id
) AS s ON s.contact_id = m.contact_id
GROUP BY m.list;

-- name: some_of_list(list, limit)
SELECT contact_id FROM list_members WHERE list = :list LIMIT :limit;

-- name: some_tagged(tag, limit)
SELECT contact_id FROM tags WHERE tag = :tag LIMIT :limit;

-- Of lists by hand: nobody is put on one by query.
-- name: list_names()
SELECT name FROM lists WHERE query = '';

-- name: export_phones(contact, cursor, list, limit)
SELECT c.id, c.name, c.fields, p.number, p.label, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number, (
    SELECT e.reason FROM consent_events AS e WHERE e.phone = p.number AND e.event IN ('created', 'opted_in')
    ORDER BY e.seq DESC LIMIT 1
) AS evidence
FROM contacts AS c JOIN phones AS p ON p.contact_id = c.id
WHERE p.contact_id >= :contact AND (p.contact_id > :contact OR p.number > :cursor)
    AND (CAST(:list AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM list_members AS m WHERE m.contact_id = c.id AND m.list = :list
    ))
ORDER BY p.contact_id, p.number
LIMIT :limit;

-- name: count_contacts()
SELECT COUNT(*) AS count FROM contacts;

-- name: list_named(name)
SELECT name, purpose, query, created_at FROM lists WHERE name = :name;

-- name: add_list(name, purpose, asks, now)
INSERT INTO lists (name, purpose, query, created_at) VALUES (:name, :purpose, :asks, :now)
ON CONFLICT (name) DO NOTHING
RETURNING name;

-- Until the end of the transaction nobody else changes it.
-- name: hold_list(name)
UPDATE lists SET purpose = purpose WHERE name = :name RETURNING name;

-- name: change_list(name, purpose, asks)!
UPDATE lists SET purpose = :purpose, query = :asks WHERE name = :name;

-- name: delete_list(name)!
DELETE FROM lists WHERE name = :name;

-- name: members_of_list(list)
SELECT contact_id FROM list_members WHERE list = :list ORDER BY contact_id;

-- Deletion is for good. What stays is that somebody, known by a keyed hash only, does not want to be texted.

-- name: delete_contact(id)!
DELETE FROM contacts WHERE id = :id;

-- name: delete_phone(number)!
DELETE FROM phones WHERE number = :number;

-- name: forget_decisions(phones)
DELETE FROM decisions WHERE message_id IN (
    SELECT m.id FROM messages AS m WHERE m.phone IN (SELECT r.value FROM each_text(:phones) AS r)
);

-- name: forget_notifications(phones)
DELETE FROM notifications WHERE conversation_id IN (
    SELECT c.id FROM conversations AS c WHERE c.phone IN (SELECT r.value FROM each_text(:phones) AS r)
);

-- Events of a person that are about no conversation.
-- name: forget_events(contact)!
DELETE FROM notifications WHERE contact_id = :contact;

-- name: forget_messages(phones)
DELETE FROM messages WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r);

-- name: forget_conversations(phones)
DELETE FROM conversations WHERE phone IN (SELECT r.value FROM each_text(:phones) AS r);

-- name: forget_cooldowns(contact)!
DELETE FROM cooldowns WHERE contact_id = :contact;

-- name: forget_consent_numbers(rows)!
UPDATE consent_events SET phone = r.value ->> 'phone_hash', contact_id = NULL
FROM each_row(:rows) AS r WHERE consent_events.phone = r.value ->> 'phone';
