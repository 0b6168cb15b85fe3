-- Numbers that were bought or found, and purchases.

-- name: all_numbers()
SELECT * FROM numbers ORDER BY created_at, number;

-- name: number_named(number)
SELECT * FROM numbers WHERE number = :number;

-- name: lines_of_user(user)
SELECT * FROM numbers WHERE user_id = :user AND state = 'active' ORDER BY created_at DESC, number DESC;

-- name: upsert_numbers(rows, now)
INSERT INTO numbers (
    number, channel, state, source, provider_id, label, user_id, registration, campaign, release_at, created_at, updated_at
)
SELECT r.value ->> 'number', r.value ->> 'channel', 'active', r.value ->> 'source', r.value ->> 'provider_id',
    r.value ->> 'label', r.value ->> 'user_id', r.value ->> 'registration', r.value ->> 'campaign', 0, :now, :now
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (number) DO UPDATE SET
    channel = excluded.channel,
    state = CASE WHEN numbers.state = 'quarantined' AND excluded.source = 'found' THEN 'quarantined' ELSE 'active' END,
    source = CASE WHEN excluded.source = 'found' THEN numbers.source ELSE excluded.source END,
    provider_id = CASE WHEN excluded.provider_id = '' THEN numbers.provider_id ELSE excluded.provider_id END,
    label = CASE WHEN excluded.label = '' THEN numbers.label ELSE excluded.label END,
    user_id = COALESCE(excluded.user_id, numbers.user_id),
    registration = CASE WHEN excluded.registration = '' THEN numbers.registration ELSE excluded.registration END,
    campaign = CASE WHEN excluded.campaign = '' THEN numbers.campaign ELSE excluded.campaign END,
    updated_at = excluded.updated_at;

-- name: quarantine_number(number, release_at, now)!
UPDATE numbers SET state = 'quarantined', user_id = NULL, updated_at = :now,
    release_at = CASE WHEN state = 'quarantined' AND release_at < :release_at THEN release_at ELSE :release_at END
WHERE number = :number;

-- name: number_is_released(number, now)!
UPDATE numbers SET state = 'released', user_id = NULL, updated_at = :now WHERE number = :number;

-- name: give_line(number, user, now)!
UPDATE numbers SET user_id = :user, updated_at = :now WHERE number = :number;

-- name: page_purchases(cursor, limit)
SELECT p.*, u.name AS user_name FROM purchases AS p LEFT JOIN users AS u ON u.id = p.user_id
WHERE p.id < :cursor ORDER BY p.id DESC LIMIT :limit;

-- name: open_purchases()
SELECT * FROM purchases WHERE state = 'open' ORDER BY created_at;

-- name: recent_refusals(since)
SELECT * FROM purchases AS p
WHERE p.state IN ('pool', 'refused', 'dry_run') AND p.updated_at >= :since
    AND NOT EXISTS (SELECT 1 FROM purchases AS later WHERE later.need = p.need AND later.created_at > p.created_at)
ORDER BY p.created_at;

-- Somebody is at it already, or it is ours.
-- name: who_has_number(number, id)
SELECT 'purchase' AS what FROM purchases
WHERE number = :number AND id <> :id AND state = 'open' AND step <> 'release'
UNION ALL
SELECT 'number' AS what FROM numbers WHERE number = :number AND state <> 'released'
LIMIT 1;

-- name: numbers_under_way()
SELECT number FROM purchases WHERE state = 'open' AND step <> 'release' AND number <> '';

-- name: purchase_by_id(id)
SELECT p.*, u.name AS user_name FROM purchases AS p LEFT JOIN users AS u ON u.id = p.user_id WHERE p.id = :id;

-- name: purchase_for(need)
SELECT p.*, u.name AS user_name FROM purchases AS p LEFT JOIN users AS u ON u.id = p.user_id
WHERE p.need = :need ORDER BY p.created_at DESC, p.id DESC LIMIT 1;

-- name: count_ordered(since)
SELECT COUNT(*) AS count FROM purchases WHERE ordered_at >= :since AND ordered_at > 0;

-- name: add_purchases(rows)
INSERT INTO purchases (
    id, need, channel, user_id, country, area_code, state, step, number, found_by, passed_over, attempts, due_at,
    lease_until, error, requested_by, created_at, ordered_at, updated_at
)
SELECT r.value ->> 'id', r.value ->> 'need', r.value ->> 'channel', r.value ->> 'user_id', r.value ->> 'country',
    r.value ->> 'area_code', r.value ->> 'state', r.value ->> 'step', r.value ->> 'number', r.value ->> 'found_by', '[]', 0,
    CAST(r.value ->> 'due_at' AS BIGINT), 0, r.value ->> 'error', r.value ->> 'requested_by', CAST(r.value ->> 'at' AS BIGINT),
    CAST(r.value ->> 'ordered_at' AS BIGINT), CAST(r.value ->> 'at' AS BIGINT)
