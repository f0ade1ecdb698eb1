-- When a version came into use; null while it waits for replicas, and for good when a later version
-- came first.
ALTER TABLE catalogue_version ADD COLUMN activated_at timestamptz;
-- Until now every version was in use from the moment it was registered.
UPDATE catalogue_version SET activated_at = created_at;

-- The processes at work, and the newest catalogue version that each has loaded. Small, without a
-- player, and updated every second: half-full pages keep updates heap-only.
CREATE TABLE replica (
    instance text COLLATE "C" PRIMARY KEY,
    loaded   integer NOT NULL,
    seen_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
