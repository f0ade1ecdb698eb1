//! The schema, as numbered SQL files, and the rules for applying them. Each back end runs its own
//! folder; the numbers and names are the same in both.

use crate::contract::Error;

/// One step of the schema.
#[derive(Debug)]
pub(crate) struct Migration {
    /// Counts up from 1 without gaps.
    pub(crate) number: i32,
    /// The file's name without its number and ending.
    pub(crate) name: &'static str,
    /// What to run, in one transaction.
    pub(crate) sql: &'static str,
}

/// A row of the table `schema_migration`.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) number: i32,
    pub(crate) checksum: String,
}

macro_rules! migrations {
    ($folder:literal: $(($number:literal, $name:literal, $file:literal)),+ $(,)?) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../migrations/", $folder, "/", $file)),
        }),+]
    };
}

/// The steps for PostgreSQL.
pub(crate) const POSTGRES: &[Migration] = migrations!("postgres":
    (1, "initial", "0001_initial.sql"),
    (2, "cycles", "0002_cycles.sql"),
    (3, "catalogue_in_use", "0003_catalogue_in_use.sql"),
    (4, "lost_progress", "0004_lost_progress.sql"),
);

/// The steps for SQLite.
pub(crate) const SQLITE: &[Migration] = migrations!("sqlite":
    (1, "initial", "0001_initial.sql"),
    (2, "cycles", "0002_cycles.sql"),
    (3, "catalogue_in_use", "0003_catalogue_in_use.sql"),
    (4, "lost_progress", "0004_lost_progress.sql"),
);

/// Why migrations cannot be applied.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(
        "migration {number} ({name}) was changed after it was applied to this database \
         (checksum then {then}, now {now}); put the file back and write a new migration"
    )]
    Changed { number: i32, name: &'static str, then: String, now: String },
    #[error("migration {number} ({name}) is missing from this database while a later one is applied")]
    Gap { number: i32, name: &'static str },
}

impl Migration {
    /// Tells one text from another; not meant against forgery. Line endings do not count, so that
    /// a checkout that converts them makes no difference. (FNV-1a, 64 bits.)
    pub(crate) fn checksum(&self) -> String {
        let hash =
            self.sql.bytes().filter(|byte| *byte != b'\r').fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("{hash:016x}")
    }
}

/// Chooses the step to apply next; `None` when all are. Steps that only a newer release knows are
/// left alone: during a rolling upgrade the older release must go on working.
pub(crate) fn next<'a>(all: &'a [Migration], applied: &[Applied]) -> Result<Option<&'a Migration>, Error> {
    let reject = |fault: Fault| Err(Error::Rejected { operation: "migrate", source: fault.into() });
    let newest = applied.iter().map(|row| row.number).max().unwrap_or(0);
    for migration in all {
        let Migration { number, name, .. } = *migration;
        match applied.iter().find(|row| row.number == number) {
            Some(row) if row.checksum == migration.checksum() => {}
            Some(row) => {
                let then = row.checksum.clone();
                return reject(Fault::Changed { number, name, then, now: migration.checksum() });
            }
            None if number < newest => return reject(Fault::Gap { number, name }),
            None => return Ok(Some(migration)),
        }
    }
    if newest > all.last().map_or(0, |migration| migration.number) {
        tracing::warn!(newest, "the database has migrations that only a newer release knows");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Migration] = &[
        Migration { number: 1, name: "one", sql: "CREATE TABLE a (b int);\n" },
        Migration { number: 2, name: "two", sql: "DROP TABLE a;\n" },
    ];

    fn applied(number: i32, checksum: &str) -> Applied {
        Applied { number, checksum: checksum.to_owned() }
    }

    fn fault(rows: &[Applied]) -> String {
        let error = next(ALL, rows).expect_err("a fault");
        std::error::Error::source(&error).expect("a source").to_string()
    }

    #[test]
    fn applies_in_order_and_leaves_newer_ones_alone() {
        let (one, two) = (ALL[0].checksum(), ALL[1].checksum());
        let number = |rows: &[Applied]| next(ALL, rows).expect("fine").map(|migration| migration.number);
        assert_eq!(number(&[]), Some(1));
        assert_eq!(number(&[applied(1, &one)]), Some(2));
        assert_eq!(number(&[applied(1, &one), applied(2, &two)]), None);
        assert_eq!(number(&[applied(1, &one), applied(2, &two), applied(3, "later")]), None);
    }

    #[test]
    fn says_which_file_was_changed_and_which_is_missing() {
        assert!(fault(&[applied(1, "0")]).starts_with("migration 1 (one) was changed"));
        assert!(fault(&[applied(2, "0")]).starts_with("migration 1 (one) is missing"));
    }

    #[test]
    fn line_endings_do_not_change_a_checksum() {
        let converted = Migration { number: 1, name: "one", sql: "CREATE TABLE a (b int);\r\n" };
        assert_eq!(converted.checksum(), ALL[0].checksum());
        assert_ne!(ALL[1].checksum(), ALL[0].checksum());
    }
}
