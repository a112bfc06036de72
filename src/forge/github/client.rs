//! Talks to one API: asks again where that may help, waits where it must, follows what may be
//! followed, and says what it does.
//!
//! What is decided is decided by [`limits`](super::limits) and [`pace`](super::pace); this module
//! carries it out. The token goes to the API's own host and nowhere else.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{DATE, ETAG, HeaderValue};
use http::uri::Uri;
use serde_json::Value;

use super::answer::{Answer, limits, told};
use super::limits::{Heard, Limit, Moment, Next, Patience, Verb};
use super::origin::Origin;
use super::pace::Pace;
use super::proxy::proxy_remedy;
use super::refusal::{Asker, Refusal};
use super::time::Time;
use super::wire::{Sent, Silence, Wire};
use crate::forge::{ForgeError, Listener, Notice};
use crate::report::untrusted::one_line;

/// So many answers are kept for conditional requests.
const MOST_KEPT: usize = 64;

/// A longer one is fetched again: memory is dearer.
const LONGEST_KEPT: usize = 256 * 1024;

/// So many redirects are followed.
const MOST_HOPS: u32 = 5;

/// A shorter pause is not worth a line.
const SHORTEST_TOLD: Duration = Duration::from_secs(1);

/// One thing to ask.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) verb: Verb,
    /// Path and query, below the API's address.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// A phrase that follows "to".
    pub(super) what: String,
}

impl Call {
    pub(super) fn get(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            verb: Verb::Get,
            path: path.into(),
            body: None,
            what: what.into(),
        }
    }

    pub(super) fn post(path: impl Into<String>, body: Value, what: impl Into<String>) -> Self {
        Self {
            verb: Verb::Post,
            path: path.into(),
            body: Some(body),
            what: what.into(),
        }
    }

    pub(super) fn patch(path: impl Into<String>, body: Value, what: impl Into<String>) -> Self {
        Self {
            verb: Verb::Patch,
            ..Self::post(path, body, what)
        }
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// An answer.
    Answered(Answer),
    /// None, to something that creates: see whether it is there before it is sent again.
    Lost,
}

/// A connection to one API.
pub(super) struct Client {
    wire: Wire,
    asker: Asker,
    origin: Origin,
    time: Arc<dyn Time>,
    throttle: Mutex<Throttle>,
    kept: Mutex<HashMap<String, (HeaderValue, Answer)>>,
    audience: Mutex<Audience>,
}

/// Who hears of what is done.
enum Audience {
    /// Nobody yet: what was asked before there is a log is kept for it.
    ToCome(Vec<Notice>),
    Here(Arc<Listener>),
}

#[derive(Debug, Default)]
struct Throttle {
    pace: Pace,
    /// Nobody asks anything before.
    closed_until: Moment,
}

impl Client {
    pub(super) fn new(api: &str, asker: Asker, time: Arc<dyn Time>) -> Result<Self, ForgeError> {
        let unusable = |reason: String| ForgeError::Refused {
            what: format!("use the API at {}", one_line(api)),
            status: 0,
            reason,
            remedy: "set GITHUB_API_URL to an address like https://api.github.com".to_owned(),
        };
        let origin = Origin::parse(api).map_err(unusable)?;
        let wire = Wire::start(api, &asker.token).map_err(no_certificates)?;
        Ok(Self {
            wire,
            asker,
            origin,
            time,
            throttle: Mutex::default(),
            kept: Mutex::default(),
            audience: Mutex::new(Audience::ToCome(Vec::new())),
        })
    }

    pub(super) fn listen(&self, listener: Listener) {
        let audience = Audience::Here(Arc::new(listener));
        let before = mem::replace(&mut *lock(&self.audience), audience);
        if let Audience::ToCome(notices) = before {
            for notice in notices {
                self.report(notice);
            }
        }
    }

    pub(super) fn interrupt(&self) {
        self.time.interrupt();
        self.wire.abort();
    }

    /// Tells the listener a line.
    pub(super) fn tell(&self, line: &str) {
        self.report(Notice::Line(line.to_owned()));
    }

    fn report(&self, notice: Notice) {
        let listener = match &mut *lock(&self.audience) {
            Audience::ToCome(before) => return before.push(notice),
            Audience::Here(listener) => Arc::clone(listener),
        };
        // Not under the lock, since it may take its time.
        listener(&notice);
    }

    /// Asks what may be asked again; any answer that is no success is an error.
    pub(super) fn ask(&self, call: &Call) -> Result<Answer, ForgeError> {
        self.accept(call, self.ask_loosely(call)?)
    }

    /// Asks what may be asked again.
    pub(super) fn ask_loosely(&self, call: &Call) -> Result<Answer, ForgeError> {
        let mut patience = Patience::default();
        loop {
            if let Attempt::Answered(answer) = self.attempt(call, &mut patience)? {
                return Ok(answer);
            }
        }
    }

