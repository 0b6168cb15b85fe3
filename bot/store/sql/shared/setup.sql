-- name: applied_migrations()
SELECT version, name, checksum FROM schema_migrations ORDER BY version;

-- name: record_migration(version, name, checksum, now)!
INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (:version, :name, :checksum, :now);

-- name: get_setting(key)
SELECT value FROM settings WHERE key = :key;

-- name: add_setting(key, value)!
INSERT INTO settings (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING;

-- name: declare_lists(rows)
INSERT INTO lists (name, purpose, created_at)
SELECT r.value ->> 'name', r.value ->> 'purpose', CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (name) DO UPDATE SET purpose = excluded.purpose, query = '';

-- name: keep_rule_version(version, files, now)!
INSERT INTO rule_versions (version, files, at) VALUES (:version, :files, :now) ON CONFLICT (version) DO NOTHING;

-- name: rule_version(version)
SELECT version, files, at FROM rule_versions WHERE version = :version;

-- name: is_ready()
SELECT COUNT(*) AS count FROM schema_migrations;

-- name: add_token(id, name, role, hash, by, now)
INSERT INTO tokens (id, name, role, hash, created_by, created_at) VALUES (:id, :name, :role, :hash, :by, :now)
ON CONFLICT (name) DO NOTHING
RETURNING id;

-- name: find_token(hash)
SELECT id, name, role, seen_at FROM tokens WHERE hash = :hash;
