//! The use cases of the player API. HTTP and gRPC call these functions and nothing else; no rule
//! and no status code stands here.

use std::sync::Arc;

use gauntlet_domain::{Catalogue, ChallengeIndex, Command, Reply, limits::check_id};
use gauntlet_proto::service as proto;
use gauntlet_store::PlayerKey;

use crate::{
    admission::enter,
    catalogue::{Keeper, ReloadError, Standing},
    core::{Core, Seen},
    error::{ApiError, Reason},
    rate::RateLimit,
    rewards::Rewards,
    shards::Shards,
};

mod browse;
mod history;
mod messages;
mod rotation;

pub use browse::Browse;
pub(crate) use history::LARGEST_PAGE;
pub(crate) use messages::{assigned_goal, goal_message, initialized, seconds_until, under_terms};

/// Faults of a catalogue that are told to whoever asked for a reload; the log and
/// `gauntlet catalogue check` have them all.
const MOST_FAULTS: usize = 20;

/// Who asks: the player that the request's credentials prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The player's id, checked.
    pub player: String,
}

/// The player API.
#[derive(Debug, Clone)]
pub struct Api {
    core: Arc<Core>,
    shards: Shards,
    rewards: Rewards,
    limit: Arc<RateLimit>,
    keeper: Option<Keeper>,
}

impl Api {
    /// The API over running shards and reward senders.
    #[must_use]
    pub fn new(core: Arc<Core>, shards: Shards, rewards: Rewards) -> Self {
        Self { core, shards, rewards, limit: Arc::new(RateLimit::per_minute(0)), keeper: None }
    }

    /// Limits how many claims and draws one player may make a minute; 0: any number.
    #[must_use]
    pub fn with_player_rate(self, per_minute: u32) -> Self {
        Self { limit: Arc::new(RateLimit::per_minute(per_minute)), ..self }
    }

    /// Lets operators see and change the catalogue.
    #[must_use]
    pub fn with_keeper(self, keeper: Option<Keeper>) -> Self {
        Self { keeper, ..self }
    }

    /// Tells the metrics what the breaker of the reward platform lets through now.
    pub(crate) fn tell_breaker(&self) {
        self.rewards.tell_breaker();
    }

