//! A TCP proxy that loses connections: cut after so many bytes in one direction, reset, delayed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Rng;

/// A proxy on the loopback; ends with this handle.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    harmed: AtomicU64,
}

/// What becomes of a connection.
#[derive(Clone, Copy)]
enum Fate {
    Whole,
    /// Nothing is answered.
    Reset,
    /// Cut after so many bytes of the request, or of the answer.
    Cut {
        request: u64,
        answer: u64,
    },
    /// The first byte comes late.
    Late,
}

impl Proxy {
    /// Forwards to `port`; about one connection in four is harmed.
    pub(crate) fn start(port: u16, mut random: Rng) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.is_over.load(Ordering::Relaxed) {
                    break;
                }
                let bytes = random.below(60_000) as u64;
                let fate = match random.below(16) {
                    0 => Fate::Reset,
                    1 => Fate::Cut { request: bytes, answer: u64::MAX },
                    2 => Fate::Cut { request: u64::MAX, answer: bytes },
                    3 => Fate::Late,
                    _ => Fate::Whole,
                };
                if !matches!(fate, Fate::Whole) {
                    state.harmed.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::spawn(move || forward(client, port, fate));
            }
        });
        Proxy { port: own, shared }
    }

    /// Connections that were harmed so far.
    pub(crate) fn harmed(&self) -> u64 {
        self.shared.harmed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn forward(client: TcpStream, port: u16, fate: Fate) {
    let (request, answer) = match fate {
        Fate::Reset => return,
        Fate::Cut { request, answer } => (request, answer),
        Fate::Late => {
            std::thread::sleep(Duration::from_millis(300));
            (u64::MAX, u64::MAX)
        }
        Fate::Whole => (u64::MAX, u64::MAX),
    };
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let up = std::thread::spawn(move || copy(from, to, request));
    copy(server, client, answer);
    let _ = up.join();
}

/// Copies until the end or the limit, then cuts both directions.
fn copy(mut from: TcpStream, mut to: TcpStream, limit: u64) {
    let mut buffer = [0; 16 << 10];
    let mut left = limit;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        left -= count as u64;
        if to.write_all(&buffer[..count]).is_err() || left == 0 {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
