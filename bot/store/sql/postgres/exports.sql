-- Names of fields that anybody has.
-- name: field_names()
SELECT DISTINCT f.name FROM contacts AS c CROSS JOIN json_object_keys(CAST(c.fields AS json)) AS f (name);
