//! What a database's errors mean, in our words and for the world.
//!
//! Owns the translation of errors to faults. Must not know what was asked for.
//!
//! Codes are those of PostgreSQL's appendix A, MySQL's and MariaDB's server error reference, and
//! SQLite's result codes.

use sqlx::{
    Error,
    error::DatabaseError,
    mysql::MySqlDatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::{
    diagnostics::{Code, codes},
    model::{Fault, World, target::SqlEngine},
    sql::engine_name,
};

/// What one error of the server stands for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Refused,
    Conflict,
    LockTimeout,
    Timeout,
    Access,
    Busy,
    ReadOnly,
    Untyped,
    Ended,
}

/// A failure while connecting: nothing was sent yet.
pub(super) fn connecting(engine: SqlEngine, address: &str, error: &Error) -> Fault {
    let name = engine_name(engine);
    let unreachable = |why: &str| {
        Fault::untouched(codes::RW0701, format!("{name} at {address} can't be reached: {why}"))
    };
    match error {
        Error::Database(e) => match kind(engine, e.as_ref()) {
            Kind::Access => Fault::untouched(
                codes::RW0702,
                format!("{name} at {address} refused the login or the database"),
            )
            .detail(words(e.as_ref()))
            .help("check the target's user, its `password:` secret and the database's name"),
            _ if engine == SqlEngine::Sqlite => {
                Fault::untouched(codes::RW0701, format!("the file {address} can't be opened"))
                    .detail(words(e.as_ref()))
                    .help("the file must be there, and readable (for changes: writable) by you")
            }
            _ => unreachable("it refused the connection").detail(words(e.as_ref())).transient(),
        },
        Error::Tls(e) => Fault::untouched(
            codes::RW0702,
            format!("{name} at {address} offers no connection that can be verified (TLS)"),
        )
        .detail(e.to_string())
        .help(
            "a certificate authority of your own goes into the address: `?sslrootcert=…` \
             (PostgreSQL), `?ssl-ca=…` (MySQL)",
        ),
        Error::PoolTimedOut => unreachable("all connections are in use").transient(),
        Error::Io(e) if e.kind() == std::io::ErrorKind::TimedOut => {
            unreachable("no answer").transient()
        }
        Error::Io(e) => unreachable("the connection failed").detail(e.to_string()).transient(),
        other => Fault::untouched(codes::RW0702, format!("{name} at {address} can't be used"))
            .detail(other.to_string()),
    }
}

/// A failure of a statement in a transaction that is then not committed: whatever it did is gone.
pub(super) fn statement(engine: SqlEngine, error: &Error) -> Fault {
    let Error::Database(e) = error else { return lost(error, World::Untouched) };
    let fault = |code: Code, message: &str| {
        Fault::untouched(code, message.to_owned()).detail(words(e.as_ref()))
    };
    match kind(engine, e.as_ref()) {
        Kind::Refused | Kind::Busy => fault(codes::RW0705, "the database refused the statement"),
        Kind::Access => fault(codes::RW0705, "the user may not run this statement"),
        Kind::Conflict => fault(
            codes::RW0705,
            "the statement met another transaction, and the database ended this one",
        )
        .transient(),
        Kind::LockTimeout => fault(codes::RW0705, "another transaction holds the rows").transient(),
        Kind::Timeout => fault(codes::RW0703, "the database cancelled the statement: out of time")
            .help("give it more with `timeout:`, or make it cheaper"),
        Kind::ReadOnly => {
            fault(codes::RW0705, "the database refused to change something in a read")
                .help("changes are made with `sql.update` or `sql.execute`")
        }
        Kind::Untyped => fault(codes::RW0705, "the database can't tell which type a parameter has")
            .help("write it behind the parameter, as in `:name::text`"),
        Kind::Ended => {
            Fault::untouched(codes::RW0712, "the server ended the session; nothing was committed")
                .detail(words(e.as_ref()))
                .transient()
        }
    }
}

