//! The rows of an archive: what the columns hold, in types that both databases have.

use gauntlet_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::rows::GrantRow;

/// A table, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `goal_registry`.
    Goals,
    /// `catalogue_version`.
    Catalogues,
    /// `receipt_generation`.
    ReceiptsSince,
    /// `player`, with `settled`.
    Players,
    /// `receipt_0` or `receipt_1`, whichever is current.
    Receipts,
    /// The other one.
    OlderReceipts,
    /// `reward_grant`.
    Grants,
    /// `journal`.
    Journal,
    /// `due_player`.
    Due,
}

impl Table {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 9] = [
        Self::Goals,
        Self::Catalogues,
        Self::ReceiptsSince,
        Self::Players,
        Self::Receipts,
        Self::OlderReceipts,
        Self::Grants,
        Self::Journal,
        Self::Due,
    ];

    /// As people read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goals => "goal numbers",
            Self::Catalogues => "catalogue versions",
            Self::ReceiptsSince => "receipt generations",
            Self::Players => "players",
            Self::Receipts => "pages of receipts",
            Self::OlderReceipts => "pages of older receipts",
            Self::Grants => "grants",
            Self::Journal => "journal rows",
            Self::Due => "due players",
        }
    }
}

/// A row. On a line of the file it stands behind the name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Row {
    /// A goal's number.
    Goal(GoalId),
    /// A version of the catalogue.
    Catalogue(CatalogueVersion),
    /// Since when receipts go where they go now.
    ReceiptsSince(ReceiptsSince),
    /// A player's document.
    Player(PlayerDocument),
    /// Receipts of the current generation.
    Receipts(ReceiptPage),
    /// Receipts of the generation before.
    OlderReceipts(ReceiptPage),
    /// A grant.
    Grant(GrantLine),
    /// What happened to a player.
    Journal(JournalLine),
    /// A player to look after.
    Due(DuePlayer),
}

impl Row {
    /// Where it belongs.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Goal(_) => Table::Goals,
            Self::Catalogue(_) => Table::Catalogues,
            Self::ReceiptsSince(_) => Table::ReceiptsSince,
            Self::Player(_) => Table::Players,
            Self::Receipts(_) => Table::Receipts,
            Self::OlderReceipts(_) => Table::OlderReceipts,
            Self::Grant(_) => Table::Grants,
            Self::Journal(_) => Table::Journal,
            Self::Due(_) => Table::Due,
        }
    }

    /// Its primary key: texts, then numbers. Rows of a table ascend by it.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        match self {
            Self::Goal(row) => ([&row.id, ""], [0; 3]),
            Self::Catalogue(row) => (["", ""], [row.version, 0, 0]),
            Self::ReceiptsSince(_) => (["", ""], [0; 3]),
            Self::Player(row) => ([&row.player, &row.namespace], [0; 3]),
            Self::Receipts(row) | Self::OlderReceipts(row) => {
                ([&row.player, &row.namespace], [row.revision, 0, 0])
            }
            Self::Grant(row) => ([&row.player, &row.namespace], [row.goal, row.cycle, row.epoch]),
            Self::Journal(row) => ([&row.player, &row.namespace], [row.sequence, 0, 0]),
            Self::Due(row) => ([&row.player, &row.namespace], [0; 3]),
        }
    }
}

/// A primary key.
pub type Key<'a> = ([&'a str; 2], [i64; 3]);

/// What is before every key.
pub(crate) const BEFORE_ALL: Key<'static> = (["", ""], [i64::MIN; 3]);

/// A row of `goal_registry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoalId {
    /// The goal's id.
    pub id: String,
    /// Its number.
    pub number: i64,
}

/// A row of `catalogue_version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueVersion {
    /// Counts up.
    pub version: i64,
    /// The file.
    pub text: String,
    /// When it was registered, in milliseconds since 1970, like all times here.
    pub created_at: i64,
    /// When it came into use.
    pub activated_at: Option<i64>,
}

/// The row of `receipt_generation`, without which of two tables is the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsSince {
    /// When the current generation began.
    pub started_at: i64,
}

/// A row of `player`, and that of `settled` if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerDocument {
    /// Who.
    pub player: String,
    /// In which game.
    pub namespace: String,
    /// Counts writes.
    pub revision: i64,
    /// The live part, as base64 on a line.
    #[serde(with = "as_base64")]
    pub live: Vec<u8>,
    /// The settled part.
    #[serde(with = "as_base64_or_null", default)]
    pub settled: Option<Vec<u8>>,
}

/// A row of `receipt_0` or `receipt_1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptPage {
    /// Whose.
    pub player: String,
    /// In which game.
    pub namespace: String,
    /// The write with which they left the document.
    pub revision: i64,
    /// Eight bytes each.
    #[serde(with = "as_base64")]
    pub receipts: Vec<u8>,
}

/// A row of `reward_grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the columns of the table, which the migrations explain")]
pub struct GrantLine {
    pub player: String,
    pub namespace: String,
    pub goal: i64,
    pub cycle: i64,
    pub epoch: i64,
    pub challenge_id: String,
    pub goal_id: String,
    pub reward_kind: String,
    pub reward_id: String,
    pub reward_quantity: i64,
    pub state: String,
    pub attempt: i64,
    pub lease_owner: Option<String>,
    pub lease_until: Option<i64>,
    pub claimed_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub reason: String,
}

impl From<GrantRow> for GrantLine {
    fn from(row: GrantRow) -> Self {
        Self {
            player: row.player,
            namespace: row.namespace,
            goal: row.goal,
            cycle: row.cycle,
            epoch: row.epoch,
            challenge_id: row.challenge_id,
            goal_id: row.goal_id,
            reward_kind: row.reward_kind,
            reward_id: row.reward_id,
            reward_quantity: row.reward_quantity.into(),
            state: row.state,
            attempt: row.attempt,
            lease_owner: row.lease_owner,
            lease_until: row.lease_until.map(Timestamp::millis),
            claimed_at: row.claimed_at.millis(),
            created_at: row.created_at.millis(),
            updated_at: row.updated_at.millis(),
            reason: row.reason,
        }
    }
}

/// A row of `journal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalLine {
    /// Whose.
    pub player: String,
    /// In which game.
    pub namespace: String,
    /// Counts up for each player.
    pub sequence: i64,
    /// When.
    pub at: i64,
    /// What.
    pub kind: String,
    /// Of which goals, by number.
    pub goals: Vec<i64>,
    /// In which cycle each of them was; empty in rows of early releases.
    pub cycles: Vec<i64>,
    /// When each of these cycles ends; null: never.
    pub cycle_ends: Vec<Option<i64>>,
    /// What the progress of each goal was, in rows that tell of lost progress; empty in all others.
    pub progress: Vec<i64>,
}

/// A row of `due_player`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuePlayer {
    /// Who.
    pub player: String,
    /// In which game.
    pub namespace: String,
    /// When somebody has to look after the player.
    pub due_at: i64,
}

mod as_base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod as_base64_or_null {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde gives it so")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, out: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| STANDARD.decode(text)).transpose().map_err(D::Error::custom)
    }
}
