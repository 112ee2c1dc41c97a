//! A database with a long past. One execution really runs; the others are made
//! of its rows in the database itself, with the columns that lists are filtered
//! and sorted by all different. Indexes and triggers are taken away meanwhile and
//! made again as they were.

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::Failure;
use crate::harness::server::{Database, Server};

/// Scripts that the executions are of.
pub(crate) const SCRIPTS: u64 = 1_000;

/// Executions of a job.
pub(crate) const JOB: u64 = 20;

/// The time that all of them were made in.
const PAST: Duration = Duration::from_secs(24 * 3600);

/// Prints its input and says what it does.
const SOURCE: &str = "#!/bin/bash
for step in 1 2 3 4 5; do echo \"step $step of 5: nothing to be done\" >&2; done
exec cat
";

/// What is in the table.
#[derive(Clone, Copy)]
pub(crate) struct Seeded {
    pub(crate) executions: u64,
    /// Milliseconds since 1970 of the first of them.
    begin: u64,
    /// Milliseconds between two of them.
    step: u64,
}

impl Seeded {
    /// The id of one of them: a UUID of version 7.
    pub(crate) fn id(self, n: u64) -> uuid::Uuid {
        let high = ((self.begin + n * self.step) << 16) | 0x7000 | (n & 0xfff);
        uuid::Uuid::from_u64_pair(high, (0x8 << 60) | n)
    }
}

/// Values of columns that are not copied.
type Own<'a> = &'a [(&'a str, &'a str)];

/// 94 % are completed, of every script and at every time; the times and the id come from each database's functions.
const OF_EXECUTION: [(&str, &str); 7] = [
    ("script_id", "s.id"),
    ("version_id", "v.id"),
    ("job_id", "'job-' || (n / 20)"),
    (
        "status",
        "CASE WHEN (n + n / 1000) % 100 < 4 THEN 'failed' \
         WHEN (n + n / 1000) % 100 = 4 THEN 'timeout' \
         WHEN (n + n / 1000) % 100 = 5 THEN 'cancelled' ELSE 'completed' END",
    ),
    ("error_kind", "CASE WHEN (n + n / 1000) % 100 < 4 THEN 'exit_nonzero' END"),
    ("error_message", "CASE WHEN (n + n / 1000) % 100 < 4 THEN 'the script exited with 1' END"),
    (
        "exit_code",
        "CASE WHEN (n + n / 1000) % 100 < 4 THEN 1 WHEN (n + n / 1000) % 100 > 5 THEN 0 END",
    ),
];

/// How many milliseconds after its acceptance each of an execution's times is.
const TIMES: [(&str, u64); 4] =
    [("created_at", 0), ("started_at", 90), ("completed_at", 120), ("updated_at", 120)];

const OF_SCRIPT: [(&str, &str); 2] = [("name", "'script-' || n"), ("searched", "'script-' || n")];

const COUNT: &str = "DELETE FROM execution_counts; \
     INSERT INTO execution_counts (script_id, status, count) \
     SELECT script_id, status, count(*) FROM executions GROUP BY script_id, status";

/// What makes many rows of one, called `t`.
struct Copies<'a> {
    table: &'static str,
    /// The table's columns.
    columns: Vec<String>,
    own: Own<'a>,
    from: &'a str,
}

impl Copies<'_> {
    fn sql(&self) -> String {
        let own = |column: &str| self.own.iter().find(|(name, _)| *name == column);
        // An id that is not said is given by the database.
        let columns = self.columns.iter().filter(|it| *it != "id" || own("id").is_some());
        let values = columns.clone().map(|it| match own(it) {
            Some((_, value)) => (*value).to_owned(),
            None => format!("t.{it}"),
        });
        let values: Vec<String> = values.collect();
        let columns: Vec<&str> = columns.map(String::as_str).collect();
        let (table, columns, values) = (self.table, columns.join(", "), values.join(", "));
        format!("INSERT INTO {table} ({columns}) SELECT {values} FROM {}", self.from)
    }
}

/// Fills an empty database.
pub(crate) async fn seed(
    database: &Database,
    data_dir: &Path,
    executions: u64,
) -> Result<Seeded, Failure> {
    let server = Server::start(database, data_dir, &[]).await?;
    server.api.register("script-1", SOURCE).await?;
    server.api.execute("script-1").await?;
    server.stop().await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let milliseconds = |time: Duration| u64::try_from(time.as_millis());
    let seeded = Seeded {
        executions,
        begin: milliseconds(now - PAST)?,
        step: (milliseconds(PAST)? / executions).max(1),
    };
    match database {
        Database::Sqlite => seed_sqlite(&data_dir.join("gantry.db"), seeded).await?,
        Database::Postgres(database) => seed_postgres(&database.url(), seeded).await?,
    }
    Ok(seeded)
}

/// What rows are made from, in one database's words.
struct Sources {
    scripts: String,
    executions: String,
}

