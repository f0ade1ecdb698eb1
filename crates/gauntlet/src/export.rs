//! Spans on their way to a collector: OTLP over gRPC.
//!
//! Requests hand their spans to a bounded queue and never wait: a collector that is slow or dead
//! costs spans, and one line of the log when it begins and one when it ends.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use gauntlet_server::{
    clock::{Random as _, SystemRandom},
    traces::Traces,
};
use opentelemetry::KeyValue;
use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    transform::{
        common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter},
};
use tokio::{runtime::Handle, time::timeout};
use tonic::transport::{Channel, Endpoint};

use crate::{output::chain, settings::TraceSettings};

/// Most spans that wait. The newest are dropped when there are more: some megabytes at most.
const QUEUE: usize = 8_192;
/// Most spans in one message.
const BATCH: usize = 512;
/// How long a span waits for others to go with.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take for one message.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the settings ask for. Spans are sent from the current runtime.
pub(crate) fn traces(settings: &TraceSettings) -> Traces {
    let Some(endpoint) = &settings.endpoint else { return Traces::default() };
    let channel = Endpoint::from(endpoint.clone()).connect_timeout(DEADLINE).connect_lazy();
    let exporter = Exporter {
        client: TraceServiceClient::new(channel),
        resource: ResourceAttributesWithSchema::default(),
        runtime: Handle::current(),
        lost: AtomicU64::new(0),
    };
    // Everything that the builders would otherwise take from the environment is said here.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let attributes = settings.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(attributes)
        .with_service_name(settings.service.clone())
        .build();
    tracing::info!(endpoint = %endpoint, ratio = settings.ratio, "traces are on");
    Traces::new(processor, resource, settings.ratio, SystemRandom.number())
}

/// Sends spans to a collector.
#[derive(Debug)]
struct Exporter {
    client: TraceServiceClient<Channel>,
    resource: ResourceAttributesWithSchema,
    runtime: Handle,
    /// Spans that were lost since the collector took the last.
    lost: AtomicU64,
}

impl SpanExporter for Exporter {
    /// Is asked on a thread without a runtime, and sends from the service's.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let mut client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = timeout(DEADLINE, client.export(request)).await;
            let answer = answer.map_err(|_| "no answer in time".to_owned())?;
            let partial = answer.map_err(|status| chain(&status))?.into_inner().partial_success;
            match partial.filter(|partial| partial.rejected_spans > 0) {
                Some(partial) => Err(format!("spans were rejected: {}", partial.error_message)),
                None => Ok(()),
            }
        });
        let sent = sent.await.unwrap_or_else(|_| Err("the service has stopped".to_owned()));
        self.tell(count, sent)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl Exporter {
    /// Logs when the collector is lost and when it is back.
    fn tell(&self, count: u64, sent: Result<(), String>) -> OTelSdkResult {
        let Err(error) = sent else {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                tracing::info!(lost, "spans are exported again");
            }
            return Ok(());
        };
        if self.lost.fetch_add(count, Ordering::Relaxed) == 0 {
            tracing::warn!(
                error,
                "spans cannot be exported and are dropped until they can; requests are not affected"
            );
        }
        Err(OTelSdkError::InternalFailure(error))
    }
}
