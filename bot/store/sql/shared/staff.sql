-- What staff work with: the inbox, broadcasts, canned answers, absences, imports, and a person's whole history.

-- Whose time has passed is nobody's, and nobody waits there (Conversation.at). `held`, `owned` and `a_few` follow from
-- the others: by them the few that may be meant are found.
-- name: page_inbox(phone, held, mode, owned, assigned, route, waiting, unread, of_list, a_q, a_digits, a_few, a_list, a_tag, a_without_tag, a_field, a_value, a_opted_in, a_blocked, a_textable, a_texted_since, a_silent_since, b_q, b_digits, b_few, b_list, b_tag, b_without_tag, b_field, b_value, b_opted_in, b_blocked, b_textable, b_texted_since, b_silent_since, now, cursor_at, cursor_id, limit)
SELECT c.*, p.contact_id, k.name, p.opted_in, p.blocked, p.do_not_contact, p.wrong_number, p.label, (
    SELECT m.seq FROM messages AS m WHERE m.phone = c.phone AND m.conversation_id = c.id AND m.state <> 'blocked'
    ORDER BY m.seq DESC LIMIT 1
) AS last_seq
FROM conversations AS c
LEFT JOIN phones AS p ON p.number = c.phone
LEFT JOIN contacts AS k ON k.id = p.contact_id
WHERE c.last_message_at > 0
    AND (c.last_message_at, c.id) < (:cursor_at, :cursor_id)
    AND (CAST(:phone AS TEXT) IS NULL OR c.phone = :phone)
    AND (CAST(:held AS BIGINT) IS NULL OR c.mode <> 'auto')
    AND (CAST(:mode AS TEXT) IS NULL OR :mode = CASE WHEN c.staff_until > :now THEN c.mode ELSE 'auto' END)
    AND (CAST(:owned AS BIGINT) IS NULL OR c.assigned_to <> '')
    AND (CAST(:assigned AS TEXT) IS NULL
        OR (c.assigned_to = :assigned AND (c.mode <> 'staff' OR c.staff_until > :now)))
    AND (CAST(:route AS TEXT) IS NULL OR (c.route = :route AND c.mode = 'staff' AND c.staff_until > :now))
    AND (CAST(:waiting AS BIGINT) IS NULL OR (c.waiting_since > 0 AND c.mode = 'staff' AND c.staff_until > :now))
    AND (CAST(:unread AS BIGINT) IS NULL OR c.unread > 0)
    AND (CAST(:a_few AS TEXT) IS NULL OR c.phone IN (
        SELECT h.number FROM each_text(:a_few) AS r JOIN phones AS h ON h.contact_id = r.value
    ))
    AND (CAST(:of_list AS BIGINT) IS NULL OR EXISTS (
        SELECT 1 FROM contacts AS c WHERE c.id = p.contact_id AND matching(a) AND matching(b)
    ))
ORDER BY c.last_message_at DESC, c.id DESC
LIMIT :limit;

-- name: messages_by_seq(seqs)
SELECT seq, conversation_id, direction, state, body, media, sent_by, sent_by_name, created_at FROM messages
WHERE seq IN (SELECT CAST(r.value AS BIGINT) FROM each_text(:seqs) AS r);

-- name: count_waiting(now, assigned)
SELECT COUNT(*) AS waiting, COALESCE(SUM(CASE WHEN assigned_to = :assigned THEN 1 ELSE 0 END), 0) AS mine
FROM conversations WHERE waiting_since > 0 AND mode = 'staff' AND staff_until > :now;

-- name: unanswered_since(route, before, now, limit)
SELECT * FROM conversations
WHERE waiting_since > 0 AND waiting_since <= :before AND escalated_at = 0 AND route = :route AND mode = 'staff'
    AND staff_until > :now
ORDER BY waiting_since
LIMIT :limit;

-- name: escalate(ids, route, now)
UPDATE conversations SET escalated_at = :now
WHERE id IN (SELECT r.value FROM each_text(:ids) AS r) AND waiting_since > 0 AND escalated_at = 0 AND mode = 'staff'
    AND route = :route AND staff_until > :now
RETURNING *;

-- name: names_of_phones(phones)
SELECT p.number, k.id, k.name FROM each_text(:phones) AS r
JOIN phones AS p ON p.number = r.value JOIN contacts AS k ON k.id = p.contact_id;

-- name: all_absences()
SELECT * FROM route_absences;

-- name: set_absence(route, until, stand_in, actor, now)!
INSERT INTO route_absences (route, until, stand_in, actor, at) VALUES (:route, :until, :stand_in, :actor, :now)
ON CONFLICT (route) DO UPDATE SET until = excluded.until, stand_in = excluded.stand_in, actor = excluded.actor,
    at = excluded.at;

-- name: end_absence(route)!
DELETE FROM route_absences WHERE route = :route;

-- name: forget_subscriptions()!
DELETE FROM subscriptions;

