-- In which cycle each goal of a journal row was, and when that cycle ends (null: never), in the
-- order of `goals`, both as JSON lists. Rows of earlier releases have neither.
ALTER TABLE journal ADD COLUMN cycles TEXT NOT NULL DEFAULT '[]';
ALTER TABLE journal ADD COLUMN cycle_ends TEXT NOT NULL DEFAULT '[]';

-- Players whom somebody has to look after at a time although nobody asks for them, because an
-- unclaimed reward is granted by itself then. Few players stand here, each once.
CREATE TABLE due_player (
    player    TEXT NOT NULL,
    namespace TEXT NOT NULL,
    due_at    INTEGER NOT NULL,
    PRIMARY KEY (player, namespace)
) STRICT, WITHOUT ROWID;
-- What the worker looks for.
CREATE INDEX due_player_due ON due_player (namespace, due_at);
