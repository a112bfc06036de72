//! One exchange on the wire: a thread of our own that runs octocrab, and callers that block on it.
//!
//! Octocrab's raw requests, without its retries, redirects and cache: its typed calls lose the
//! headers that carry the limits. Nothing here decides anything.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http_body_util::{BodyExt, Limited};
use octocrab::Octocrab;
use serde_json::Value;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::client::lock;
use super::limits::Verb;
use super::proxy::{proxy_for, through};
use super::token::Token;

pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);

/// No answer is larger.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// What is under way when we are interrupted may still be answered so much later.
const GRACE: Duration = Duration::from_secs(1);

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.github+json");

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) verb: Verb,
    /// The address in full, on the API's own host.
    pub(super) url: String,
    pub(super) body: Option<Value>,
    /// The version that we have.
    pub(super) etag: Option<HeaderValue>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Silence {
    /// What the network said.
    Network(String),
    /// We ended it.
    Aborted,
}

/// The thread, its runtime and its client.
pub(super) struct Wire {
    crab: Octocrab,
    handle: Handle,
    under_way: Arc<Mutex<Vec<AbortHandle>>>,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Wire {
    /// Starts the thread. `api` is the address that gets the token; nothing else does.
    pub(super) fn start(api: &str, token: &Token) -> Result<Self, String> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let handle = runtime.handle().clone();
        let crab = {
            // Octocrab starts a task of its own.
            let _inside = handle.enter();
            client(api, token)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("github".into())
            .spawn(move || {
                // A sender that is gone is the same word.
                let _ = runtime.block_on(stopped);
                // A look-up of a name that hangs must not hold us.
                runtime.shutdown_background();
            })
            .map_err(|error| error.to_string())?;
        Ok(Self {
            crab,
            handle,
            under_way: Arc::default(),
            thread: Some((stop, thread)),
        })
    }

    /// Sends, and blocks until there is an answer. Any number of threads may at once.
    pub(super) fn exchange(&self, sent: Sent) -> Result<Received, Silence> {
        let (teller, told) = mpsc::channel();
        let crab = self.crab.clone();
        let task = self.handle.spawn(async move {
            let answer = match timeout(EXCHANGE_LIMIT, transmit(&crab, sent)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", EXCHANGE_LIMIT.as_secs())),
            };
            // The caller waits for it.
            let _ = teller.send(answer);
        });
        self.remember(task.abort_handle());
        match told.recv() {
            Ok(answer) => answer.map_err(Silence::Network),
            // The task is gone without a word.
            Err(mpsc::RecvError) => Err(Silence::Aborted),
        }
    }

    /// Ends what is still under way after a grace.
    pub(super) fn abort(&self) {
        let under_way = Arc::clone(&self.under_way);
        self.handle.spawn(async move {
            sleep(GRACE).await;
            for task in lock(&under_way).drain(..) {
                task.abort();
            }
        });
    }

    fn remember(&self, task: AbortHandle) {
        let mut under_way = lock(&self.under_way);
        under_way.retain(|task| !task.is_finished());
        under_way.push(task);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // It cannot have panicked: it only waits.
            let _ = thread.join();
        }
    }
}

fn client(api: &str, token: &Token) -> Result<Octocrab, String> {
    if let Some(proxy) = proxy_for(api) {
        return through(&proxy, api, token).map_err(|error| words(&*error));
    }
    direct(api, token).map_err(|error| words(&error))
}

fn direct(api: &str, token: &Token) -> octocrab::Result<Octocrab> {
    Octocrab::builder()
        .base_uri(api)?
        // It would hand the token to this one as well.
        .upload_uri(api)?
        .personal_token(token.expose().to_owned())
        .set_connect_timeout(Some(CONNECT_LIMIT))
        .set_read_timeout(Some(EXCHANGE_LIMIT))
        .set_write_timeout(Some(EXCHANGE_LIMIT))
        .build()
}

async fn transmit(crab: &Octocrab, sent: Sent) -> Result<Received, String> {
    let mut builder = http::Request::builder()
        .method(sent.verb.name())
        .uri(sent.url)
        .header(ACCEPT, MEDIA_TYPE);
    if let Some(etag) = sent.etag {
        builder = builder.header(IF_NONE_MATCH, etag);
    }
    let request = crab
        .build_request(builder, sent.body.as_ref())
        .map_err(|error| words(&error))?;
    let response = crab.execute(request).await.map_err(|error| words(&error))?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST_BODY)
        .collect()
        .await
        .map_err(|error| words(&*error))?
        .to_bytes();
    Ok(Received {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.to_vec(),
    })
}

/// The innermost cause, which alone is about the network: octocrab's own words end in a backtrace.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
