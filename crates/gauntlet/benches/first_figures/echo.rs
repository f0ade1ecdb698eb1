//! The floor: the same stack (tonic, axum, hyper) answering without doing anything.

use axum::{Router, body::Bytes, routing::get};
use gauntlet_proto::statistic::{
    StatItemUpdated,
    statistic_stat_item_updated_service_server::{
        StatisticStatItemUpdatedService, StatisticStatItemUpdatedServiceServer,
    },
};
use gauntlet_server::net::{self, NetOptions};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

struct Echo;

#[tonic::async_trait]
impl StatisticStatItemUpdatedService for Echo {
    async fn on_message(&self, _event: Request<StatItemUpdated>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }
}

/// Serves until killed; prints the address first.
pub(crate) fn serve(bytes: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        let reply = Bytes::from(vec![b'x'; bytes]);
        let grpc = tonic::service::Routes::new(StatisticStatItemUpdatedServiceServer::new(Echo));
        let router: Router = grpc.into_axum_router().route("/static", get(move || async move { reply }));
        net::serve(listener, router, &NetOptions::default(), CancellationToken::new()).await;
    });
}
