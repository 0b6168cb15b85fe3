-- Users, their sessions, the audit log, and what was answered under an Idempotency-Key.

-- name: add_user(id, name, full_name, role, password, now)
INSERT INTO users (id, name, full_name, role, password, active, created_at, updated_at, seen_at)
VALUES (:id, :name, :full_name, :role, :password, 1, :now, :now, 0)
ON CONFLICT (name) DO NOTHING
RETURNING id;

-- name: user_named(name)
SELECT * FROM users WHERE name = :name;

-- name: user_by_id(id)
SELECT * FROM users WHERE id = :id;

-- name: all_users()
SELECT * FROM users ORDER BY name;

-- name: reach_user(id, cell, email)!
UPDATE users SET cell = :cell, email = :email WHERE id = :id;

-- name: count_users()
SELECT COUNT(*) AS count FROM users;

-- Until the end of the transaction nobody else changes them: what is read here is what will be changed.
-- name: hold_user(id)
UPDATE users SET updated_at = updated_at WHERE id = :id RETURNING *;

-- name: hold_admins()
UPDATE users SET updated_at = updated_at WHERE role = 'admin' AND active = 1 RETURNING id;

-- name: change_user(id, full_name, role, active, now)
UPDATE users SET full_name = :full_name, role = :role, active = :active, updated_at = :now WHERE id = :id
RETURNING *;

-- name: set_password(id, password, now)!
UPDATE users SET password = :password, updated_at = :now WHERE id = :id;

-- name: let_go_of_conversations(name)!
UPDATE conversations SET assigned_to = '' WHERE assigned_to = :name;

-- name: delete_user(id)!
DELETE FROM users WHERE id = :id;

-- name: add_session(hash, user, csrf, now)!
INSERT INTO sessions (hash, user_id, csrf, created_at, seen_at) VALUES (:hash, :user, :csrf, :now, :now);

-- name: find_session(hash)
SELECT s.user_id, s.csrf, s.created_at, s.seen_at, u.name, u.role, u.active
FROM sessions AS s JOIN users AS u ON u.id = s.user_id
WHERE s.hash = :hash;

-- name: session_seen(hash, now)!
UPDATE sessions SET seen_at = :now WHERE hash = :hash;

-- name: user_seen(id, now)!
UPDATE users SET seen_at = :now WHERE id = :id;

-- name: end_session(hash)!
DELETE FROM sessions WHERE hash = :hash;

-- name: end_sessions_of(user)!
DELETE FROM sessions WHERE user_id = :user;

-- name: end_old_sessions(before)!
DELETE FROM sessions WHERE created_at < :before;

-- name: login_failure(key)
SELECT * FROM login_failures WHERE key = :key;

-- Until the end of the transaction nobody else counts on it.
-- name: hold_login_failure(key, now)
INSERT INTO login_failures (key, count, blocked_until, last_at) VALUES (:key, 0, 0, :now)
ON CONFLICT (key) DO UPDATE SET count = login_failures.count
RETURNING *;

-- name: count_login_failure(key, count, until, now)!
INSERT INTO login_failures (key, count, blocked_until, last_at) VALUES (:key, :count, :until, :now)
ON CONFLICT (key) DO UPDATE SET count = excluded.count, blocked_until = excluded.blocked_until,
    last_at = excluded.last_at;

-- name: forget_login_failure(key)!
DELETE FROM login_failures WHERE key = :key;

-- name: forget_old_login_failures(before)!
DELETE FROM login_failures WHERE last_at < :before;

-- name: insert_audit(id, at, actor, operation, target, contact_id, detail)!
INSERT INTO audit (id, at, actor, operation, target, contact_id, detail)
VALUES (:id, :at, :actor, :operation, :target, :contact_id, :detail);

-- name: page_audit(actor, operation, contact, cursor, limit)
SELECT * FROM audit
WHERE seq < :cursor
    AND (CAST(:actor AS TEXT) IS NULL OR actor = :actor)
    AND (CAST(:operation AS TEXT) IS NULL OR operation = :operation)
    AND (CAST(:contact AS TEXT) IS NULL OR contact_id = :contact)
ORDER BY seq DESC
LIMIT :limit;

-- name: forget_audit(contact)!
UPDATE audit SET detail = '{}', target = '(deleted)' WHERE contact_id = :contact;

-- name: forget_number_in_audit(contact, number)!
UPDATE audit SET detail = REPLACE(detail, :number, '(removed)') WHERE contact_id = :contact;

-- name: take_idempotency_key(key, request, now)
INSERT INTO idempotency_keys (key, request, status, body, at) VALUES (:key, :request, 0, '', :now)
ON CONFLICT (key) DO NOTHING
RETURNING key;

-- name: idempotency_key(key)
SELECT * FROM idempotency_keys WHERE key = :key;

-- name: keep_idempotent_answer(key, status, body, contact)!
UPDATE idempotency_keys SET status = :status, body = :body, contact_id = :contact WHERE key = :key;

-- name: forget_idempotent_answers(contact, phones)!
UPDATE idempotency_keys SET status = 0, body = '', contact_id = NULL WHERE contact_id = :contact OR EXISTS (
    SELECT 1 FROM each_text(:phones) AS r WHERE idempotency_keys.body LIKE '%' || r.value || '%'
);

-- name: forget_idempotency_keys(before)!
DELETE FROM idempotency_keys WHERE at < :before;

-- name: all_tokens()
SELECT id, name, role, created_by, created_at, seen_at FROM tokens ORDER BY name;

-- name: delete_token(id)
DELETE FROM tokens WHERE id = :id
RETURNING id, name;

-- name: token_seen(id, now)!
UPDATE tokens SET seen_at = :now WHERE id = :id;