-- Nodes that start in the same moment say the same.
-- name: add_subscriptions(rows)
INSERT INTO subscriptions (event, route) SELECT r.value ->> 'event', r.value ->> 'route' FROM each_row(:rows) AS r
WHERE true
ON CONFLICT (event, route) DO NOTHING;

-- name: all_answers()
SELECT * FROM canned_answers ORDER BY name;

-- name: answer_by_id(id)
SELECT * FROM canned_answers WHERE id = :id;

-- Until the end of the transaction nobody else changes it.
-- name: hold_answer(id)
UPDATE canned_answers SET updated_at = updated_at WHERE id = :id RETURNING *;

-- name: answer_named(name)
SELECT * FROM canned_answers WHERE name = :name;

-- name: add_answer(id, name, body, now)
INSERT INTO canned_answers (id, name, body, created_at, updated_at) VALUES (:id, :name, :body, :now, :now)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: change_answer(id, name, body, now)!
UPDATE canned_answers SET name = :name, body = :body, updated_at = :now WHERE id = :id;

-- name: delete_answer(id)!
DELETE FROM canned_answers WHERE id = :id;

-- name: add_broadcast(id, author, body, media, number, channel, send_at, audience, now)!
INSERT INTO broadcasts (
    id, author, body, media, number, channel, send_at, audience, total, created_at, finished_at, cancelled
)
VALUES (:id, :author, :body, :media, :number, :channel, :send_at, :audience, 0, :now, 0, 0);

-- name: address_contacts(broadcast, contacts)
INSERT INTO broadcast_recipients (broadcast_id, contact_id, state, phone, reason)
SELECT CAST(:broadcast AS TEXT), c.id, 'waiting', '', ''
FROM contacts AS c WHERE c.id IN (SELECT r.value FROM each_text(:contacts) AS r)
RETURNING contact_id;

-- name: set_total(id)!
UPDATE broadcasts SET total = (SELECT COUNT(*) FROM broadcast_recipients WHERE broadcast_id = :id) WHERE id = :id;

-- name: open_broadcast()
SELECT * FROM broadcasts WHERE finished_at = 0 ORDER BY created_at, id LIMIT 1;

-- Until the end of the transaction it is called back by nobody.
-- name: hold_broadcast(id)
UPDATE broadcasts SET finished_at = 0 WHERE id = :id AND finished_at = 0
RETURNING *;

-- name: broadcast_by_id(id)
SELECT * FROM broadcasts WHERE id = :id;

-- name: page_broadcasts(cursor, limit)
SELECT * FROM broadcasts WHERE id < :cursor ORDER BY id DESC LIMIT :limit;

-- name: waiting_recipients(broadcast, limit)
SELECT contact_id FROM broadcast_recipients WHERE broadcast_id = :broadcast AND state = 'waiting'
ORDER BY contact_id
LIMIT :limit;

-- name: settle_recipients(rows)!
UPDATE broadcast_recipients SET state = r.value ->> 'state', phone = r.value ->> 'phone',
    reason = r.value ->> 'reason', message_id = r.value ->> 'message_id'
FROM each_row(:rows) AS r
WHERE broadcast_recipients.broadcast_id = r.value ->> 'broadcast_id'
    AND broadcast_recipients.contact_id = r.value ->> 'contact_id';

-- name: finish_broadcast(id, now)!
UPDATE broadcasts SET finished_at = :now WHERE id = :id AND finished_at = 0;

-- name: cancel_broadcast(id, now)
UPDATE broadcasts SET cancelled = 1, finished_at = CASE WHEN finished_at = 0 THEN :now ELSE finished_at END
WHERE id = :id AND cancelled = 0
RETURNING id;

-- name: cancel_recipients(id)!
UPDATE broadcast_recipients SET state = 'cancelled', reason = 'the text was called back'
WHERE broadcast_id = :id AND state = 'waiting';

-- name: cancel_texts_of_broadcast(id, now)
UPDATE messages SET state = 'cancelled', error = 'the text was called back', updated_at = :now
WHERE state IN ('held', 'queued') AND id IN (
    SELECT message_id FROM broadcast_recipients WHERE broadcast_id = :id AND message_id IS NOT NULL
)
RETURNING id, conversation_id;

-- name: progress_of(ids)
SELECT r.broadcast_id, CASE WHEN r.state = 'queued' THEN COALESCE(m.state, 'deleted') ELSE r.state END AS state,
    COUNT(*) AS count
FROM each_text(:ids) AS b
JOIN broadcast_recipients AS r ON r.broadcast_id = b.value
LEFT JOIN messages AS m ON m.id = r.message_id
GROUP BY 1, 2;

-- name: page_recipients(broadcast, state, cursor, limit)
SELECT r.contact_id, k.name, r.phone, r.reason, r.message_id, m.error,
    CASE WHEN r.state = 'queued' THEN COALESCE(m.state, 'deleted') ELSE r.state END AS state
FROM broadcast_recipients AS r
JOIN contacts AS k ON k.id = r.contact_id
LEFT JOIN messages AS m ON m.id = r.message_id
WHERE r.broadcast_id = :broadcast AND r.contact_id > :cursor
    AND (CAST(:state AS TEXT) IS NULL
        OR :state = CASE WHEN r.state = 'queued' THEN COALESCE(m.state, 'deleted') ELSE r.state END)
