//! The way to an API through the proxy that the environment names for curl and git.
//!
//! Always a tunnel: the proxy learns the API's host, and neither the token nor what is asked. So
//! an API without TLS is talked to directly.

use std::error::Error;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http::uri::{Scheme, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioExecutor;
use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};

use super::token::Token;
use super::wire::CONNECT_LIMIT;

/// What `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say of an API.
pub(super) fn proxy_for(api: &str) -> Option<Intercept> {
    let api: Uri = api.parse().ok()?;
    let is_secure = api.scheme() == Some(&Scheme::HTTPS);
    is_secure
        .then(|| Matcher::from_env().intercept(&api))
        .flatten()
}

/// What to do about a proxy's refusal that stays one, however often it is asked.
pub(super) fn proxy_remedy(reason: &str) -> Option<&'static str> {
    if reason.contains("proxy authorization required") {
        return Some("name a user and a password in HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT");
    }
    reason.contains("unsupported scheme socks").then_some(
        "name a proxy of HTTP in HTTPS_PROXY, or the API's host in NO_PROXY to do without one",
    )
}

/// A client that reaches the API through a proxy. Octocrab's own has no place for one, so its
/// layers are put together here, as it does.
pub(super) fn through(
    proxy: &Intercept,
    api: &str,
    token: &Token,
) -> Result<Octocrab, Box<dyn Error + Send + Sync>> {
    let secured = || HttpsConnectorBuilder::new().with_native_roots();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_LIMIT));
    // The proxy itself may be one with TLS.
    let to_proxy = secured()?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
    if let Some(password) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(password.clone());
    }
    let to_api = secured()?
        .https_only()
        .enable_http1()
        .wrap_connector(tunnel);
    let client = Client::builder(TokioExecutor::new()).build::<_, OctoBody>(to_api);

    let api: Uri = api.parse()?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))?;
    bearer.set_sensitive(true);
    let named: (HeaderName, _) = (USER_AGENT, HeaderValue::from_static("octocrab"));
    let crab = OctocrabBuilder::new_empty()
        .with_service(client)
        .with_layer(&ExtraHeadersLayer::new(Arc::new(vec![named])))
        .with_layer(&BaseUriLayer::new(api.clone()))
        .with_layer(&AuthHeaderLayer::new(Some(bearer), api.clone(), api))
        .with_auth(AuthState::None)
        .build()?;
    Ok(crab)
}
