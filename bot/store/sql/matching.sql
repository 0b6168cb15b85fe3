(CAST(:X_q AS TEXT) IS NULL OR c.search LIKE :X_q ESCAPE '!' OR (CAST(:X_digits AS TEXT) IS NOT NULL AND c.id IN (
        SELECT p.contact_id FROM phones AS p WHERE p.number LIKE :X_digits
    )))
    AND (CAST(:X_few AS TEXT) IS NULL OR c.id IN (SELECT r.value FROM each_text(:X_few) AS r))
    AND (CAST(:X_list AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM list_members AS m WHERE m.contact_id = c.id AND m.list = :X_list
    ))
    AND (CAST(:X_tag AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM tags AS t WHERE t.contact_id = c.id AND t.tag = :X_tag
    ))
    AND (CAST(:X_without_tag AS TEXT) IS NULL OR NOT EXISTS (
        SELECT 1 FROM tags AS t WHERE t.contact_id = c.id AND t.tag = :X_without_tag
    ))
    AND (CAST(:X_field AS TEXT) IS NULL
        OR COALESCE(json_text(c.fields, :X_field), '') = COALESCE(CAST(:X_value AS TEXT), ''))
    AND (CAST(:X_opted_in AS BIGINT) IS NULL OR EXISTS (
        SELECT 1 FROM phones AS p WHERE p.contact_id = c.id AND p.opted_in = :X_opted_in
    ))
    AND (CAST(:X_blocked AS BIGINT) IS NULL OR EXISTS (
        SELECT 1 FROM phones AS p WHERE p.contact_id = c.id AND p.blocked = :X_blocked
    ))
    AND (CAST(:X_textable AS BIGINT) IS NULL OR :X_textable = CASE WHEN EXISTS (
        SELECT 1 FROM phones AS p WHERE p.contact_id = c.id AND p.sendable = 1
    ) THEN 1 ELSE 0 END)
    AND (CAST(:X_texted_since AS BIGINT) IS NULL OR c.id IN (
        SELECT p.contact_id FROM conversations AS v JOIN phones AS p ON p.number = v.phone
        WHERE v.last_inbound_at >= :X_texted_since
    ))
    AND (CAST(:X_silent_since AS BIGINT) IS NULL OR NOT EXISTS (
        SELECT 1 FROM phones AS p JOIN conversations AS v ON v.phone = p.number
        WHERE p.contact_id = c.id AND v.last_inbound_at >= :X_silent_since
    ))
