//! Many threads with the same credentials: whoever is refused does not renew what another has renewed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use mlv::model::secret::Secret;
use mlv::remote::backend::{Backend, Situation};
use mlv::remote::registry::{RemoteSpec, SpecOption};
use serde_json::json;

use crate::support::http::{Answer, Request, forward, serve};
use crate::support::servers::Moto;

/// Threads that ask at once.
const THREADS: usize = 8;

/// Refuses the next requests of all threads together, when it is told to.
struct Gate {
    is_closed: AtomicBool,
    refused: AtomicUsize,
    together: Barrier,
}

impl Gate {
    fn new() -> Arc<Gate> {
        let (is_closed, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Gate { is_closed, refused, together: Barrier::new(THREADS) })
    }

    fn close(&self) {
        self.refused.store(0, Ordering::SeqCst);
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Whether to refuse this request: all threads wait for each other, so that each was made with the
    /// same credentials.
    fn refuses(&self) -> bool {
        if !self.is_closed.load(Ordering::SeqCst) || self.refused.fetch_add(1, Ordering::SeqCst) >= THREADS {
            return false;
        }
        self.together.wait();
        true
    }
}

fn lists(backend: &dyn Backend) -> Vec<Option<Situation>> {
    let list = || backend.list("pk/", &mut |_| std::ops::ControlFlow::Continue(()));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..THREADS).map(|_| scope.spawn(list)).collect();
        let outcomes = asked.into_iter().map(|thread| thread.join().expect("no thread panics"));
        outcomes.map(|outcome| outcome.err().map(|error| error.situation)).collect()
    })
}

// N1: eight threads whose token has ended run one command, and ask one endpoint.
#[test]
fn one_thread_renews_for_all() {
    let Some(moto) = Moto::start() else { return };
    let gate = Gate::new();
    let (port, at) = (moto.server.port, Arc::clone(&gate));
    let url = serve(move |request: &Request| {
        if at.refuses() {
            let text =
                "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
            return Answer::with("400 Bad Request", text);
        }
        forward(port, request)
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let keys = &moto.users[0];
    let printed = json!({ "Version": 1, "AccessKeyId": keys.id, "SecretAccessKey": keys.secret });
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("written");
    write("print", format!("echo ran >> '{}'\nsleep 0.1\ncat <<'END'\n{printed}\nEND\n", file("runs")));
    write("config", format!("[profile ml]\ncredential_process = sh '{}'\n", file("print")));
    let runs = || std::fs::read_to_string(file("runs")).expect("it ran").lines().count();
    let options = [("endpointurl", url), ("profile", "ml".to_owned()), ("configpath", file("config"))].map(
        |(name, value)| SpecOption { name: name.to_owned(), value: Secret::new(value), is_tracked: false },
    );
    let spec = RemoteSpec {
        name: "store".to_owned(),
        url: "s3://data".to_owned(),
        is_url_tracked: false,
        options: options.into(),
    };
    let backend = spec.open(Path::new("/")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lists(&*backend), [None; THREADS]);
    assert_eq!(runs(), 1, "the first keys");
    gate.close();
    assert_eq!(lists(&*backend), [None; THREADS]);
    assert_eq!(runs(), 2, "one renewal for {THREADS} threads");
    // That it failed is told to all who waited for it.
    write("print", format!("echo ran >> '{}'\nsleep 0.5\nexit 3\n", file("runs")));
    gate.close();
    assert_eq!(lists(&*backend), [Some(Situation::CredentialsMissing); THREADS]);
    assert!(runs() < 2 + THREADS, "not everyone tries again what just failed: {}", runs());
}