    /// The game's namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.core.namespace()
    }

    /// How the catalogue stands.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn catalogue_status(&self) -> Result<proto::CatalogueStatus, ApiError> {
        let Some(keeper) = &self.keeper else {
            let version = self.core.catalogue().version();
            let standing = Standing { version, newest: version, waiting_for: Vec::new() };
            return Ok(messages::catalogue_status(standing));
        };
        let standing = keeper.standing().await.map_err(|error| self.not_reloaded(&error))?;
        Ok(messages::catalogue_status(standing))
    }

    /// Reads the catalogue again and makes it the newest version, unless it is.
    ///
    /// # Errors
    /// `CATALOGUE_FAULTY` with the first faults; a store that does not answer.
    pub async fn reload_catalogue(&self) -> Result<proto::CatalogueStatus, ApiError> {
        let Some(keeper) = &self.keeper else {
            return Err(ApiError::new(
                Reason::CatalogueFaulty,
                "this server was given its catalogue for good",
            ));
        };
        let standing = keeper.reload().await.map_err(|error| self.not_reloaded(&error))?;
        Ok(messages::catalogue_status(standing))
    }

    fn not_reloaded(&self, error: &ReloadError) -> ApiError {
        let faulty = |message: String| ApiError::new(Reason::CatalogueFaulty, message);
        match error {
            ReloadError::Unreadable(_) => {
                faulty("the catalogue file cannot be read; the one in use stays, and the log says why".into())
            }
            ReloadError::Faulty(faults) => {
                let count = faults.count();
                let lines: Vec<String> =
                    faults.as_slice().iter().take(MOST_FAULTS).map(ToString::to_string).collect();
                faulty(format!("the catalogue has {count} faults; the one in use stays"))
                    .with("fault_count", count.to_string())
                    .with("faults", lines.join("\n"))
            }
            ReloadError::Store(error) => self.core.failed(error),
            ReloadError::Version(_) => {
                faulty("a version of the catalogue cannot be loaded by this server; the log says why".into())
            }
        }
    }

    /// What the player sees: all challenges, or one.
    ///
    /// # Errors
    /// An unknown challenge, or a store that does not answer.
    pub async fn browse(
        &self,
        caller: &Caller,
        challenge: Option<&str>,
        active_only: bool,
    ) -> Result<Browse, ApiError> {
        if let Some(id) = challenge {
            find_challenge(&self.core.catalogue(), id)?;
        }
        enter()?;
        let Seen { stored, catalogue, .. } = self.core.read(self.key(caller)).await?;
        let challenge = challenge.map(|id| find_challenge(&catalogue, id)).transpose()?;
        let now = self.core.now();
        Ok(Browse { catalogue, stored, challenge, active_only, now, player: caller.player.clone() })
    }

    /// Assigns default goals and answers the active ones. A player for whom nothing changes costs
    /// one read and no write.
    ///
    /// # Errors
    /// What the rules refuse, a full queue, a store that does not answer, too many conflicts.
    pub async fn initialize(&self, caller: &Caller) -> Result<proto::InitializeResponse, ApiError> {
        let (reply, catalogue) = self.begin(caller).await?;
        Ok(messages::initialized(&catalogue, reply))
    }

    /// The same before it is written as a message, with the catalogue that its goals are named by.
    pub(crate) async fn begin(&self, caller: &Caller) -> Result<(Reply, Arc<Catalogue>), ApiError> {
        enter()?;
        let Seen { stored, catalogue, .. } = self.core.read(self.key(caller)).await?;
        if let Some(reply) = self.core.preview(stored.as_ref(), &Command::Initialize, &catalogue) {
            return Ok((reply, catalogue));
        }
        self.call(caller, Command::Initialize).await
    }

    /// Makes a goal active or inactive.
    ///
    /// # Errors
    /// What the rules refuse, a full queue, a store that does not answer, too many conflicts.
    pub async fn set_goal_active(
        &self,
        caller: &Caller,
        request: proto::SetGoalActiveRequest,
    ) -> Result<proto::SetGoalActiveResponse, ApiError> {
        check_ids(&[("challenge_id", &request.challenge_id), ("goal_id", &request.goal_id)])?;
        let command = Command::SetActive {
            challenge: request.challenge_id,
            goal: request.goal_id,
            active: request.is_active,
        };
        let (reply, catalogue) = self.call(caller, command).await?;
        Ok(messages::active_set(&catalogue, &reply))
    }

    /// Activates goals that the player names.
    ///
    /// # Errors
    /// What the rules refuse, a full queue, a store that does not answer, too many conflicts.
    pub async fn batch_select(
        &self,
        caller: &Caller,
        request: proto::BatchSelectRequest,
    ) -> Result<proto::GoalSelectionResponse, ApiError> {
        check_ids(&[("challenge_id", &request.challenge_id)])?;
        for id in &request.goal_ids {
            check_ids(&[("goal_ids", id)])?;
        }
        let challenge_id = request.challenge_id.clone();
        let command = Command::BatchSelect {
            challenge: request.challenge_id,
            goals: request.goal_ids,
            replace_existing: request.replace_existing,
        };
        let (reply, catalogue) = self.call(caller, command).await?;
        Ok(messages::selected(&catalogue, challenge_id, reply))
    }

    /// Activates goals that are drawn.
    ///
    /// # Errors
    /// `RATE_LIMITED`, what the rules refuse, a full queue, a store that does not answer, too many conflicts.
    pub async fn random_select(
        &self,
        caller: &Caller,
        request: proto::RandomSelectRequest,
    ) -> Result<proto::GoalSelectionResponse, ApiError> {
        self.take(caller)?;
        check_ids(&[("challenge_id", &request.challenge_id)])?;
        let challenge_id = request.challenge_id.clone();
        let command = Command::RandomSelect {
            challenge: request.challenge_id,
            count: request.count,
            replace_existing: request.replace_existing,
            exclude_active: request.exclude_active,
        };
        let (reply, catalogue) = self.call(caller, command).await?;
        Ok(messages::selected(&catalogue, challenge_id, reply))
    }

    /// Claims a reward and waits for its grant.
    ///
    /// # Errors
    /// `RATE_LIMITED`, what the rules refuse, a full queue, a store that does not answer, too many conflicts; and
    /// `REWARD_PENDING`, `REWARD_UNCERTAIN`, `REWARD_GRANT_FAILED` as the grant ends.
    pub async fn claim(
        &self,
        caller: &Caller,
        request: proto::ClaimRewardRequest,
    ) -> Result<proto::ClaimRewardResponse, ApiError> {
        self.take(caller)?;
        check_ids(&[("challenge_id", &request.challenge_id), ("goal_id", &request.goal_id)])?;
        enter()?;
        let claimed = self.rewards.claim(self.key(caller), request.challenge_id, request.goal_id).await?;
        Ok(messages::claimed(&claimed))
    }

    /// How a challenge rotates. The store is asked only where each player has cycles of their own.
    ///
    /// # Errors
    /// An unknown challenge, or a store that does not answer.
    pub async fn rotation_status(
        &self,
        caller: &Caller,
        request: &proto::GetRotationStatusRequest,
    ) -> Result<proto::GetRotationStatusResponse, ApiError> {
        let catalogue = self.core.catalogue();
        let challenge = find_challenge(&catalogue, &request.challenge_id)?;
        if !rotation::is_personal(&catalogue, challenge) {
            return Ok(rotation::status(&catalogue, challenge, None, self.core.now()));
        }
        enter()?;
        let Seen { stored, catalogue, .. } = self.core.read(self.key(caller)).await?;
        let challenge = find_challenge(&catalogue, &request.challenge_id)?;
        let player = stored.as_ref().map(|stored| &stored.player);
        Ok(rotation::status(&catalogue, challenge, player, self.core.now()))
    }

    /// What became of a challenge's goals in cycles that have ended, those that ended last first.
    ///
    /// # Errors
    /// An unknown challenge, a page that does not exist, or a store that does not answer.
    pub async fn history(
        &self,
        caller: &Caller,
        request: &proto::GetChallengeHistoryRequest,
    ) -> Result<proto::GetChallengeHistoryResponse, ApiError> {
        find_challenge(&self.core.catalogue(), &request.challenge_id)?;
        let page = history::Page::of(request.page_size, &request.page_token)?;
        enter()?;
        let key = self.key(caller);
        let Seen { stored, catalogue, untold: mut entries } = self.core.read(key.clone()).await?;
        let challenge = find_challenge(&catalogue, &request.challenge_id)?;
        if stored.is_some() {
            entries.extend(history::read(&self.core, &key).await?);
        }
        let player = stored.as_ref().map(|stored| &stored.player);
        Ok(history::page(&catalogue, challenge, &entries, player, page, self.core.now()))
    }

    /// Whether the service can do its work: `healthy` when the database answers.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn health(&self) -> Result<proto::HealthCheckResponse, ApiError> {
        self.core.ping().await?;
        Ok(proto::HealthCheckResponse { status: "healthy".into() })
    }

    /// Runs a command in the player's shard.
    ///
    /// # Errors
    /// What the rules refuse, a full queue, a store that does not answer, too many conflicts.
    async fn call(&self, caller: &Caller, command: Command) -> Result<(Reply, Arc<Catalogue>), ApiError> {
        enter()?;
        Ok(self.shards.call(self.key(caller), command).await?)
    }

    /// Takes one of the calls that a player may make a minute.
    fn take(&self, caller: &Caller) -> Result<(), ApiError> {
        self.limit.take(&caller.player).inspect_err(|_| self.core.metrics().shed("player_rate"))
    }

    fn key(&self, caller: &Caller) -> PlayerKey {
        self.core.key(caller.player.as_str())
    }
}

fn find_challenge(catalogue: &Catalogue, id: &str) -> Result<ChallengeIndex, ApiError> {
    check_ids(&[("challenge_id", id)])?;
    catalogue.find_challenge(id).ok_or_else(|| {
        ApiError::new(Reason::ChallengeNotFound, format!("challenge {id:?} does not exist"))
            .with("challenge_id", id)
    })
}

fn check_ids(ids: &[(&'static str, &str)]) -> Result<(), ApiError> {
    for (field, id) in ids {
        check_id(id).map_err(|problem| ApiError::invalid(field, problem))?;
    }
    Ok(())
}
