//! tonic, axum and hyper as the product uses them, with nothing behind.

use std::pin::Pin;

use axum::{Router, body::Bytes, routing::get};
use gauntlet_proto::{
    events::{
        Ack, Event,
        event_stream_server::{EventStream, EventStreamServer},
    },
    statistic::{
        StatItemUpdated,
        statistic_stat_item_updated_service_server::{
            StatisticStatItemUpdatedService, StatisticStatItemUpdatedServiceServer,
        },
    },
};
use gauntlet_server::net::{self, NetOptions};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::Result;

/// Reads the message and answers.
#[derive(Debug, Clone, Copy)]
struct Echo;

#[tonic::async_trait]
impl StatisticStatItemUpdatedService for Echo {
    async fn on_message(&self, event: Request<StatItemUpdated>) -> Result<Response<()>, Status> {
        let event = event.into_inner();
        // So that generators can be tested with a call that fails.
        if event.user_id == REFUSED_PLAYER {
            return Err(Status::resource_exhausted("as asked"));
        }
        Ok(Response::new(()))
    }
}

/// The echo refuses events of this player.
pub(crate) const REFUSED_PLAYER: &str = "refuse-me";

#[tonic::async_trait]
impl EventStream for Echo {
    type PublishStream = Pin<Box<dyn Stream<Item = Result<Ack, Status>> + Send>>;

    async fn publish(
        &self,
        request: Request<Streaming<Event>>,
    ) -> Result<Response<Self::PublishStream>, Status> {
        let answers = request
            .into_inner()
            .map(|event| event.map(|event| Ack { sequence: event.sequence, ..Ack::default() }));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Its routes: events, and `/static` with so many bytes.
pub(crate) fn router(bytes: usize) -> Router {
    let reply = Bytes::from(vec![b'x'; bytes]);
    tonic::service::Routes::new(StatisticStatItemUpdatedServiceServer::new(Echo))
        .add_service(EventStreamServer::new(Echo))
        .into_axum_router()
        .route("/static", get(move || async move { reply }))
}

/// Serves until standard input ends; prints the address first.
#[expect(clippy::print_stdout, reason = "how the floor tells its address")]
pub(crate) fn serve(bytes: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stopper.cancel();
    });
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        net::serve(listener, router(bytes), &NetOptions::default(), stop).await;
        Ok(())
    })
}
