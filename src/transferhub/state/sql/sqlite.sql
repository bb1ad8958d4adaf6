CREATE TABLE audit (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    how TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    "before" TEXT NOT NULL,
    "after" TEXT NOT NULL
);
CREATE INDEX ix_audit_action_id ON audit (action, id);
CREATE INDEX ix_audit_subject_id ON audit (subject, id);
CREATE INDEX ix_audit_who_id ON audit (who, id);
CREATE TABLE channels (
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    box TEXT NOT NULL,
    CONSTRAINT pk_channels PRIMARY KEY (name)
);
CREATE TABLE compatibility (
    id INTEGER NOT NULL,
    since TEXT NOT NULL,
    CONSTRAINT pk_compatibility PRIMARY KEY (id)
);
CREATE TABLE credentials (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    described TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    box TEXT NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (name)
);
CREATE TABLE inbox (
    task TEXT NOT NULL,
    "key" TEXT NOT NULL,
    mark BIGINT NOT NULL,
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    happened_at BIGINT,
    since BIGINT NOT NULL,
    CONSTRAINT pk_inbox PRIMARY KEY (task, "key")
);
CREATE INDEX ix_inbox_task_since_key ON inbox (task, since, "key");
CREATE TABLE ledgers (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    CONSTRAINT uq_ledgers_run UNIQUE (run)
);
CREATE TABLE links (
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    CONSTRAINT pk_links PRIMARY KEY (digest)
);
CREATE INDEX ix_links_ends_at ON links (ends_at);
CREATE TABLE log_lines (
    run TEXT NOT NULL,
    number BIGINT NOT NULL,
    task TEXT NOT NULL,
    at BIGINT NOT NULL,
    level SMALLINT NOT NULL,
    action TEXT NOT NULL,
    message TEXT NOT NULL,
    worker TEXT NOT NULL,
    size BIGINT NOT NULL,
    CONSTRAINT pk_log_lines PRIMARY KEY (run, number)
);
CREATE INDEX ix_log_lines_task_number ON log_lines (task, number);
CREATE TABLE log_numbers (
    task TEXT NOT NULL,
    number BIGINT NOT NULL,
    CONSTRAINT pk_log_numbers PRIMARY KEY (task)
);
CREATE TABLE logs (
    run TEXT NOT NULL,
    task TEXT NOT NULL,
    lines BIGINT NOT NULL,
    size BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    CONSTRAINT pk_logs PRIMARY KEY (run)
);
CREATE INDEX ix_logs_last_at ON logs (last_at);
CREATE INDEX ix_logs_task ON logs (task);
CREATE TABLE members (
    ident TEXT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    version TEXT NOT NULL,
    kind TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    draining SMALLINT NOT NULL,
    carries TEXT NOT NULL,
    CONSTRAINT pk_members PRIMARY KEY (ident)
);
CREATE INDEX ix_members_seen_at ON members (seen_at);
CREATE TABLE messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    ident TEXT NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    task TEXT NOT NULL,
    told TEXT NOT NULL,
    number INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    due_at BIGINT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX ix_messages_channel_due ON messages (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ix_messages_channel_id ON messages (channel, id);
CREATE INDEX ix_messages_due ON messages (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX ix_messages_ended_at ON messages (ended_at);
CREATE INDEX ix_messages_group ON messages (channel, kind, task, id);
CREATE UNIQUE INDEX uq_messages_open ON messages (channel, kind, task) WHERE state = 'open';
CREATE TABLE notices (
    ident TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_notices PRIMARY KEY (ident)
);
CREATE INDEX ix_notices_at ON notices (at);
CREATE TABLE runs (
    id INTEGER NOT NULL,
    ident TEXT NOT NULL,
    task TEXT NOT NULL,
    task_version INTEGER NOT NULL,
    state VARCHAR(32) NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    error_code TEXT NOT NULL,
    error TEXT NOT NULL,
    workers TEXT NOT NULL,
    summary TEXT NOT NULL,
    resumed INTEGER NOT NULL,
    version INTEGER NOT NULL,
    cause TEXT DEFAULT 'command' NOT NULL,
    asked TEXT DEFAULT 'none' NOT NULL,
    scheduled_at BIGINT,
    keeper TEXT DEFAULT '' NOT NULL,
    kept_until BIGINT,
    told_at BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT uq_runs_ident UNIQUE (ident)
);
CREATE INDEX ix_runs_cause_created_at_id ON runs (cause, created_at, id);
CREATE INDEX ix_runs_created_at_id ON runs (created_at, id);
CREATE INDEX ix_runs_kept ON runs (state, kept_until, id) WHERE state = 'running' AND keeper <> '';
CREATE INDEX ix_runs_state_created_at_id ON runs (state, created_at, id);
CREATE INDEX ix_runs_task_created_at_id ON runs (task, created_at, id);
CREATE INDEX ix_runs_task_state_created_at_id ON runs (task, state, created_at, id);
CREATE INDEX ix_runs_untold ON runs (ended_at, id) WHERE ended_at > told_at AND cause <> 'command';
CREATE UNIQUE INDEX uq_runs_task_scheduled_at ON runs (task, scheduled_at);
CREATE TABLE samples (
    run TEXT NOT NULL,
    at BIGINT NOT NULL,
    task TEXT NOT NULL,
    phase TEXT NOT NULL,
    listing SMALLINT NOT NULL,
    bytes BIGINT NOT NULL,
    objects BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    open BIGINT NOT NULL,
    workers INTEGER NOT NULL,
    bytes_rate DOUBLE NOT NULL,
    objects_rate DOUBLE NOT NULL,
    seconds_left DOUBLE,
    bytes_peak DOUBLE NOT NULL,
    objects_peak DOUBLE NOT NULL,
    step BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    CONSTRAINT pk_samples PRIMARY KEY (run, at)
);
CREATE INDEX ix_samples_step_at ON samples (step, at);
CREATE INDEX ix_samples_task_at ON samples (task, at);
CREATE TABLE seats (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    number BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    CONSTRAINT pk_seats PRIMARY KEY (name)
);
CREATE TABLE sessions (
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    how TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (digest)
);
CREATE INDEX ix_sessions_ends_at ON sessions (ends_at);
CREATE INDEX ix_sessions_name ON sessions (name);
CREATE TABLE shards (
    run_id BIGINT NOT NULL,
    ident TEXT NOT NULL,
    done SMALLINT DEFAULT '0' NOT NULL,
    detail TEXT NOT NULL,
    scanned_source BIGINT NOT NULL,
    scanned_destination BIGINT NOT NULL,
    same BIGINT NOT NULL,
    new BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    extra BIGINT NOT NULL,
    filtered BIGINT NOT NULL,
    archived BIGINT NOT NULL,
    fallbacks BIGINT NOT NULL,
    source_bytes BIGINT NOT NULL,
    copy_bytes BIGINT NOT NULL,
    CONSTRAINT pk_shards PRIMARY KEY (run_id, ident)
);
CREATE TABLE strikes (
    "key" TEXT NOT NULL,
    count INTEGER NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_strikes PRIMARY KEY ("key")
);
CREATE INDEX ix_strikes_at ON strikes (at);
CREATE TABLE tallies (
    run_id BIGINT NOT NULL,
    slot SMALLINT NOT NULL,
    action SMALLINT NOT NULL,
    state SMALLINT NOT NULL,
    count BIGINT NOT NULL,
    size BIGINT NOT NULL,
    moved_bytes BIGINT NOT NULL,
    CONSTRAINT pk_tallies PRIMARY KEY (run_id, slot, action, state)
);
CREATE TABLE task_versions (
    ident TEXT NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    spec TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    description TEXT NOT NULL,
    owner TEXT NOT NULL,
    tags TEXT NOT NULL,
    schedule TEXT NOT NULL,
    state TEXT NOT NULL,
    next_run_at BIGINT NOT NULL,
    limits TEXT DEFAULT '{}' NOT NULL,
    events TEXT DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_task_versions PRIMARY KEY (ident, version)
);
CREATE TABLE tasks (
    id INTEGER NOT NULL,
    ident TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    spec TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    updated_at BIGINT DEFAULT '0' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    tags TEXT DEFAULT '[]' NOT NULL,
    schedule TEXT DEFAULT '{}' NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    next_run_at BIGINT DEFAULT '9223372036854775807' NOT NULL,
    sort_name TEXT DEFAULT '' NOT NULL,
    words TEXT DEFAULT '' NOT NULL,
    limits TEXT DEFAULT '{}' NOT NULL,
    events TEXT DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT uq_tasks_ident UNIQUE (ident)
);
CREATE INDEX ix_tasks_created_at_id ON tasks (created_at, id);
CREATE INDEX ix_tasks_due ON tasks (next_run_at, ident) WHERE state = 'active';
CREATE INDEX ix_tasks_events ON tasks (ident) WHERE events <> '{}';
CREATE INDEX ix_tasks_fingerprint_created_at_id ON tasks (fingerprint, created_at, id);
CREATE INDEX ix_tasks_next_run_at_id ON tasks (next_run_at, id);
CREATE INDEX ix_tasks_sort_name_id ON tasks (sort_name, id);
CREATE INDEX ix_tasks_updated_at_id ON tasks (updated_at, id);
CREATE TABLE tokens (
    ident TEXT NOT NULL,
    digest TEXT NOT NULL,
    label TEXT NOT NULL,
    owner TEXT NOT NULL,
    of_user SMALLINT NOT NULL,
    role TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    revoked_at BIGINT,
    CONSTRAINT pk_tokens PRIMARY KEY (ident),
    CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
CREATE INDEX ix_tokens_owner_ident ON tokens (owner, ident);
CREATE TABLE transfers (
    id INTEGER NOT NULL,
    run_id BIGINT NOT NULL,
    "key" TEXT NOT NULL,
    difference SMALLINT NOT NULL,
    action SMALLINT NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    modified_at BIGINT,
    storage_class TEXT NOT NULL,
    detail TEXT NOT NULL,
    state SMALLINT NOT NULL,
    due BIGINT DEFAULT '0' NOT NULL,
    token BIGINT,
    worker BIGINT,
    attempts INTEGER DEFAULT '0' NOT NULL,
    finish SMALLINT DEFAULT '0' NOT NULL,
    open_parts INTEGER DEFAULT '0' NOT NULL,
    upload_ref BIGINT,
    moved_bytes BIGINT DEFAULT '0' NOT NULL,
    destination_etag TEXT,
    code TEXT,
    message TEXT,
    note TEXT,
    ended_at BIGINT,
    CONSTRAINT pk_transfers PRIMARY KEY (id)
);
CREATE INDEX ix_transfers_code ON transfers (run_id, state, code, "key", size) WHERE state = 5 OR state = 7;
CREATE INDEX ix_transfers_due ON transfers (run_id, due, id) WHERE state <= 1;
CREATE INDEX ix_transfers_state ON transfers (run_id, state, "key") WHERE state = 2 OR state = 3 OR state = 5 OR state = 6 OR state = 7 OR state = 8;
CREATE UNIQUE INDEX uq_transfers_run_id_key ON transfers (run_id, "key");
CREATE TABLE uploads (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run_id BIGINT NOT NULL,
    transfer_key TEXT NOT NULL,
    "key" TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    note TEXT NOT NULL,
    abandoned SMALLINT DEFAULT '0' NOT NULL
);
CREATE INDEX ix_uploads_run_id ON uploads (run_id);
CREATE TABLE users (
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    password TEXT NOT NULL,
    disabled SMALLINT NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (name)
);
CREATE TABLE attempts (
    id INTEGER NOT NULL,
    transfer_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    CONSTRAINT pk_attempts PRIMARY KEY (id),
    CONSTRAINT fk_attempts_transfer_id FOREIGN KEY(transfer_id) REFERENCES transfers (id) ON DELETE CASCADE
);
CREATE INDEX ix_attempts_transfer_id ON attempts (transfer_id);
CREATE TABLE parts (
    id INTEGER NOT NULL,
    run_id BIGINT NOT NULL,
    transfer_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    start BIGINT NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    proven SMALLINT DEFAULT '0' NOT NULL,
    state SMALLINT NOT NULL,
    due BIGINT DEFAULT '0' NOT NULL,
    token BIGINT,
    worker BIGINT,
    attempts INTEGER DEFAULT '0' NOT NULL,
    CONSTRAINT pk_parts PRIMARY KEY (id),
    CONSTRAINT fk_parts_transfer_id FOREIGN KEY(transfer_id) REFERENCES transfers (id) ON DELETE CASCADE
);
CREATE INDEX ix_parts_due ON parts (run_id, due, id) WHERE state <= 1;
CREATE UNIQUE INDEX uq_parts_transfer_id_number ON parts (transfer_id, number)
