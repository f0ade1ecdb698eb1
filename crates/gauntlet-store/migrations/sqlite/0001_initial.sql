-- The same tables as for PostgreSQL. Text is compared by bytes (SQLite's default). Times are
-- integers: milliseconds since 1970-01-01T00:00:00Z; in SQL: datetime(at / 1000, 'unixepoch').
-- STRICT, so that a column holds what it says.

-- One row per player.
CREATE TABLE player (
    player    TEXT NOT NULL,
    namespace TEXT NOT NULL,
    -- Counts up by one with each write; writers compare and swap on it.
    revision  INTEGER NOT NULL,
    -- The live part of the document: what an event can still touch.
    live      BLOB NOT NULL,
    PRIMARY KEY (player, namespace)
) STRICT;

-- The part of the document that only a call can touch again; no row when there is nothing in it.
CREATE TABLE settled (
    player    TEXT NOT NULL,
    namespace TEXT NOT NULL,
    settled   BLOB NOT NULL,
    PRIMARY KEY (player, namespace)
) STRICT;

-- Receipts of events that were counted, eight bytes each. The newest few stand in the document;
-- they leave it together, with the write that made this revision. Two generations: rows go into the
-- current one, both are looked up, and the older one is emptied whole, so that no row is ever
-- deleted alone.
CREATE TABLE receipt_0 (
    player    TEXT NOT NULL,
    namespace TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    receipts  BLOB NOT NULL,
    PRIMARY KEY (player, namespace, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipt_1 (
    player    TEXT NOT NULL,
    namespace TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    receipts  BLOB NOT NULL,
    PRIMARY KEY (player, namespace, revision)
) STRICT, WITHOUT ROWID;

-- Which generation is current, and since when. One row.
CREATE TABLE receipt_generation (
    only_row   INTEGER PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
    current    INTEGER NOT NULL CHECK (current IN (0, 1)),
    started_at INTEGER NOT NULL
) STRICT;
INSERT INTO receipt_generation (current, started_at) VALUES (0, 0);

-- Rewards to hand out. state: sending, granted, refused, uncertain.
CREATE TABLE reward_grant (
    player          TEXT NOT NULL,
    namespace       TEXT NOT NULL,
    goal            INTEGER NOT NULL,
    cycle           INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    challenge_id    TEXT NOT NULL,
    goal_id         TEXT NOT NULL,
    -- ITEM or WALLET.
    reward_kind     TEXT NOT NULL,
    reward_id       TEXT NOT NULL,
    reward_quantity INTEGER NOT NULL,
    state           TEXT NOT NULL,
    -- How many times it was sent, the current one included.
    attempt         INTEGER NOT NULL,
    -- Who may send it until when; null when it has ended.
    lease_owner     TEXT,
    lease_until     INTEGER,
    claimed_at      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    reason          TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (player, namespace, goal, cycle, epoch)
) STRICT;
-- What the recovery worker looks for.
CREATE INDEX reward_grant_due ON reward_grant (lease_until) WHERE state = 'sending';
-- What operators look for. A grant that goes well never enters these.
CREATE INDEX reward_grant_refused ON reward_grant (created_at) WHERE state = 'refused';
CREATE INDEX reward_grant_uncertain ON reward_grant (created_at) WHERE state = 'uncertain';

-- What happened, one row per operation. kind: assigned, completed, claimed, expired, repaired.
CREATE TABLE journal (
    player    TEXT NOT NULL,
    namespace TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    -- A JSON array of goal numbers; goal_registry has their ids.
    goals     TEXT NOT NULL,
    PRIMARY KEY (player, namespace, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX journal_at ON journal (at);

-- The number of each goal id, for good.
CREATE TABLE goal_registry (
    goal_id TEXT NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE
) STRICT;

-- Every catalogue that was in use, as its text.
CREATE TABLE catalogue_version (
    version    INTEGER PRIMARY KEY,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
