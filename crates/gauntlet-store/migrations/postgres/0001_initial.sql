-- Ids are compared by bytes (COLLATE "C"): that is the project's rule for ids, it is faster, and
-- a new libc cannot change the order of an index. Times are timestamptz, to the millisecond,
-- because people read these tables with SQL.

-- One row per player. fillfactor 80 and no index but the primary key keep updates heap-only: with
-- a full page, or an index on a column that changes, an update costs four times as much.
CREATE TABLE player (
    player    text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    -- Counts up by one with each write; writers compare and swap on it.
    revision  bigint NOT NULL,
    -- The live part of the document: what an event can still touch.
    live      bytea NOT NULL,
    PRIMARY KEY (player, namespace)
) WITH (fillfactor = 80);

-- The part of the document that only a call can touch again; no row when there is nothing in it.
CREATE TABLE settled (
    player    text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    settled   bytea NOT NULL,
    PRIMARY KEY (player, namespace)
);

-- Receipts of events that were counted, eight bytes each. The newest few stand in the document;
-- they leave it together, with the write that made this revision. Two generations: rows go into the
-- current one, both are looked up, and the older one is emptied whole, so that no row is ever
-- deleted alone.
CREATE TABLE receipt_0 (
    player    text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    revision  bigint NOT NULL,
    receipts  bytea NOT NULL,
    PRIMARY KEY (player, namespace, revision)
);

CREATE TABLE receipt_1 (
    player    text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    revision  bigint NOT NULL,
    receipts  bytea NOT NULL,
    PRIMARY KEY (player, namespace, revision)
);

-- Which generation is current, and since when. One row.
CREATE TABLE receipt_generation (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    current    integer NOT NULL CHECK (current IN (0, 1)),
    started_at timestamptz NOT NULL
);
INSERT INTO receipt_generation (current, started_at) VALUES (0, 'epoch');

-- Rewards to hand out. state: sending, granted, refused, uncertain.
CREATE TABLE reward_grant (
    player          text COLLATE "C" NOT NULL,
    namespace       text COLLATE "C" NOT NULL,
    goal            integer NOT NULL,
    cycle           bigint NOT NULL,
    epoch           bigint NOT NULL,
    challenge_id    text COLLATE "C" NOT NULL,
    goal_id         text COLLATE "C" NOT NULL,
    -- ITEM or WALLET.
    reward_kind     text COLLATE "C" NOT NULL,
    reward_id       text COLLATE "C" NOT NULL,
    reward_quantity integer NOT NULL,
    state           text COLLATE "C" NOT NULL,
    -- How many times it was sent, the current one included.
    attempt         bigint NOT NULL,
    -- Who may send it until when; null when it has ended.
    lease_owner     text COLLATE "C",
    lease_until     timestamptz,
    claimed_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    reason          text NOT NULL DEFAULT '',
    PRIMARY KEY (player, namespace, goal, cycle, epoch)
);
-- What the recovery worker looks for.
CREATE INDEX reward_grant_due ON reward_grant (lease_until) WHERE state = 'sending';
-- What operators look for. A grant that goes well never enters these.
CREATE INDEX reward_grant_refused ON reward_grant (created_at) WHERE state = 'refused';
CREATE INDEX reward_grant_uncertain ON reward_grant (created_at) WHERE state = 'uncertain';

-- What happened, one row per operation. kind: assigned, completed, claimed, expired, repaired.
CREATE TABLE journal (
    player    text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    sequence  bigint NOT NULL,
    at        timestamptz NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    -- Goal numbers; goal_registry has their ids.
    goals     integer[] NOT NULL,
    PRIMARY KEY (player, namespace, sequence)
);
-- Rows arrive nearly in the order of time, so a few kilobytes serve a billion of them.
CREATE INDEX journal_at ON journal USING brin (at);

-- The number of each goal id, for good.
CREATE TABLE goal_registry (
    goal_id text COLLATE "C" PRIMARY KEY,
    number  integer NOT NULL UNIQUE
);

-- Every catalogue that was in use, as its text.
CREATE TABLE catalogue_version (
    version    integer PRIMARY KEY,
    text       text NOT NULL,
    created_at timestamptz NOT NULL
);
