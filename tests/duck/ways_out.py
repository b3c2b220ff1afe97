"""Ways by which values could leave DuckDB for a file, as SQL, each with why it ends.

In them {base} is a folder, {db} the user's file, {csv} a file that may be read, {values} a query of
recovered values, {value} one that is typed, and {big} a table of nine millions of such.
"""

from __future__ import annotations

SHELL = "not for this shell"
CLOSED = "file system operations are disabled|Loading external extensions is disabled"
LOCKED = "the configuration has been locked"
READ_ONLY = "attached in read-only mode"
MEMORY = "Out of Memory Error"
EITHER = f"{CLOSED}|{LOCKED}|{SHELL}"
ABSENT = "does not exist|syntax error|Parser Error|Binder Error|Catalog Error|No function"

COPIES = [
    ("COPY ({values}) TO '{base}/o.csv'", SHELL),
    ("COPY ({values}) TO '{csv}' (USE_TMP_FILE false)", SHELL),
    ("COPY ({values}) TO '{db}.wal' (USE_TMP_FILE false)", SHELL),
    ("COPY ({values}) TO '{db}.wal.checkpoint'", SHELL),
    ("COPY ({values}) TO '{db}'", SHELL),
    ("COPY ({values}) TO '/dev/shm/o' (FORMAT parquet)", SHELL),
    ("COPY ({values}) TO '{base}/o' (FORMAT parquet, PARTITION_BY (ssn))", SHELL),
    ("COPY u.visits FROM '{csv}'", SHELL),
    ("/* a */ COPY /* b */ ({values}) TO '{base}/o.csv' -- c", SHELL),
    ("PREPARE p AS COPY ({values}) TO '{csv}' (USE_TMP_FILE false)", SHELL),
    ("EXECUTE p", SHELL),
    ("EXPLAIN ANALYZE COPY ({values}) TO '{csv}' (USE_TMP_FILE false)", SHELL),
    ("WITH x AS (COPY ({values}) TO '{csv}' (USE_TMP_FILE false)) FROM x", f"{SHELL}|{ABSENT}"),
    ("CREATE TEMP TABLE x AS WITH y AS (COPY ({values}) TO '{csv}') FROM y", f"{SHELL}|{ABSENT}"),
    ("FROM query('COPY ({values}) TO ''{base}/o.csv''')", ABSENT),
    ("COPY FROM DATABASE memory TO u", SHELL),
    ("PRAGMA copy_database('memory', 'u')", f"{SHELL}|{READ_ONLY}"),
    ("EXPORT DATABASE '{base}/e'", SHELL),
    ("EXPORT DATABASE u TO '{base}/e' (FORMAT parquet)", SHELL),
    ("IMPORT DATABASE '{base}/e'", f"{CLOSED}|{SHELL}"),
    ("PRAGMA import_database('{base}/e')", CLOSED),
]
ATTACHED = [
    ("ATTACH '{base}/second.duckdb' AS w", SHELL),
    ("ATTACH '{db}' AS w (READ_WRITE)", SHELL),
    ("ATTACH OR REPLACE '{db}' AS u", SHELL),
    ("ATTACH '{csv}' AS w", SHELL),
    ("ATTACH ':memory:' AS w", SHELL),
    ("DETACH u", SHELL),
    ("CONNECT '{base}/c'", f"{SHELL}|{ABSENT}"),
]
WRITTEN = [
    ("CREATE TABLE u.main.leak AS {values}", READ_ONLY),
    ("CREATE TABLE leak AS {values}", READ_ONLY),
    ("CREATE VIEW u.main.leak AS SELECT '{value}'", READ_ONLY),
    ("CREATE MACRO u.main.leak() AS '{value}'", READ_ONLY),
    ("CREATE SCHEMA u.leak", READ_ONLY),
    ("CREATE SEQUENCE u.main.leak", READ_ONLY),
    ("CREATE TYPE u.main.leak AS ENUM ('{value}')", READ_ONLY),
    ("CREATE INDEX leak ON u.main.visits (ssn)", READ_ONLY),
    ("INSERT INTO u.main.visits VALUES (1, '{value}')", READ_ONLY),
    ("UPDATE u.main.visits SET ssn = detokenize(ssn)", READ_ONLY),
    ("DELETE FROM u.main.visits", READ_ONLY),
    ("TRUNCATE u.main.visits", READ_ONLY),
    ("ALTER TABLE u.main.visits ADD COLUMN leak VARCHAR DEFAULT '{value}'", READ_ONLY),
    ("COMMENT ON TABLE u.main.visits IS '{value}'", READ_ONLY),
    (
        "MERGE INTO u.main.visits v USING ({values}) x ON v.ssn = x.ssn WHEN MATCHED THEN DELETE",
        READ_ONLY,
    ),
    (
        "WITH x AS (INSERT INTO u.main.visits VALUES (1, '{value}') RETURNING *) FROM x",
        f"{READ_ONLY}|{ABSENT}",
    ),
]
SPILLED = [
    ("CREATE TEMP TABLE big AS SELECT '{value}' || i AS s FROM range(9000000) r(i)", MEMORY),
    ("CREATE TABLE memory.main.big AS SELECT '{value}' || i AS s FROM range(9000000) r(i)", MEMORY),
    ("SELECT '{value}' || i AS s FROM range(9000000) r(i) ORDER BY s DESC OFFSET 8000000", MEMORY),
    ("SELECT s, count(*) FROM (SELECT '{value}' || i AS s FROM range(9000000) r(i)) GROUP BY s", MEMORY),
    ("SELECT count(DISTINCT '{value}' || i) FROM range(9000000) r(i)", MEMORY),
    ("SELECT count(*) FROM {big} JOIN (SELECT s || '' AS s FROM {big}) y USING (s)", MEMORY),
    (
        "SELECT max(n) FROM (SELECT row_number() OVER (PARTITION BY s) AS n FROM {big})",
        MEMORY,
    ),
    ("SELECT length(string_agg('{value}' || i)) FROM range(20000000) r(i)", MEMORY),
]
SETTINGS = [
    ("SET temp_directory = '{base}/spill'", LOCKED),
    ("PRAGMA temp_directory = '{base}/spill'", LOCKED),
    ("RESET temp_directory", LOCKED),
    ("SET memory_limit = '64GB'", LOCKED),
    ("SET enable_external_access = true", LOCKED),
    ("RESET enable_external_access", LOCKED),
    ("SET lock_configuration = false", LOCKED),
    ("RESET lock_configuration", LOCKED),
    ("SET allowed_paths = ['{base}/o.csv']", LOCKED),
    ("SET allowed_directories = ['{base}']", LOCKED),
    ("SET allowed_configs = ['temp_directory']", f"{LOCKED}|{ABSENT}"),
    ("SET python_enable_replacements = true", LOCKED),
    ("SET secret_directory = '{base}/secrets'", LOCKED),
    ("SET home_directory = '{base}'", LOCKED),
    ("SET extension_directory = '{base}'", f"{LOCKED}|{ABSENT}"),
    ("SET extension_directories = ['{base}']", f"{LOCKED}|{ABSENT}"),
    ("SET SESSION log_query_path = '{base}/q.log'", LOCKED),
    ("SET GLOBAL log_query_path = '{base}/q.log'", LOCKED),
    ("SET logging_storage = 'file'", f"{LOCKED}|{ABSENT}"),
    ("SET logging_sink = 'file'", f"{LOCKED}|{ABSENT}"),
    ("SET enable_profiling = 'json'", SHELL),
    ("SET profiling_output = '{base}/p.json'", LOCKED),
    ("PRAGMA profile_output = '{base}/p.json'", LOCKED),
    ("PRAGMA enable_profiling = 'json'", EITHER),
    ("PRAGMA enable_profile", SHELL),
    ("SET external_file_cache_spill = true", f"{LOCKED}|{ABSENT}"),
    ("SET custom_extension_repository = '{base}'", LOCKED),
    ("PRAGMA all_profiling_output = '{base}/p'", f"{LOCKED}|{ABSENT}"),
]
FUNCTIONS = [
    ("CALL enable_profiling(format = 'json', save_location = '{base}/p.json')", SHELL),
    ("FROM enable_profiling(format = 'json', save_location = '{base}/p.json')", SHELL),
    (
        "SELECT '{value}', * FROM system.main.\"enable_profiling\"(save_location = '{base}/p.json')",
        SHELL,
    ),
    ("CALL enable_logging(storage = 'file', storage_config = {{'path': '{base}/log'}})", SHELL),
    ("FROM enable_logging('QueryLog', storage = 'file', storage_path = '{base}/log')", SHELL),
    ("FROM add_grammar_extension('{base}/g')", f"{LOCKED}|{ABSENT}"),
    ("FROM read_csv('http://127.0.0.1:9/{value}')", CLOSED),
    ("FROM 'https://127.0.0.1:9/x.parquet'", CLOSED),
    ("FROM read_text('/etc/passwd')", CLOSED),
    ("FROM read_blob('{base}/*')", CLOSED),
    ("FROM glob('{base}/*')", CLOSED),
]
EXTENSIONS = [
    ("INSTALL httpfs", SHELL),
    ("FORCE INSTALL httpfs FROM '{base}'", SHELL),
    ("LOAD httpfs", SHELL),
    ("LOAD '{base}/x.duckdb_extension'", SHELL),
    ("UPDATE EXTENSIONS", f"{SHELL}|INTERNAL Error|Internal"),
    ("CREATE EXTENSION REPOSITORY x", f"{SHELL}|{ABSENT}"),
    ("CREATE SECRET s3 (TYPE s3, KEY_ID '{value}')", ABSENT + "|Invalid Input Error"),
    (
        "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN '{value}')",
        "Persistent secrets are disabled",
    ),
    (
        "CREATE PERSISTENT SECRET s IN local_file (TYPE http, BEARER_TOKEN '{value}')",
        "Persistent secrets are disabled",
    ),
]
REFUSED = COPIES + ATTACHED + WRITTEN + SPILLED + SETTINGS + FUNCTIONS + EXTENSIONS
"""Each with what its error says."""

HARMLESS = [
    "CREATE TEMP TABLE kept AS {values}",
    "CREATE TABLE memory.main.kept AS {values}",
    "CREATE TABLE vault.main.kept AS {values}",
    "CREATE SECRET s (TYPE http, BEARER_TOKEN '{value}')",
    "CREATE TYPE memory.main.kept_type AS ENUM ('{value}')",
    "SET VARIABLE kept = '{value}'",
    "SELECT write_log('{value}')",
    "CHECKPOINT memory",
    "CHECKPOINT u",
    "VACUUM",
    "PRAGMA add_parquet_key('k', '0123456789112345')",
    "BEGIN",
    "COMMIT",
]
"""What is kept in memory."""