/// A failure of `COMMIT`. It is unknown whether it happened, unless the server itself says that
/// the transaction did not pass.
pub(super) fn committing(engine: SqlEngine, error: &Error) -> Fault {
    let Error::Database(e) = error else { return lost(error, World::Unknown) };
    let code = e.code().unwrap_or_default().into_owned();
    let refused = match engine {
        // Checks that wait for the end (class 23, and what triggers raise), serialization.
        SqlEngine::Postgres => {
            ["23", "44", "P0"].iter().any(|class| code.starts_with(class))
                || code == "40001"
                || code == "40P01"
        }
        SqlEngine::Mysql => kind(engine, e.as_ref()) == Kind::Conflict,
        // A commit that is refused for readers or foreign keys leaves the transaction open.
        SqlEngine::Sqlite => matches!(primary(&code), 5 | 19),
    };
    if refused {
        let fault = Fault::untouched(codes::RW0705, "the database refused to commit")
            .detail(words(e.as_ref()));
        return match kind(engine, e.as_ref()) {
            Kind::Conflict | Kind::LockTimeout => fault.transient(),
            _ => fault,
        };
    }
    Fault::unknown(codes::RW0712, "the commit failed, and it can't be told whether it happened")
        .detail(words(e.as_ref()))
}

fn lost(error: &Error, world: World) -> Fault {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::WorkerCrashed | Error::PoolClosed => {
            let what = match world {
                World::Untouched => "the connection was lost; nothing was committed",
                _ => "the connection was lost while committing",
            };
            let fault = Fault::untouched(codes::RW0712, what).detail(error.to_string());
            match world {
                World::Untouched => fault.transient(),
                other => fault.world(other),
            }
        }
        other => Fault::untouched(codes::RW0709, "the database's answer can't be read")
            .detail(other.to_string())
            .help("a column of a rare type is read as text: `CAST(column AS text)`")
            .world(world),
    }
}

fn kind(engine: SqlEngine, error: &dyn DatabaseError) -> Kind {
    let code = error.code().unwrap_or_default().into_owned();
    match engine {
        SqlEngine::Postgres => match code.as_str() {
            "40001" | "40P01" => Kind::Conflict,
            "55P03" => Kind::LockTimeout,
            "57014" | "25P03" => Kind::Timeout,
            "25006" => Kind::ReadOnly,
            "42P18" => Kind::Untyped,
            "3D000" | "42501" => Kind::Access,
            "53300" | "57P03" => Kind::Busy,
            "57P01" | "57P02" | "57P05" => Kind::Ended,
            class if class.starts_with("28") => Kind::Access,
            class if class.starts_with("08") => Kind::Ended,
            _ => Kind::Refused,
        },
        SqlEngine::Mysql => match mysql_number(error) {
            1213 | 1020 => Kind::Conflict,
            1205 | 3572 => Kind::LockTimeout,
            1317 | 1969 | 3024 => Kind::Timeout,
            1792 | 1290 | 1836 => Kind::ReadOnly,
            1044 | 1045 | 1049 | 1142 | 1143 | 1227 | 1370 | 1698 | 4151 => Kind::Access,
            1040 | 1203 | 1226 => Kind::Busy,
            1053 | 1927 => Kind::Ended,
            _ => Kind::Refused,
        },
        SqlEngine::Sqlite => match primary(&code) {
            5 | 6 => Kind::LockTimeout,
            8 => Kind::ReadOnly,
            9 => Kind::Timeout,
            _ => Kind::Refused,
        },
    }
}

/// The result code in the low byte of an extended one.
fn primary(code: &str) -> u32 {
    code.parse::<u32>().map_or(0, |code| code & 0xff)
}

fn mysql_number(error: &dyn DatabaseError) -> u16 {
    error.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number)
}

/// The server's own words, with all that it adds to its message.
fn words(error: &dyn DatabaseError) -> String {
    let mut words = error.message().to_owned();
    if let Some(e) = error.try_downcast_ref::<PgDatabaseError>() {
        for more in [e.detail(), e.hint()].into_iter().flatten() {
            words.push('\n');
            words.push_str(more);
        }
        if e.severity() == PgSeverity::Fatal {
            words.insert_str(0, "FATAL: ");
        }
    }
    let code = match mysql_number(error) {
        0 => error.code().unwrap_or_default().into_owned(),
        number => number.to_string(),
    };
    format!("{words} ({code})")
}
