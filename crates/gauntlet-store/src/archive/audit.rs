//! Goes through a store and compares each player's document with the grants that were ordered for the player.

use std::collections::VecDeque;

use gauntlet_domain::{
    GoalNumber, GrantKey,
    audit::{GrantStanding, audit as compare},
};

use super::{
    PAGE, Source, Table,
    row::{GrantLine, PlayerDocument, Row},
};
use crate::{
    contract::{Error, GrantState, PlayerKey},
    rows,
};

/// Problems that are told in words; of more there is only the number.
const TOLD: usize = 100;

/// What came of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// Documents that were read.
    pub players: u64,
    /// Grants that were compared.
    pub grants: u64,
    /// Differences, documents that cannot be read, and grants of nobody.
    pub mismatches: u64,
    /// The first of them: namespace and player, goal and cycle, what.
    pub first: Vec<String>,
}

impl AuditReport {
    fn tell(&mut self, text: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.first.len() < TOLD {
            self.first.push(text());
        }
    }
}

/// Compares all documents and grants of a store. `tell` hears of players done and of how many there are.
///
/// # Errors
/// A store that does not answer.
pub async fn audit(
    source: &mut dyn Source,
    tell: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<AuditReport, Error> {
    let all = source.count(Table::Players).await?;
    let mut report = AuditReport::default();
    let (mut players, mut grants) = (Feed::new(Table::Players), Feed::new(Table::Grants));
    while let Some(row) = players.next(source).await? {
        let Row::Player(document) = row else { continue };
        let mut own = Vec::new();
        while let Some(Row::Grant(grant)) = grants.peek(source).await? {
            let place = (&grant.player, &grant.namespace);
            if place > (&document.player, &document.namespace) {
                break;
            }
            let grant = grant.clone();
            grants.next(source).await?;
            report.grants += 1;
            if (&grant.player, &grant.namespace) == (&document.player, &document.namespace) {
                own.push(grant);
            } else {
                nobodys(&mut report, &grant);
            }
        }
        one(&mut report, &document, &own);
        report.players += 1;
        if report.players.is_multiple_of(u64::from(PAGE)) {
            tell(report.players, all);
        }
    }
    while let Some(Row::Grant(grant)) = grants.next(source).await? {
        report.grants += 1;
        nobodys(&mut report, &grant);
    }
    Ok(report)
}

fn nobodys(report: &mut AuditReport, grant: &GrantLine) {
    report.tell(|| format!("{}/{} goal {}: a grant of nobody", grant.namespace, grant.player, grant.goal_id));
}

fn one(report: &mut AuditReport, document: &PlayerDocument, grants: &[GrantLine]) {
    let key = PlayerKey { player: document.player.clone(), namespace: document.namespace.as_str().into() };
    let settled = Some(document.settled.as_deref());
    let stored = match rows::decode(&key, document.revision, &document.live, settled) {
        Ok(stored) => stored,
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return report.tell(|| format!("{}: {error}{cause}", rows::row_id(&key)));
        }
    };
    let mut known = Vec::new();
    for grant in grants {
        match standing(grant) {
            Some(grant) => known.push(grant),
            None => report
                .tell(|| format!("{} goal {}: the grant cannot be read", rows::row_id(&key), grant.goal_id)),
        }
    }
    for mismatch in compare(&stored.player, &known) {
        let goal = grants.iter().find(|grant| grant.goal == i64::from(mismatch.goal.0));
        let goal = goal.map_or_else(|| format!("number {}", mismatch.goal.0), |grant| grant.goal_id.clone());
        report.tell(|| {
            format!("{} goal {goal}, cycle {}: {}", rows::row_id(&key), mismatch.cycle, mismatch.what)
        });
    }
}

fn standing(grant: &GrantLine) -> Option<(GrantKey, GrantStanding)> {
    let number = |value: i64| u32::try_from(value).ok();
    let key = GrantKey {
        goal: GoalNumber(number(grant.goal)?),
        cycle: number(grant.cycle)?,
        epoch: number(grant.epoch)?,
    };
    let standing = match GrantState::from_word(&grant.state)? {
        GrantState::Sending => GrantStanding::Sending,
        GrantState::Granted => GrantStanding::Granted,
        GrantState::Refused => GrantStanding::Refused,
        GrantState::Uncertain => GrantStanding::Uncertain,
    };
    Some((key, standing))
}

/// The rows of a table, one after the other.
struct Feed {
    table: Table,
    rows: VecDeque<Row>,
    last: Option<Row>,
    ended: bool,
}

impl Feed {
    fn new(table: Table) -> Self {
        Self { table, rows: VecDeque::new(), last: None, ended: false }
    }

    async fn peek(&mut self, source: &mut dyn Source) -> Result<Option<&Row>, Error> {
        if self.rows.is_empty() && !self.ended {
            let page = source.page(self.table, self.last.as_ref()).await?;
            self.last = page.last().cloned();
            self.ended = page.is_empty();
            self.rows.extend(page);
        }
        Ok(self.rows.front())
    }

    async fn next(&mut self, source: &mut dyn Source) -> Result<Option<Row>, Error> {
        self.peek(source).await?;
        Ok(self.rows.pop_front())
    }
}
