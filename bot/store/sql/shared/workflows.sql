-- Runs of workflows, what happened outside of the pipeline, and what is due.

-- name: load_runs(contacts)
SELECT w.* FROM each_text(:contacts) AS r JOIN runs AS w ON w.contact_id = r.value
WHERE w.state = 'active'
ORDER BY w.seq;

-- name: load_past_runs(contacts)
SELECT DISTINCT w.contact_id, w.workflow
FROM each_text(:contacts) AS r JOIN runs AS w ON w.contact_id = r.value
WHERE w.state = 'ended';

-- name: insert_runs(rows)
INSERT INTO runs (
    id, contact_id, workflow, version, rules, phone, number, channel, step, waits_for, waits_since, due_at, repeated,
    sent, state, outcome, source, started_at, expires_at, ended_at
)
SELECT r.value ->> 'id', r.value ->> 'contact_id', r.value ->> 'workflow', r.value ->> 'version',
    r.value ->> 'rules', r.value ->> 'phone', r.value ->> 'number', r.value ->> 'channel', r.value ->> 'step',
    r.value ->> 'waits_for', CAST(r.value ->> 'waits_since' AS BIGINT), CAST(r.value ->> 'due_at' AS BIGINT),
    CAST(r.value ->> 'repeated' AS BIGINT), CAST(r.value ->> 'sent' AS BIGINT), r.value ->> 'state',
    r.value ->> 'outcome', r.value ->> 'source', CAST(r.value ->> 'started_at' AS BIGINT),
    CAST(r.value ->> 'expires_at' AS BIGINT), CAST(r.value ->> 'ended_at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: update_runs(rows)!
UPDATE runs SET number = r.value ->> 'number', channel = r.value ->> 'channel', step = r.value ->> 'step',
    waits_for = r.value ->> 'waits_for', waits_since = CAST(r.value ->> 'waits_since' AS BIGINT),
    due_at = CAST(r.value ->> 'due_at' AS BIGINT), repeated = CAST(r.value ->> 'repeated' AS BIGINT),
    sent = CAST(r.value ->> 'sent' AS BIGINT), state = r.value ->> 'state', outcome = r.value ->> 'outcome',
    ended_at = CAST(r.value ->> 'ended_at' AS BIGINT)
FROM each_row(:rows) AS r WHERE runs.id = r.value ->> 'id';

-- name: due_runs(now, limit)
SELECT id, contact_id, phone, number, channel, due_at FROM runs
WHERE state = 'active' AND due_at <= :now
ORDER BY due_at, seq
LIMIT :limit;

-- name: next_due_run()
SELECT MIN(due_at) AS due_at FROM runs WHERE state = 'active';

-- name: next_held()
SELECT MIN(due_at) AS due_at FROM messages WHERE state = 'held';

-- name: decisions_after(at)
SELECT d.message_id, d.at, d.version, d.facts, d.matched, d.fired, m.body, m.media, m.phone, m.number, m.channel
FROM decisions AS d LEFT JOIN messages AS m ON m.id = d.message_id
WHERE d.at > :at
ORDER BY d.at, d.message_id;

-- name: insert_occurrences(rows)
INSERT INTO occurrences (contact_id, phone, event, detail, source, at)
SELECT r.value ->> 'contact_id', r.value ->> 'phone', r.value ->> 'event', r.value ->> 'detail', r.value ->> 'source',
    CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: insert_occurrences_of_phones(rows)
INSERT INTO occurrences (contact_id, phone, event, detail, source, at)
SELECT p.contact_id, p.number, r.value ->> 'event', r.value ->> 'detail', r.value ->> 'source',
    CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r JOIN phones AS p ON p.number = r.value ->> 'phone' WHERE true;

-- name: waiting_occurrences(limit)
SELECT seq, contact_id, phone, event, detail, source, at FROM occurrences ORDER BY seq LIMIT :limit;

-- name: count_occurrences()
SELECT COUNT(*) AS count FROM occurrences;

-- name: forget_occurrences(rows)
DELETE FROM occurrences WHERE seq IN (SELECT CAST(r.value ->> 'seq' AS BIGINT) FROM each_row(:rows) AS r)
RETURNING seq;

-- name: add_enrolment(id, workflow, list, source, total, now)!
INSERT INTO enrolments (id, workflow, list, source, cursor, total, done, started, created_at, finished_at)
VALUES (:id, :workflow, :list, :source, '', :total, 0, 0, :now, 0);

-- name: open_enrolment()
SELECT * FROM enrolments WHERE finished_at = 0 ORDER BY created_at, id LIMIT 1;

-- name: open_enrolment_of(workflow, list)
SELECT id FROM enrolments WHERE finished_at = 0 AND workflow = :workflow AND list = :list;

-- name: stop_enrolment(id, now)
UPDATE enrolments SET finished_at = :now WHERE id = :id AND finished_at = 0
RETURNING *;

-- name: enrolment_by_id(id)
SELECT * FROM enrolments WHERE id = :id;

-- name: page_enrolments(cursor, limit)
SELECT * FROM enrolments WHERE id < :cursor ORDER BY id DESC LIMIT :limit;

-- name: next_members(list, cursor, limit)
SELECT contact_id FROM list_members WHERE list = :list AND contact_id > :cursor ORDER BY contact_id LIMIT :limit;

-- name: next_contacts(cursor, limit)
SELECT id AS contact_id FROM contacts WHERE id > :cursor ORDER BY id LIMIT :limit;

-- name: count_members(list)
SELECT COUNT(*) AS count FROM list_members WHERE list = :list;

-- name: move_enrolment(id, cursor, done, started, finished_at)!
UPDATE enrolments SET cursor = :cursor, done = done + :done, started = started + :started, finished_at = :finished_at
WHERE id = :id;

-- name: insert_list_events(rows)
INSERT INTO list_events (contact_id, list, event, actor, message_id, evidence, at)
SELECT r.value ->> 'contact_id', r.value ->> 'list', r.value ->> 'event', r.value ->> 'actor',
    r.value ->> 'message_id', r.value ->> 'evidence', CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: list_history(contact, cursor, limit)
SELECT * FROM list_events WHERE contact_id = :contact AND seq < :cursor ORDER BY seq DESC LIMIT :limit;

-- name: insert_notes(rows)
INSERT INTO notes (id, contact_id, author, body, at)
SELECT r.value ->> 'id', r.value ->> 'contact_id', r.value ->> 'author', r.value ->> 'body',
    CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r;

-- name: notes_of(contact, cursor, limit)
SELECT * FROM notes WHERE contact_id = :contact AND seq < :cursor ORDER BY seq DESC LIMIT :limit;

-- name: count_inbound(phones, since)
SELECT m.phone, COUNT(*) AS count
FROM each_text(:phones) AS r JOIN messages AS m ON m.phone = r.value
WHERE m.direction = 'inbound' AND m.created_at > :since
GROUP BY m.phone;

-- name: people_inside()
SELECT workflow, version, rules, step, COUNT(*) AS people FROM runs
WHERE state = 'active' GROUP BY workflow, version, rules, step ORDER BY workflow, version, step;

-- name: rules_of_run(workflow, version)
SELECT rules FROM runs WHERE workflow = :workflow AND version = :version LIMIT 1;

-- name: runs_of_contact(contact, state, cursor, limit)
SELECT * FROM runs
WHERE contact_id = :contact AND seq < :cursor AND (CAST(:state AS TEXT) IS NULL OR state = :state)
ORDER BY seq DESC
LIMIT :limit;

-- name: runs_of_workflow(workflow, state, cursor, limit)
SELECT * FROM runs
WHERE workflow = :workflow AND seq < :cursor AND (CAST(:state AS TEXT) IS NULL OR state = :state)
ORDER BY seq DESC
LIMIT :limit;

-- name: contacts_inside(rows)
SELECT DISTINCT w.contact_id
FROM each_row(:rows) AS r
JOIN runs AS w ON w.workflow = r.value ->> 'workflow' AND w.version = r.value ->> 'version'
WHERE w.state = 'active';

-- name: move_runs(workflow, version, step, new_version, new_rules)!
UPDATE runs SET version = :new_version, rules = :new_rules
WHERE workflow = :workflow AND version = :version AND step = :step AND state = 'active';

-- name: tell_of_cancelled_runs(workflow, version, source, now)!
INSERT INTO occurrences (contact_id, phone, event, detail, source, at)
SELECT contact_id, phone, 'workflow_ended', workflow, CAST(:source AS TEXT), CAST(:now AS BIGINT) FROM runs
WHERE workflow = :workflow AND version = :version AND state = 'active'
ORDER BY seq;

-- name: cancel_texts_of_runs(workflow, version, reason, now)!
UPDATE messages SET state = 'cancelled', error = :reason, updated_at = :now
WHERE state IN ('held', 'queued') AND run_id IN (
    SELECT id FROM runs WHERE workflow = :workflow AND version = :version AND state = 'active'
);

-- name: cancel_runs(workflow, version, outcome, now)!
UPDATE runs SET state = 'ended', outcome = :outcome, ended_at = :now
WHERE workflow = :workflow AND version = :version AND state = 'active';

-- name: activate_rules(version, now)!
INSERT INTO rule_activations (version, at)
SELECT CAST(:version AS TEXT), CAST(:now AS BIGINT)
WHERE CAST(:version AS TEXT) <> COALESCE((SELECT version FROM rule_activations ORDER BY seq DESC LIMIT 1), '');

-- name: latest_activations(limit)
SELECT a.version, a.at, v.files FROM rule_activations AS a JOIN rule_versions AS v ON v.version = a.version
ORDER BY a.seq DESC LIMIT :limit;

-- An id begins with its time (UUIDv7), so the messages since then are found by it.
-- name: inbound_decisions(cursor, limit)
SELECT m.id, m.body, m.media, m.phone, m.number, m.channel, d.at, d.version, d.facts, d.matched, d.fired
FROM messages AS m JOIN decisions AS d ON d.message_id = m.id
WHERE m.id > :cursor AND m.direction = 'inbound'
ORDER BY m.id
LIMIT :limit;
