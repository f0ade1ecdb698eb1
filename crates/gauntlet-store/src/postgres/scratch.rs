//! Databases that come and go: a load run has one of its own beside the one that is named.

use super::PgStore;
use crate::Error;

impl PgStore {
    /// Makes an empty database with this name on the same server. The user needs the right to.
    ///
    /// # Errors
    /// As for every statement; [`Error::Rejected`] when there is one already, or the right is
    /// missing.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let name = quoted(name);
        self.session("create_database").await?.script(&format!("CREATE DATABASE {name}")).await?;
        Ok(())
    }

    /// Removes a database and all that is in it; ends the connections to it.
    ///
    /// # Errors
    /// As for every statement. One that is not there is none.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        let name = quoted(name);
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let mut session = self.session("drop_database").await?;
        // It waits for a checkpoint, which takes longer than any statement of ours may.
        session.script("SET statement_timeout = 0").await?;
        session.script(&statement).await?;
        session.script("RESET statement_timeout").await?;
        Ok(())
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
