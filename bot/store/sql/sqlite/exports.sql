-- Names of fields that anybody has.
-- name: field_names()
SELECT DISTINCT f.key AS name FROM contacts AS c JOIN json_each(c.fields) AS f;