/// All that is inserted, by tables' and their columns' names.
fn statements(
    columns: &[(String, String)],
    from: &Sources,
    id: &str,
    time: impl Fn(u64) -> String,
) -> [String; 5] {
    let copies = |table: &'static str, own: Own<'_>, from: &str| {
        let columns = columns.iter().filter(|(of, _)| of == table);
        let columns = columns.map(|(_, column)| column.clone()).collect();
        Copies { table, columns, own, from }.sql()
    };
    let times = TIMES.map(|(column, after)| (column, time(after)));
    let times = times.iter().map(|(column, time)| (*column, time.as_str()));
    let of_execution: Vec<_> = OF_EXECUTION.into_iter().chain(times).chain([("id", id)]).collect();
    [
        copies("scripts", &OF_SCRIPT, &from.scripts),
        copies(
            "script_versions",
            &[("script_id", "s.id")],
            "scripts s JOIN script_versions t ON s.id <> t.script_id ORDER BY s.id",
        ),
        copies("executions", &of_execution, &from.executions),
        copies(
            "execution_payloads",
            &[("execution_id", "e.id")],
            "executions e JOIN execution_payloads t ON e.id <> t.execution_id ORDER BY e.id",
        ),
        COUNT.to_owned(),
    ]
}

async fn seed_sqlite(path: &Path, seeded: Seeded) -> Result<(), Failure> {
    // What is lost when this fails is thrown away anyway.
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .pragma("cache_size", "-262144")
        .connect()
        .await?;
    let indexes: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND \
         (type = 'trigger' OR (type = 'index' AND tbl_name = 'executions')) \
         AND tbl_name LIKE 'executions%'",
    )
    .fetch_all(&mut connection)
    .await?;
    for (kind, name, _) in &indexes {
        run_sqlite(&mut connection, format!("DROP {kind} {name}")).await?;
    }
    let Seeded { executions, begin, step } = seeded;
    let series = |to| {
        format!(
            "(WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series \
             WHERE n < {to} - 1) SELECT n FROM series)"
        )
    };
    let id = format!("unhex(printf('%012x7%03x8%015x', {begin} + n * {step}, n % 4096, n))");
    let time = |after| {
        format!(
            "strftime('%Y-%m-%dT%H:%M:%f', ({begin} + n * {step} + {after}) / 1000.0, \
             'unixepoch') || '+00:00'"
        )
    };
    // CROSS JOIN: in this order (sqlite.org, "The SQLite Query Optimizer Overview").
    let from = Sources {
        scripts: format!("{} CROSS JOIN scripts t WHERE n > 1", series(SCRIPTS + 1)),
        executions: format!(
            "{} CROSS JOIN executions t CROSS JOIN scripts s ON s.id = n % {SCRIPTS} + 1 \
             CROSS JOIN script_versions v ON v.script_id = s.id",
            series(executions)
        ),
    };
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
         WHERE m.type = 'table'",
    )
    .fetch_all(&mut connection)
    .await?;
    for sql in statements(&columns, &from, &id, time) {
        run_sqlite(&mut connection, sql).await?;
    }
    for (_, _, sql) in indexes {
        run_sqlite(&mut connection, sql).await?;
    }
    connection.close().await?;
    // Or the first server to start would wait until all this is on the disk.
    Ok(std::fs::File::open(path)?.sync_all()?)
}

async fn run_sqlite(connection: &mut SqliteConnection, sql: String) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

async fn seed_postgres(url: &str, seeded: Seeded) -> Result<(), Failure> {
    let mut connection = PgConnectOptions::from_str(url)?.connect().await?;
    // Neither triggers nor foreign keys are looked at on this connection.
    let session = "SET session_replication_role = replica; SET maintenance_work_mem = '256MB'; \
         SET synchronous_commit = off; SET max_parallel_workers_per_gather = 0";
    run_postgres(&mut connection, session.to_owned()).await?;
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexname::TEXT, indexdef FROM pg_indexes \
         WHERE tablename = 'executions' AND indexname <> 'executions_pkey'",
    )
    .fetch_all(&mut connection)
    .await?;
    for (name, _) in &indexes {
        run_postgres(&mut connection, format!("DROP INDEX {name}")).await?;
    }
    let Seeded { executions, begin, step } = seeded;
    let id = format!(
        "(lpad(to_hex({begin} + n * {step}), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') \
         || '8' || lpad(to_hex(n), 15, '0'))::UUID"
    );
    let time = |after| format!("to_timestamp(({begin} + n * {step} + {after}) / 1000.0)");
    let series = |from, to| format!("generate_series({from}::BIGINT, {to}) AS series (n)");
    let from = Sources {
        scripts: format!("{} CROSS JOIN scripts t ORDER BY n", series(2, SCRIPTS)),
        executions: format!(
            "{} CROSS JOIN executions t JOIN scripts s ON s.id = n % {SCRIPTS} + 1 \
             JOIN script_versions v ON v.script_id = s.id ORDER BY n",
            series(0, executions - 1)
        ),
    };
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::TEXT, column_name::TEXT FROM information_schema.columns \
         WHERE table_schema = current_schema()",
    )
    .fetch_all(&mut connection)
    .await?;
    for sql in statements(&columns, &from, &id, time) {
        run_postgres(&mut connection, sql).await?;
    }
    for (_, sql) in indexes {
        run_postgres(&mut connection, sql).await?;
    }
    // As the server's own autovacuum does after so many changes.
    for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
        run_postgres(&mut connection, sql.to_owned()).await?;
    }
    Ok(connection.close().await?)
}

async fn run_postgres(connection: &mut PgConnection, sql: String) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}
