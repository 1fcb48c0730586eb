//! The servers, a second session beside the one under test, and a step's context.

use std::{
    future::Future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use runward::{
    base::{Map, NodeId, RunId, Secret, Timestamp, Value},
    diagnostics::codes,
    model::{
        Fault,
        target::{SqlAddress, SqlEngine},
    },
    ports::{
        Action, Arguments, Clock, StepContext, Transports,
        transport::{HttpTarget, Processes, Rows, SqlQuery, SqlTarget, SshTarget},
    },
    transports::sql::{Database, connect},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::support::variable;

pub use SqlEngine::{Mysql, Postgres, Sqlite};

pub const ENGINES: [SqlEngine; 3] = [Postgres, Mysql, Sqlite];

/// A test's own database of one engine.
pub struct Bench {
    pub engine: SqlEngine,
    pub address: SqlAddress,
    pub password: Option<Secret>,
    pub database: Arc<Database>,
}

impl Bench {
    pub async fn new(engine: SqlEngine) -> Self {
        let secret = |name: &str| Some(Secret::new("database", "1", variable(name)));
        let (url, password) = match engine {
            Postgres => {
                (variable("RUNWARD_TEST_POSTGRES_URL"), secret("RUNWARD_TEST_POSTGRES_PASSWORD"))
            }
            Mysql => (variable("RUNWARD_TEST_MYSQL_URL"), secret("RUNWARD_TEST_MYSQL_PASSWORD")),
            Sqlite => {
                let file = scratch().join(unique("ledger") + ".db");
                std::fs::write(&file, "").unwrap();
                (format!("sqlite:{}", file.display()), None)
            }
        };
        let address =
            SqlAddress { engine, url, password: None, statement_timeout: Duration::from_secs(20) };
        let database = connect(&address, password.clone()).await.unwrap();
        Self { engine, address, password, database }
    }

    /// Another session, which knows nothing of runward.
    pub async fn other(&self) -> Other {
        let password = self.password.as_ref().map_or("", Secret::expose);
        match self.engine {
            Postgres => {
                let options: sqlx::postgres::PgConnectOptions = self.address.url.parse().unwrap();
                Other::Postgres(options.password(password).connect().await.unwrap())
            }
            Mysql => {
                let options: sqlx::mysql::MySqlConnectOptions = self.address.url.parse().unwrap();
                Other::Mysql(options.password(password).connect().await.unwrap())
            }
            Sqlite => {
                Other::Sqlite(sqlx::SqliteConnection::connect(&self.address.url).await.unwrap())
            }
        }
    }

    /// Statements of the other session.
    pub async fn outside(&self, text: &str) {
        let mut other = self.other().await;
        other.run(text).await;
        other.close().await;
    }

    /// A read with defaults.
    pub async fn read(&self, text: &str, params: Map) -> Result<Rows, Fault> {
        self.database.query(&query(text, params)).await
    }

    /// The whole table, read without transactions or parameters of the test's own.
    pub async fn all(&self, table: &str) -> Vec<Map> {
        self.read(&format!("SELECT * FROM {table} ORDER BY 1"), Map::new()).await.unwrap().rows
    }

    pub fn context(&self) -> StepContext {
        StepContext {
            run: RunId("01890a5d-ac96-774b-bcce-b302099a8057".into()),
            node: NodeId::new("limit"),
            attempt: 1,
            timeout: None,
            clock: Arc::new(Wall),
            transports: Arc::new(Only(Arc::clone(&self.database))),
            folder: PathBuf::from("."),
        }
    }

    pub async fn act(&self, action: &dyn Action, arguments: &Arguments) -> Result<Value, Fault> {
        action.run(&self.context(), arguments).await
    }
}

pub fn query(text: &str, params: Map) -> SqlQuery {
    SqlQuery {
        text: text.into(),
        params,
        max_rows: 1000,
        session: "runward/test/limit/1".into(),
        timeout: None,
    }
}

/// Runs the test for each engine; a failure says which it was.
pub async fn each<F: Future<Output = ()>>(test: impl Fn(Bench) -> F) {
    for engine in ENGINES {
        println!("on {engine:?}");
        let bench = Bench::new(engine).await;
        let database = Arc::clone(&bench.database);
        test(bench).await;
        database.close().await;
    }
}

pub enum Other {
    Postgres(sqlx::PgConnection),
    Mysql(sqlx::MySqlConnection),
    Sqlite(sqlx::SqliteConnection),
}

impl Other {
    pub async fn try_run(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let text = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
        match self {
            Self::Postgres(c) => text.execute(c).await.map(|_| ()),
            Self::Mysql(c) => text.execute(c).await.map(|_| ()),
            Self::Sqlite(c) => text.execute(c).await.map(|_| ()),
        }
    }

    pub async fn run(&mut self, text: &str) {
        self.try_run(text).await.unwrap_or_else(|e| panic!("{text}: {e}"));
    }

    pub async fn close(self) {
        match self {
            Self::Postgres(c) => c.close().await.unwrap(),
            Self::Mysql(c) => c.close().await.unwrap(),
            Self::Sqlite(c) => c.close().await.unwrap(),
        }
    }
}

/// A name that no other test and no other run of the tests has.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}_{}_{count}", std::process::id())
}

fn scratch() -> PathBuf {
    let folder = PathBuf::from(variable("RUNWARD_TEST_DIR")).join("sql");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

pub fn arguments<const N: usize>(pairs: [(&str, Value); N]) -> Arguments {
    Arguments::new(map(pairs))
}

pub fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

pub fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

struct Wall;

#[async_trait]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    async fn until(&self, at: Timestamp) {
        let span = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        tokio::time::sleep(span).await;
    }
    fn new_id(&self) -> String {
        "01890a5d-ac96-774b-bcce-b302099a8057".into()
    }
}

/// The one database under every name; nothing else is there.
struct Only(Arc<Database>);

fn none<T>() -> Result<T, Fault> {
    Err(Fault::untouched(codes::RW0403, "there is only a database"))
}

#[async_trait]
impl Transports for Only {
    async fn sql(&self, _target: &str) -> Result<Arc<dyn SqlTarget>, Fault> {
        Ok(Arc::clone(&self.0) as Arc<dyn SqlTarget>)
    }
    async fn http(&self, _target: &str) -> Result<Arc<dyn HttpTarget>, Fault> {
        none()
    }
    async fn ssh(&self, _target: &str) -> Result<Arc<dyn SshTarget>, Fault> {
        none()
    }
    fn processes(&self) -> Arc<dyn Processes> {
        panic!("there is only a database")
    }
    async fn close(&self) {
        self.0.close().await;
    }
}
