//! A server that says what a script has for each request, over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What is said to a request.
pub(super) enum Say {
    /// A status and JSON.
    Json(u16, Value),
    /// A status, headers and a text.
    Raw(u16, Vec<(&'static str, String)>, String),
    /// Nothing: the connection drops.
    Drop,
    /// Half of an answer, and then the connection drops.
    Half(String),
    /// Something else, once the sender is gone or says so.
    Held(Receiver<()>, Box<Say>),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// `GET /repos/octo/shop/issues/1`
    pub(super) line: String,
    /// In lower case, with their values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} was sent twice");
        Some(value)
    }
}

struct Script {
    /// Of equal requests, the first is answered first.
    steps: Vec<(String, Say)>,
    seen: Vec<Seen>,
    astray: Vec<String>,
}

pub(super) struct Server {
    pub(super) url: String,
    script: Arc<Mutex<Script>>,
    arrived: Mutex<Receiver<String>>,
}

impl Server {
    pub(super) fn start(steps: Vec<(&str, Say)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let steps = steps
            .into_iter()
            .map(|(line, say)| (line.to_owned(), say))
            .collect();
        let script = Arc::new(Mutex::new(Script {
            steps,
            seen: Vec::new(),
            astray: Vec::new(),
        }));
        let (teller, arrived) = channel();
        let shared = Arc::clone(&script);
        // Both kinds of threads end with the test's process at the latest.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = Arc::clone(&shared);
                let teller = teller.clone();
                thread::spawn(move || serve(stream, &script, &teller));
            }
        });
        Self {
            url,
            script,
            arrived: Mutex::new(arrived),
        }
    }

    /// Adds to the script.
    pub(super) fn then(&self, line: &str, say: Say) {
        self.script
            .lock()
            .unwrap()
            .steps
            .push((line.to_owned(), say));
    }

    /// Blocks until another request arrived, and says which.
    pub(super) fn arrival(&self) -> String {
        let arrived = self.arrived.lock().unwrap();
        arrived.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// All of the script was asked for, and nothing else.
    pub(super) fn finished(&self) {
        let script = self.script.lock().unwrap();
        let left: Vec<&String> = script.steps.iter().map(|(line, _)| line).collect();
        assert!(script.astray.is_empty(), "unexpected: {:?}", script.astray);
        assert!(left.is_empty(), "never asked: {left:?}");
    }
}

fn serve(stream: TcpStream, script: &Mutex<Script>, teller: &Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(seen) = read(&mut reader) {
        let line = seen.line.clone();
        let say = {
            let mut script = script.lock().unwrap();
            script.seen.push(seen);
            let step = script.steps.iter().position(|(known, _)| *known == line);
            if let Some(step) = step {
                script.steps.remove(step).1
            } else {
                script.astray.push(line.clone());
                Say::Json(418, json!({"message": "not in the script"}))
            }
        };
        // A test need not listen.
        let _ = teller.send(line);
        if !answer(&mut writer, say) {
            return;
        }
    }
}

/// `false` where the connection is to drop.
fn answer(writer: &mut TcpStream, say: Say) -> bool {
    let text = match say {
        Say::Json(status, body) => format(status, &[], &body.to_string()),
        Say::Raw(status, headers, body) => format(status, &headers, &body),
        Say::Drop => return false,
        Say::Half(body) => {
            let whole = format(200, &[], &body);
            // The other side may be gone, which is as well.
            let _ = writer.write_all(&whole.as_bytes()[..whole.len() - body.len() / 2]);
            return false;
        }
        Say::Held(gate, then) => {
            // Whether told or left alone, it goes on.
            let _ = gate.recv_timeout(Duration::from_secs(20));
            return answer(writer, *then);
        }
    };
    writer.write_all(text.as_bytes()).is_ok()
}

fn format(status: u16, headers: &[(&'static str, String)], body: &str) -> String {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!("HTTP/1.1 {status} Said\r\n{}", lines.concat());
    if status == 304 {
        return text + "\r\n";
    }
    text + &format!("content-length: {}\r\n\r\n{body}", body.len())
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let (line, _) = first.trim_end().rsplit_once(' ')?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        line: line.to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}