ORDER BY r.contact_id
LIMIT :limit;

-- A person's history: each kind in falling order of (time, key), to be merged (bot/history.py).

-- name: history_of_messages(phones, at, key, limit)
SELECT m.id AS key, m.created_at AS at, m.* FROM messages AS m
WHERE m.phone IN (SELECT r.value FROM each_text(:phones) AS r) AND (m.created_at, 'message:' || m.id) < (:at, :key)
ORDER BY m.created_at DESC, m.id DESC
LIMIT :limit;

-- name: history_of_consent(phones, at, key, limit)
SELECT e.id AS key, e.* FROM consent_events AS e
WHERE e.phone IN (SELECT r.value FROM each_text(:phones) AS r) AND (e.at, 'consent:' || e.id) < (:at, :key)
ORDER BY e.at DESC, e.id DESC
LIMIT :limit;

-- name: history_of_lists(contact, at, key, limit)
SELECT CAST(e.seq AS TEXT) AS key, e.* FROM list_events AS e
WHERE e.contact_id = :contact AND (e.at, 'list:' || CAST(e.seq AS TEXT)) < (:at, :key)
ORDER BY e.at DESC, CAST(e.seq AS TEXT) DESC
LIMIT :limit;

-- name: history_of_tags(contact, at, key, limit)
SELECT CAST(e.seq AS TEXT) AS key, e.* FROM tag_events AS e
WHERE e.contact_id = :contact AND (e.at, 'tag:' || CAST(e.seq AS TEXT)) < (:at, :key)
ORDER BY e.at DESC, CAST(e.seq AS TEXT) DESC
LIMIT :limit;

-- name: history_of_runs(contact, at, key, limit)
SELECT w.id AS key, w.started_at AS at, w.* FROM runs AS w
WHERE w.contact_id = :contact AND (w.started_at, 'run:' || w.id) < (:at, :key)
ORDER BY w.started_at DESC, w.id DESC
LIMIT :limit;

-- name: history_of_notes(contact, at, key, limit)
SELECT n.id AS key, n.* FROM notes AS n
WHERE n.contact_id = :contact AND (n.at, 'note:' || n.id) < (:at, :key)
ORDER BY n.at DESC, n.id DESC
LIMIT :limit;

-- Without the changes that the other kinds tell of.
-- name: history_of_changes(contact, at, key, limit)
SELECT a.id AS key, a.* FROM audit AS a
WHERE a.contact_id = :contact AND (a.at, 'change:' || a.id) < (:at, :key) AND a.operation NOT IN (
    'tag_contact', 'untag_contact', 'join_list', 'leave_list', 'add_note', 'change_phone', 'create_phone',
    'send_message'
)
ORDER BY a.at DESC, a.id DESC
LIMIT :limit;

-- name: add_import(id, file, actor, options, now)!
INSERT INTO imports (
    id, file, actor, options, state, rows, added, changed, unchanged, wrong, kept_out, problem, errors, ignored,
    created_at, updated_at
)
VALUES (:id, :file, :actor, :options, 'waiting', 0, 0, 0, 0, 0, 0, '', '[]', '[]', :now, :now);

-- Nothing where somebody has cancelled it meanwhile.
-- name: move_import(id, state, rows, added, changed, unchanged, wrong, kept_out, problem, errors, ignored, now)
UPDATE imports SET state = :state, rows = :rows, added = :added, changed = :changed, unchanged = :unchanged,
    wrong = :wrong, kept_out = :kept_out, problem = :problem, errors = :errors, ignored = :ignored, updated_at = :now
WHERE id = :id AND state IN ('waiting', 'running')
RETURNING id;

-- name: import_by_id(id)
SELECT * FROM imports WHERE id = :id;

-- name: page_imports(cursor, limit)
SELECT * FROM imports WHERE id < :cursor ORDER BY id DESC LIMIT :limit;

-- name: cancel_import(id, problem, now)
UPDATE imports SET state = 'cancelled', problem = :problem, updated_at = :now
WHERE id = :id AND state IN ('waiting', 'running')
RETURNING id;

-- name: touch_imports(ids, now)
UPDATE imports SET updated_at = :now
WHERE state IN ('waiting', 'running') AND id IN (SELECT r.value FROM each_text(:ids) AS r)
RETURNING id;

-- Those of a node that starts anew, and those of which no node has said anything for long.
-- name: interrupt_imports(ids, before, now)!
UPDATE imports SET state = 'failed', problem = 'the server stopped while this was read; import the file again',
    updated_at = :now
WHERE state IN ('waiting', 'running')
    AND (updated_at < :before OR id IN (SELECT r.value FROM each_text(:ids) AS r));

-- name: count_unanswered_of(route, now)
SELECT COUNT(*) AS count FROM conversations
WHERE waiting_since > 0 AND mode = 'staff' AND staff_until > :now AND route = :route;
