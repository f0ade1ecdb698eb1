-- When a version came into use; null while it waits for replicas, and for good when a later version
-- came first.
ALTER TABLE catalogue_version ADD COLUMN activated_at INTEGER;
-- Until now every version was in use from the moment it was registered.
UPDATE catalogue_version SET activated_at = created_at;

-- The processes at work, and the newest catalogue version that each has loaded. A SQLite file has
-- one; the table is the same as for PostgreSQL.
CREATE TABLE replica (
    instance TEXT PRIMARY KEY NOT NULL,
    loaded   INTEGER NOT NULL,
    seen_at  INTEGER NOT NULL
) STRICT;
