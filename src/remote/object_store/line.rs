//! The HTTP line under every object store: what `object_store` asks goes out here.
//!
//! A line of our own, because three things are decided nowhere else: a transfer is given up
//! when it stalls, however long it is (N1); every answer carries the store's clock (R22); and
//! a refusal is read once, here, where its code is known (R9).

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use tokio::time::Sleep;

use super::refusal::{Broken, Refusal};
use crate::remote::credentials::{read_file, variable};

/// The most of an error's text that is read, in bytes.
const MAX_ERROR: usize = 64 << 10;

/// A file of certificates, as PEM, and who names it.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    pub(super) named_by: &'static str,
    pub(super) file: String,
}

/// Certificates that cannot be used.
#[derive(Debug)]
pub(super) struct BadBundle {
    pub(super) bundle: Bundle,
    pub(super) reason: String,
}

impl Bundle {
    fn read(&self) -> Result<Vec<reqwest::Certificate>, BadBundle> {
        let bad = |reason: String| BadBundle { bundle: self.clone(), reason };
        let text = match read_file(std::path::Path::new(&self.file)) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(bad("there is no such file".to_owned())),
            Err(error) => return Err(bad(error.to_string())),
        };
        match reqwest::Certificate::from_pem_bundle(text.as_bytes()) {
            Ok(certificates) if certificates.is_empty() => Err(bad("it holds no certificate".to_owned())),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(bad(Broken::of_reqwest(error).to_string())),
        }
    }
}

/// How a line is made.
#[derive(Clone, Debug)]
pub(super) struct LineOptions {
    /// Until a connection attempt is given up.
    pub(super) connect: Duration,
    /// Until a transfer without a byte is given up.
    pub(super) stall: Duration,
    /// Whether certificates are checked.
    pub(super) verify: bool,
    /// Authorities that are trusted besides the system's.
    pub(super) bundle: Option<Bundle>,
    /// Whether redirections are followed: to the same scheme, or from HTTP to HTTPS.
    pub(super) follow: bool,
    /// Whether the proxies that the environment names are used.
    pub(super) proxy: bool,
}

impl Default for LineOptions {
    fn default() -> LineOptions {
        LineOptions {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            verify: true,
            bundle: None,
            follow: false,
            proxy: true,
        }
    }
}

/// Marks a request of which one bit of the body is to arrive changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChangedOnTheWay;

/// Goes with a request to count how much of its body has gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Gone(Arc<AtomicU64>);

impl Gone {
    pub(super) fn restart(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The HTTP client of one remote. Clones share connections and clock.
#[derive(Clone, Debug)]
pub(super) struct Line {
    client: reqwest::Client,
    clock: Arc<Mutex<Option<(SystemTime, Instant)>>>,
    stall: Duration,
}

impl Line {
    /// A line that opens its first connection with its first request.
    pub(super) fn new(options: &LineOptions) -> Result<Line, BadBundle> {
        // Fails if there is one already, which is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let more = options.bundle.as_ref().map_or(Ok(Vec::new()), Bundle::read)?;
        let environment = variable("SSL_CERT_FILE").map(|file| Bundle { named_by: "SSL_CERT_FILE", file });
        // Where others are named beside it, the client would be built without it.
        environment.as_ref().map(Bundle::read).transpose()?;
        let client = match client_of(options).tls_certs_merge(more).build() {
            Ok(client) => client,
            Err(error) => {
                if let Some(bundle) = options.bundle.clone().or(environment) {
                    let reason = Broken::of_reqwest(error).to_string();
                    return Err(BadBundle { bundle, reason });
                }
                // A machine without any authority: what needs none goes on, HTTPS is refused.
                let system = || Bundle { named_by: "the system", file: String::new() };
                let unusable =
                    |error| BadBundle { bundle: system(), reason: Broken::of_reqwest(error).to_string() };
                client_of(options).tls_certs_only([]).build().map_err(unusable)?
            }
        };
        Ok(Line { client, clock: Arc::default(), stall: options.stall })
    }

    /// The time by the store's clock, if it has answered yet; it goes on by this machine's
    /// monotonic clock, which does not jump.
    pub(super) fn store_time(&self) -> Option<SystemTime> {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.map(|(time, at)| time + at.elapsed())
    }

    fn learn_time(&self, headers: &reqwest::header::HeaderMap) {
        let date = headers.get(reqwest::header::DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok());
        if let Some(date) = date {
            let time = SystemTime::from(date);
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, Instant::now()));
        }
    }

