-- What the progress of each goal of a journal row was, in the order of `goals`, in rows that tell of
-- lost progress; null in all others.
ALTER TABLE journal ADD COLUMN progress integer[];
