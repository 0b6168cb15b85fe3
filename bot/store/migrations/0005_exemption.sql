-- What a message is exempt as ('' where from nothing): the confirmation of START asks more of the phone than the others.
ALTER TABLE messages ADD COLUMN exemption TEXT NOT NULL DEFAULT '';