    /// Asks once, and waits for nothing but the answer: for those who want to know how things are.
    pub(super) fn glance(&self, call: &Call) -> Result<Answer, ForgeError> {
        let answer = self.exchange(call)?;
        answer.map_err(|reason| ForgeError::Unreachable { reason })
    }

    /// When it may be asked again, where the answer is that there were too many requests.
    pub(super) fn closed_until(&self, answer: &Answer) -> Option<Moment> {
        match Patience::default().next(answer.heard(), 0.0, self.time.now()) {
            Next::Wait { until, .. } | Next::GiveUp { until: Some(until) } => Some(until),
            Next::Done | Next::Retry { .. } | Next::GiveUp { until: None } => None,
        }
    }

    /// How far this machine's clock is ahead of the server's, in seconds.
    pub(super) fn clock_ahead(&self, answer: &Answer) -> Option<i64> {
        let theirs = answer.headers.get(DATE)?.to_str().ok()?;
        let theirs = jiff::fmt::rfc2822::parse(theirs).ok()?.timestamp();
        let ours = i64::try_from(self.time.now().as_secs()).ok()?;
        Some(ours - theirs.as_second())
    }

    /// The path and query of the next page of a list, where there is one.
    pub(super) fn next_page(
        &self,
        call: &Call,
        answer: &Answer,
    ) -> Result<Option<String>, ForgeError> {
        match answer.next_link() {
            None => Ok(None),
            // A part of a list is not the list.
            Some(url) => match self.origin.path_here(url) {
                Some(path) => Ok(Some(path)),
                None => Err(self.elsewhere(call, url)),
            },
        }
    }

    /// The answer, where it is a success.
    pub(super) fn accept(&self, call: &Call, answer: Answer) -> Result<Answer, ForgeError> {
        if answer.is_success() {
            return Ok(answer);
        }
        Err(self.refusal(call, &answer))
    }

    pub(super) fn refusal(&self, call: &Call, answer: &Answer) -> ForgeError {
        Refusal::of(answer).error(&call.what, &self.asker)
    }

    /// What to do about an answer that is no success.
    pub(super) fn remedy(&self, answer: &Answer) -> String {
        Refusal::of(answer).remedy(&self.asker)
    }

    /// Whether the token is one of a person, for whom GitHub says what they may do.
    pub(super) fn is_of_person(&self) -> bool {
        !self.asker.token.is_of_app()
    }

    /// Asks until there is an answer, or until it must be seen first whether there was one.
    pub(super) fn attempt(
        &self,
        call: &Call,
        patience: &mut Patience,
    ) -> Result<Attempt, ForgeError> {
        loop {
            self.take_turn(call)?;
            let outcome = self.exchange(call)?;
            let heard = match &outcome {
                Ok(answer) => answer.heard(),
                Err(_) => Heard::Nothing,
            };
            match (
                patience.next(heard, self.time.chance(), self.time.now()),
                outcome,
            ) {
                (Next::Done, Ok(answer)) => return Ok(Attempt::Answered(answer)),
                (Next::Wait { until, why }, _) => self.close(until, why),
                (Next::Retry { after }, _) => {
                    if after > SHORTEST_TOLD {
                        self.tell(&format!("asking again in {:.0} s", after.as_secs_f64()));
                    }
                    self.wait(self.time.now() + after)?;
                    if !call.verb.is_repeatable() {
                        return Ok(Attempt::Lost);
                    }
                }
                (Next::GiveUp { until: Some(until) }, _) => {
                    let until = i64::try_from(until.as_secs()).ok();
                    return Err(ForgeError::Limited { until });
                }
                (_, Ok(answer)) => return Err(self.refusal(call, &answer)),
                (_, Err(reason)) => return Err(ForgeError::Unreachable { reason }),
            }
        }
    }

    /// Waits until this call may be made.
    fn take_turn(&self, call: &Call) -> Result<(), ForgeError> {
        let now = self.time.now();
        let turn = match call.verb {
            Verb::Get => now,
            Verb::Patch | Verb::Post => lock(&self.throttle).pace.turn(now),
        };
        let wait = turn.saturating_sub(now);
        if wait > SHORTEST_TOLD {
            let wait = wait.as_secs_f64();
            self.tell(&format!("not to create too fast, waiting {wait:.0} s"));
        }
        self.wait(turn)?;
        loop {
            let closed_until = lock(&self.throttle).closed_until;
            self.wait(closed_until)?;
            // It may have been closed for longer meanwhile.
            if lock(&self.throttle).closed_until <= closed_until {
                return Ok(());
            }
        }
    }

    fn wait(&self, until: Moment) -> Result<(), ForgeError> {
        if self.time.wait(until) {
            Ok(())
        } else {
            Err(ForgeError::Interrupted)
        }
    }

