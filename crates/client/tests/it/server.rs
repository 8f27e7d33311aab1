//! A server that notes what it is asked, and answers what it was told to, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use bugle_api::{Problem, ProblemCode};
use bugle_client::Client;
use tokio::net::TcpListener;

/// A call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, as sent.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Debug, Default)]
struct Shared {
    calls: Vec<Call>,
    answers: VecDeque<Response>,
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    shared: Arc<Mutex<Shared>>,
    url: String,
}

impl Server {
    /// Answers these in order, and after that that there is nothing.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Response>) -> Self {
        let shared = Shared { answers: answers.into_iter().collect(), calls: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, "secret").expect("an address")
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().expect("nobody panics with it").calls.clone()
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1024 * 1024).await.expect("a short body");
    let path = parts.uri.path_and_query().expect("a path").to_string();
    let call = Call { method: parts.method, path, headers: parts.headers, body: String::from_utf8_lossy(&body).into() };
    let mut shared = shared.lock().expect("nobody panics with it");
    shared.calls.push(call);
    shared.answers.pop_front().unwrap_or_else(|| problem(ProblemCode::NotFound, "nothing"))
}

pub(crate) fn problem(code: ProblemCode, detail: &str) -> Response {
    let body = serde_json::to_string(&Problem::new(code, detail)).expect("a problem is JSON");
    let headers = [("content-type", Problem::CONTENT_TYPE), ("retry-after", "1")];
    let status = axum::http::StatusCode::from_u16(code.status()).expect("a status");
    (status, headers, body).into_response()
}

/// A stream of server-sent events that ends when its parts are at an end.
pub(crate) fn events(parts: impl IntoIterator<Item = &'static str> + Send + 'static) -> Response {
    let parts: Vec<Result<&str, std::io::Error>> = parts.into_iter().map(Ok).collect();
    let body = Body::from_stream(tokio_stream::iter(parts));
    ([("content-type", "text/event-stream")], body).into_response()
}
