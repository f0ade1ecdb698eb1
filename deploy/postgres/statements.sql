-- For figures by statement in the lab's report and in postgres_exporter. Run once, when compose.yaml makes the database.
CREATE EXTENSION pg_stat_statements;