    /// Keeps everybody from asking until then.
    fn close(&self, until: Moment, why: Limit) {
        {
            let mut throttle = lock(&self.throttle);
            throttle.closed_until = throttle.closed_until.max(until);
            if why == Limit::Secondary {
                throttle.pace.warn(self.time.now());
            }
        }
        let line = format!("{}, waiting until {}", why.sentence(), clock(until));
        self.tell(&line);
    }

    /// One answer: redirects on the same host followed, known content taken from memory. What
    /// is no answer comes with its reason.
    fn exchange(&self, call: &Call) -> Result<Result<Answer, String>, ForgeError> {
        let mut path = call.path.clone();
        for _ in 0..MOST_HOPS {
            let answer = match self.exchange_once(call, &path)? {
                Ok(answer) => answer,
                Err(reason) => return Ok(Err(reason)),
            };
            let follows = match answer.status {
                301 | 302 => call.verb == Verb::Get,
                307 | 308 => true,
                _ => false,
            };
            if !follows {
                return Ok(Ok(answer));
            }
            let location = answer.location();
            path = match self.origin.path_here(location) {
                Some(path) => path,
                None => return Err(self.elsewhere(call, location)),
            };
        }
        Err(self.astray(call, "it redirects in a circle".to_owned()))
    }

    fn elsewhere(&self, call: &Call, url: &str) -> ForgeError {
        let uri = url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or("no host");
        let reason = format!("it points to {host}, which does not get the token");
        self.astray(call, reason)
    }

    fn astray(&self, call: &Call, reason: String) -> ForgeError {
        ForgeError::Refused {
            what: call.what.clone(),
            status: 0,
            reason,
            remedy: format!(
                "check that the remote and GITHUB_API_URL name the API that knows {}",
                self.asker.repository
            ),
        }
    }

    fn exchange_once(&self, call: &Call, path: &str) -> Result<Result<Answer, String>, ForgeError> {
        if self.time.is_interrupted() {
            return Err(ForgeError::Interrupted);
        }
        let known = match call.verb {
            Verb::Get => lock(&self.kept).get(path).cloned(),
            Verb::Patch | Verb::Post => None,
        };
        let (etag, known) = known.unzip();
        let began = self.time.now();
        let outcome = self.wire.exchange(Sent {
            verb: call.verb,
            url: self.origin.url(path),
            body: call.body.clone(),
            etag,
        });
        let took = self.time.now().saturating_sub(began).as_secs_f64();
        let asked = format!("{} {path}", call.verb.name());
        let received = match outcome {
            Ok(received) => received,
            Err(Silence::Aborted) => return Err(ForgeError::Interrupted),
            Err(Silence::Network(reason)) => {
                self.tell(&format!("{asked} failed: {reason} ({took:.2} s)"));
                if reason.contains("certificate") {
                    return Err(no_certificates(reason));
                }
                if let Some(remedy) = proxy_remedy(&reason) {
                    return Err(insecure(reason, remedy));
                }
                return Ok(Err(reason));
            }
        };
        self.tell(&format!(
            "{asked} {}",
            told(received.status, &received.headers, took)
        ));
        let limits = limits(&received.headers);
        if let (Some(remaining), Some(reset)) = (limits.remaining, limits.reset) {
            let reset = i64::try_from(reset).unwrap_or(i64::MAX);
            self.report(Notice::Allowance { remaining, reset });
        }
        if let (304, Some(answer)) = (received.status, known) {
            return Ok(Ok(answer));
        }
        let size = received.body.len();
        let answer = Answer::read(received);
        if let Ok(answer) = &answer
            && size <= LONGEST_KEPT
        {
            self.keep(call, path, answer);
        }
        Ok(answer)
    }

    fn keep(&self, call: &Call, path: &str, answer: &Answer) {
        let etag = answer.headers.get(ETAG);
        if let (Verb::Get, 200, Some(etag)) = (call.verb, answer.status, etag) {
            let mut kept = lock(&self.kept);
            if kept.len() >= MOST_KEPT {
                kept.clear();
            }
            kept.insert(path.to_owned(), (etag.clone(), answer.clone()));
        }
    }
}

/// TLS cannot be had, now or in two minutes.
fn no_certificates(reason: String) -> ForgeError {
    insecure(
        reason,
        "install the system's CA certificates, or name a file of them in SSL_CERT_FILE",
    )
}

fn insecure(reason: String, remedy: &str) -> ForgeError {
    ForgeError::Refused {
        what: "make a secure connection".to_owned(),
        status: 0,
        reason,
        remedy: remedy.to_owned(),
    }
}

/// `12:05:00Z`
fn clock(moment: Moment) -> String {
    i64::try_from(moment.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "later".to_owned(),
            |time| time.strftime("%H:%M:%SZ").to_string(),
        )
}

/// What it guards is whole at all times.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