    /// Sends one request; a refusal is an error.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Broken> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string().parse().map_err(|_| Broken::Nonsense("the URL cannot be sent"))?;
        let progress = Arc::new(Progress::new());
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        let is_changed = parts.extensions.get::<ChangedOnTheWay>().is_some();
        let gone = parts.extensions.get::<Gone>().cloned().unwrap_or_default();
        let sending = Sending { body, progress: Arc::clone(&progress), is_changed, gone };
        *request.body_mut() = Some(reqwest::Body::wrap(sending));
        let answer = unless_stalled(&progress, self.stall, self.client.execute(request)).await?;
        let response: http::Response<reqwest::Body> = answer.map_err(Broken::of_reqwest)?.into();
        self.learn_time(response.headers());
        Ok(response.map(|body| HttpResponseBody::new(Receiving::new(body, self.stall))))
    }
}

fn client_of(options: &LineOptions) -> reqwest::ClientBuilder {
    let redirects = match options.follow {
        true => reqwest::redirect::Policy::custom(follow),
        false => reqwest::redirect::Policy::none(),
    };
    let builder = reqwest::Client::builder()
        .connect_timeout(options.connect)
        .redirect(redirects)
        .http1_only()
        .tcp_nodelay(true)
        .user_agent(concat!("mlv/", env!("CARGO_PKG_VERSION")))
        .tls_danger_accept_invalid_certs(!options.verify);
    if options.proxy { builder } else { builder.no_proxy() }
}

/// Where an answer may send a reader on: to the same or a safer scheme, a few times.
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let leaves_tls = attempt
        .previous()
        .last()
        .is_some_and(|from| from.scheme() == "https" && attempt.url().scheme() != "https");
    if leaves_tls || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
}

#[async_trait]
impl HttpService for Line {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.send(request).await.map_err(http_error)?;
        let status = response.status().as_u16();
        // What `object_store` has an error of its own for, and no text says more.
        if response.status().is_success() || matches!(status, 304 | 412 | 416) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body =
            Limited::new(body, MAX_ERROR).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let refusal = Refusal::new(status, &parts.headers, &body);
        if refusal.is_plain() {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        Err(http_error(Broken::Refused(refusal)))
    }
}

impl HttpConnector for Line {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// `Unknown` is what `object_store` never repeats: the one way to repeat is our own.
fn http_error(broken: Broken) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, broken)
}

/// When a byte moved last.
#[derive(Debug)]
struct Progress {
    start: Instant,
    moved: AtomicU64,
}

impl Progress {
    fn new() -> Progress {
        Progress { start: Instant::now(), moved: AtomicU64::new(0) }
    }

    fn tick(&self) {
        self.moved.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.moved.load(Ordering::Relaxed)))
    }
}

async fn unless_stalled<T>(
    progress: &Progress,
    stall: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Broken> {
    let mut work = std::pin::pin!(work.fuse());
    loop {
        let left = stall.saturating_sub(progress.idle());
        if left.is_zero() {
            return Err(Broken::Stalled);
        }
        if let Ok(done) = tokio::time::timeout(left, work.as_mut()).await {
            return Ok(done);
        }
    }
}

/// A request's body that tells when it moves.
struct Sending {
    body: HttpRequestBody,
    progress: Arc<Progress>,
    is_changed: bool,
    gone: Gone,
}

/// `piece` with one bit changed.
fn changed(piece: &Bytes) -> Bytes {
    let mut bytes = piece.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    bytes.into()
}

impl Body for Sending {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.progress.tick();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let taken = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.gone.0.fetch_add(taken.map_or(0, |piece| piece.len() as u64), Ordering::Relaxed);
        if std::mem::take(&mut self.is_changed) {
            return Poll::Ready(
                frame.map(|frame| frame.map(|frame| frame.map_data(|piece| changed(&piece)))),
            );
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Exact, so that the length is announced: S3 takes no body without one.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.content_length() as u64)
    }
}

/// An answer's body that breaks off when it stalls.
struct Receiving {
    body: reqwest::Body,
    stall: Duration,
    patience: Pin<Box<Sleep>>,
}

impl Receiving {
    fn new(body: reqwest::Body, stall: Duration) -> Receiving {
        Receiving { body, stall, patience: Box::pin(tokio::time::sleep(stall)) }
    }
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let next = tokio::time::Instant::now() + self.stall;
            self.patience.as_mut().reset(next);
            let frame = frame.map(|frame| frame.map_err(|error| http_error(Broken::of_reqwest(error))));
            return Poll::Ready(frame);
        }
        ready!(self.patience.as_mut().poll(context));
        Poll::Ready(Some(Err(http_error(Broken::Stalled))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
