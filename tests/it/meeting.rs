//! A place where gates meet: each says that it is there, and goes on when the test lets it. So a
//! test knows which gates run at the same time, without a clock. It refuses to wait for longer than
//! a minute.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::world::until;

/// How long somebody who must not come is waited for. Starting a gate takes a tenth of it.
const NOBODY: Duration = Duration::from_millis(400);

/// Where gates report.
pub(crate) struct Meeting(TcpListener);

/// A gate under way. It is gone if this is dropped, and exits with 9 then.
pub(crate) struct Guest {
    pub(crate) name: String,
    stream: TcpStream,
}

impl Guest {
    /// Lets the gate go on, to end with that exit code if its last commands do not.
    pub(crate) fn leaves(mut self, exit: i32) {
        writeln!(self.stream, "{exit}").unwrap();
        // Its end, so that the next one is started after it.
        let _ = BufReader::new(&self.stream).read_line(&mut String::new());
    }
}

impl Meeting {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// A gate of that name which does something, meets, and does something more.
    pub(crate) fn gate(&self, name: &str, before: &str, after: &str, keys: &str) -> String {
        let port = self.0.local_addr().unwrap().port();
        let script = format!(
            "set -e\n{before}\nexec 3<>/dev/tcp/127.0.0.1/{port}\necho {name} >&3\nexit=9\nread -r exit <&3\n{after}\nexit $exit\n"
        );
        // `sh` knows no /dev/tcp.
        let run = format!("bash -c {}", shlex::try_quote(&script).unwrap());
        format!(
            "{{ id: {name}, run: {}{keys} }}",
            serde_json::to_string(&run).unwrap()
        )
    }

    fn accepted(&self) -> Option<Guest> {
        let (stream, _) = self.0.accept().ok()?;
        stream.set_nonblocking(false).unwrap();
        let mut name = String::new();
        BufReader::new(&stream).read_line(&mut name).unwrap();
        Some(Guest {
            name: name.trim_end().to_owned(),
            stream,
        })
    }

    /// The next gate that comes.
    #[track_caller]
    pub(crate) fn next(&self) -> Guest {
        let mut guest = None;
        until("a gate comes", || {
            guest = self.accepted();
            guest.is_some()
        });
        guest.unwrap()
    }

    /// So many gates, all at the same time, by name.
    #[track_caller]
    pub(crate) fn gather(&self, count: usize) -> Vec<Guest> {
        let mut guests: Vec<Guest> = (0..count).map(|_| self.next()).collect();
        guests.sort_by(|one, other| one.name.cmp(&other.name));
        guests
    }

    /// That no other gate comes while those here are under way.
    #[track_caller]
    pub(crate) fn is_complete(&self) {
        std::thread::park_timeout(NOBODY);
        assert_eq!(self.accepted().map(|guest| guest.name), None);
    }
}

/// The names of gates.
pub(crate) fn names(guests: &[Guest]) -> Vec<&str> {
    guests.iter().map(|guest| guest.name.as_str()).collect()
}
