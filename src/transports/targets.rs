//! The targets of one environment: opened when they are first needed, closed together.
//!
//! Owns which target has which transport. Must not know what is sent over it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{http, process, sql, ssh};
use crate::{
    base::Secret,
    diagnostics::codes,
    model::{
        Fault,
        target::{Address, Environment, HttpAddress, Target},
    },
    ports::{
        Secrets, Transports,
        transport::{HttpTarget, Processes, SqlTarget, SshTarget},
    },
};

/// The targets of one environment.
struct Targets {
    environment: Environment,
    secrets: Arc<dyn Secrets>,
    open: Mutex<Open>,
    processes: Arc<dyn Processes>,
}

#[derive(Default)]
struct Open {
    sql: HashMap<String, Arc<dyn SqlTarget>>,
    http: HashMap<String, Arc<dyn HttpTarget>>,
    ssh: HashMap<String, Arc<dyn SshTarget>>,
}

/// The way to an environment's targets. Nothing is opened yet.
pub fn open(environment: &Environment, secrets: Arc<dyn Secrets>) -> Arc<dyn Transports> {
    Arc::new(Targets {
        environment: environment.clone(),
        secrets,
        open: Mutex::new(Open::default()),
        processes: process::local(),
    })
}

impl Targets {
    fn target(&self, name: &str) -> Result<&Target, Fault> {
        self.environment.targets.get(name).ok_or_else(|| {
            let environment = &self.environment.name;
            Fault::untouched(codes::RW0403, format!("`{environment}` has no target `{name}`"))
        })
    }

    fn wrong(&self, name: &str, wanted: &str) -> Fault {
        Fault::untouched(codes::RW0403, format!("the target `{name}` is no {wanted}"))
    }

    /// The target's own headers, with the secrets that they name.
    async fn headers(&self, address: &HttpAddress) -> Result<Vec<(String, Secret)>, Fault> {
        let mut headers = Vec::new();
        for (name, template) in &address.headers {
            let mut secrets = HashMap::new();
            for used in template.names() {
                if let [root, secret, ..] = used.path.as_slice()
                    && root == "secrets"
                {
                    secrets.insert(secret.clone(), self.secrets.fetch(secret).await?);
                }
            }
            let value = template
                .render(&SecretScope(&secrets), crate::expression::Escape::None)
                .map_err(|failure| Fault::untouched(failure.code, failure.message))?;
            let value = match value {
                crate::base::Value::Secret(secret) => secret,
                other => Secret::derived(other.to_string(), other.to_string()),
            };
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }
}

/// `secrets.<name>` and nothing else.
struct SecretScope<'a>(&'a HashMap<String, Secret>);

impl crate::expression::Scope for SecretScope<'_> {
    fn lookup(
        &self,
        path: &[&str],
    ) -> Result<(std::borrow::Cow<'_, crate::base::Value>, usize), crate::expression::Absent> {
        match path {
            ["secrets", name, ..] if self.0.contains_key(*name) => {
                let value = crate::base::Value::Secret(self.0[*name].clone());
                Ok((std::borrow::Cow::Owned(value), 2))
            }
            _ => Err(crate::expression::Absent::Undefined {
                segment: 0,
                known: vec!["secrets".to_owned()],
            }),
        }
    }
}

#[async_trait]
impl Transports for Targets {
    async fn sql(&self, name: &str) -> Result<Arc<dyn SqlTarget>, Fault> {
        let mut open = self.open.lock().await;
        if let Some(found) = open.sql.get(name) {
            return Ok(Arc::clone(found));
        }
        let Address::Sql(address) = &self.target(name)?.address else {
            return Err(self.wrong(name, "database"));
        };
        let password = match &address.password {
            Some(secret) => Some(self.secrets.fetch(secret).await?),
            None => None,
        };
        let target: Arc<dyn SqlTarget> = sql::connect(address, password).await?;
        open.sql.insert(name.to_owned(), Arc::clone(&target));
        Ok(target)
    }

    async fn http(&self, name: &str) -> Result<Arc<dyn HttpTarget>, Fault> {
        let mut open = self.open.lock().await;
        if let Some(found) = open.http.get(name) {
            return Ok(Arc::clone(found));
        }
        let Address::Http(address) = &self.target(name)?.address else {
            return Err(self.wrong(name, "HTTP service"));
        };
        let headers = self.headers(address).await?;
        let target = http::open(name, address, headers)?;
        open.http.insert(name.to_owned(), Arc::clone(&target));
        Ok(target)
    }

    async fn ssh(&self, name: &str) -> Result<Arc<dyn SshTarget>, Fault> {
        let mut open = self.open.lock().await;
        if let Some(found) = open.ssh.get(name) {
            return Ok(Arc::clone(found));
        }
        let Address::Ssh(address) = &self.target(name)?.address else {
            return Err(self.wrong(name, "group of hosts"));
        };
        let target: Arc<dyn SshTarget> = ssh::open(name, address)?;
        open.ssh.insert(name.to_owned(), Arc::clone(&target));
        Ok(target)
    }

    fn processes(&self) -> Arc<dyn Processes> {
        Arc::clone(&self.processes)
    }

    async fn close(&self) {
        let open = std::mem::take(&mut *self.open.lock().await);
        for target in open.sql.values() {
            target.close().await;
        }
        for target in open.ssh.values() {
            target.close().await;
        }
    }
}