FROM each_row(:rows) AS r WHERE true
ON CONFLICT (need) WHERE state IN ('open', 'done') DO NOTHING;

-- name: end_need(need, now)!
UPDATE purchases SET state = 'released', updated_at = :now WHERE need = :need AND state IN ('open', 'done');

-- name: end_purchases_of(number, now)!
UPDATE purchases SET state = 'released', updated_at = :now
WHERE number = :number AND step <> 'release' AND state IN ('open', 'done');

-- name: hasten_release(need, due_at, now)!
UPDATE purchases SET due_at = :due_at, updated_at = :now WHERE need = :need AND state = 'open' AND due_at > :due_at;

-- At the start: what went wrong may have been mended since, and on a store that is ours alone a lease is a dead server's.
-- name: recover_purchases(now, alone)!
UPDATE purchases SET due_at = CASE WHEN step = 'release' OR due_at < :now THEN due_at ELSE :now END,
    lease_until = CASE WHEN CAST(:alone AS BIGINT) = 1 THEN 0 ELSE lease_until END
WHERE state = 'open';

-- name: claim_purchases(now, lease_until, limit)
UPDATE purchases SET lease_until = :lease_until, attempts = attempts + 1, updated_at = :now
WHERE id IN (
    SELECT id FROM purchases WHERE state = 'open' AND due_at <= :now AND lease_until <= :now ORDER BY due_at LIMIT :limit
) AND lease_until <= :now AND state = 'open'
RETURNING *;

-- name: renew_purchase(id, lease, lease_until)
UPDATE purchases SET lease_until = :lease_until WHERE id = :id AND state = 'open' AND lease_until = :lease RETURNING *;

-- Until the end of the transaction nobody else writes it; nothing where another has claimed it since, or it is over.
-- name: hold_purchase(id, lease, now)
UPDATE purchases SET updated_at = :now WHERE id = :id AND state = 'open' AND lease_until = :lease RETURNING *;

-- name: settle_purchases(rows, now)!
UPDATE purchases SET state = r.value ->> 'state', step = r.value ->> 'step', number = r.value ->> 'number',
    found_by = r.value ->> 'found_by', passed_over = r.value ->> 'passed_over', error = r.value ->> 'error',
    attempts = CAST(r.value ->> 'attempts' AS BIGINT), due_at = CAST(r.value ->> 'due_at' AS BIGINT),
    ordered_at = CAST(r.value ->> 'ordered_at' AS BIGINT), lease_until = 0, updated_at = :now
FROM each_row(:rows) AS r WHERE purchases.id = r.value ->> 'id' AND purchases.state = 'open';

-- name: next_due_purchase()
SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) AS due_at FROM purchases WHERE state = 'open';

-- name: texts_waiting_for(purchase)
SELECT id, phone, number, channel, conversation_id FROM messages
WHERE purchase_id = :purchase AND state = 'held'
ORDER BY seq;

-- Of purchases that are over: they were written while that was.
-- name: stranded_texts(limit)
SELECT m.id, m.phone, m.number, m.channel, m.conversation_id, p.channel AS own_channel,
    CASE WHEN p.state = 'done' THEN p.number ELSE '' END AS own
FROM messages AS m JOIN purchases AS p ON p.id = m.purchase_id
WHERE m.purchase_id IS NOT NULL AND m.state = 'held' AND p.state <> 'open'
ORDER BY m.seq LIMIT :limit;

-- name: queue_waiting(rows, now)!
UPDATE messages SET state = 'queued', purchase_id = NULL, due_at = :now, error = NULL, updated_at = :now
FROM each_row(:rows) AS r WHERE messages.id = r.value ->> 'id' AND messages.state = 'held';

-- name: say_why_waiting(purchase, error, now)!
UPDATE messages SET error = :error, updated_at = :now WHERE purchase_id = :purchase AND state = 'held';

-- name: fail_unbought(before, now)
UPDATE messages SET state = 'failed', error = 'no number could be bought for it: ' || COALESCE(error, 'it took too long'),
    updated_at = :now
WHERE purchase_id IS NOT NULL AND state = 'held' AND created_at < :before
RETURNING id, phone, number, channel, conversation_id, state, error;
