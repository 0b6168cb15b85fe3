-- A contact's way through a workflow. It stands at a step and waits there for one thing, until `due_at` at the latest.
CREATE TABLE runs (
    seq SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    rules TEXT NOT NULL,
    phone TEXT NOT NULL,
    number TEXT NOT NULL,
    channel TEXT NOT NULL,
    step TEXT NOT NULL,
    waits_for TEXT NOT NULL,
    waits_since INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    repeated INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL,
    source TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_due ON runs (due_at, seq) WHERE state = 'active';
CREATE INDEX runs_contact ON runs (contact_id, workflow);
CREATE INDEX runs_workflow ON runs (workflow, seq);
CREATE INDEX runs_inside ON runs (workflow, version, step, rules) WHERE state = 'active';

-- What happened to a contact outside of the pipeline (by staff, an import, a provider), until rules have seen it.
CREATE TABLE occurrences (
    seq SERIAL_KEY,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    phone TEXT NOT NULL,
    event TEXT NOT NULL,
    detail TEXT NOT NULL,
    source TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- Many contacts on their way into a workflow, batch by batch; `cursor` is the last contact that was dealt with.
CREATE TABLE enrolments (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    list TEXT NOT NULL,
    source TEXT NOT NULL,
    cursor TEXT NOT NULL,
    total INTEGER NOT NULL,
    done INTEGER NOT NULL,
    started INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;
CREATE INDEX enrolments_open ON enrolments (created_at) WHERE finished_at = 0;

-- Append-only: who came to a list and who left it, and the evidence where a list is for marketing.
CREATE TABLE list_events (
    seq SERIAL_KEY,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    list TEXT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    message_id TEXT,
    evidence TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX list_events_contact ON list_events (contact_id, seq);

CREATE TABLE notes (
    seq SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX notes_contact ON notes (contact_id, seq);

-- Each time that a version of the rule files came into force.
CREATE TABLE rule_activations (
    seq SERIAL_KEY,
    version TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- What a business sends by itself leaves before `sent_before` (0 is always); else it is held, and the clock finds the
-- next time by `hours`. `run_id` is the run of a workflow that it belongs to.
ALTER TABLE messages ADD COLUMN sent_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN hours TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN run_id TEXT;
CREATE INDEX messages_window ON messages (sent_before) WHERE state = 'queued' AND sent_before > 0;
CREATE INDEX messages_run ON messages (run_id) WHERE run_id IS NOT NULL;
