//! Services of the machine outside a room, each of which writes down who spoke to it.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Who was heard, by name.
type Heard = Arc<Mutex<BTreeSet<String>>>;

pub(super) struct Services {
    heard: Heard,
    described: Map<String, Value>,
    memory: Memory,
    left: Vec<PathBuf>,
    over: Arc<AtomicBool>,
}

/// What processes share by number.
struct Memory {
    key: i32,
    shared: i32,
    removed: i32,
    queue: i32,
    semaphore: i32,
    messages: CString,
    at: usize,
    file: PathBuf,
}

impl Services {
    /// Starts all of them: sockets in `dir`, which is made.
    pub(super) fn start(dir: &Path, nonce: &str, secret: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let heard = Heard::default();
        let over = Arc::new(AtomicBool::new(false));
        for name in ["docker.sock", "agent.1"] {
            listen(UnixListener::bind(dir.join(name)).unwrap(), &heard);
        }
        // Many a service binds a name of its own first, and gives it the known one when it is
        // ready.
        listen(UnixListener::bind(dir.join("renamed.new")).unwrap(), &heard);
        std::fs::rename(dir.join("renamed.new"), dir.join("renamed")).unwrap();
        listen(UnixListener::bind(dir.join("first")).unwrap(), &heard);
        std::fs::hard_link(dir.join("first"), dir.join("second")).unwrap();
        listen(bind_here(dir.to_owned(), "relative"), &heard);
        let in_tmp = Path::new("/tmp").join(format!("{nonce}.sock"));
        listen(UnixListener::bind(&in_tmp).unwrap(), &heard);
        receive(UnixDatagram::bind(dir.join("bus")).unwrap(), &heard);
        let name =
            |suffix: &str| SocketAddr::from_abstract_name(format!("{nonce}{suffix}")).unwrap();
        listen(UnixListener::bind_addr(&name("")).unwrap(), &heard);
        receive(
            UnixDatagram::bind_addr(&name("-datagrams")).unwrap(),
            &heard,
        );
        late(dir.to_owned(), Arc::clone(&heard), Arc::clone(&over));
        pipe(&dir.join("pipe"), &heard);
        let terminal = terminal(&heard);

        let tcp = |address: &str| TcpListener::bind((address, 0));
        let (near, all) = (tcp("127.0.0.1").unwrap(), tcp("0.0.0.0").unwrap());
        let six = tcp("::1").ok();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect("192.0.2.1:9")?;
            Ok(socket.local_addr()?.ip().to_string())
        });
        let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap();
        let interfaces: Vec<&str> = interfaces
            .lines()
            .skip(2)
            .filter_map(|line| Some(line.split_once(':')?.0.trim()))
            .collect();
        let tmp_secret = Path::new("/tmp").join(format!("{nonce}-secret"));
        std::fs::write(&tmp_secret, secret).unwrap();
        let memory = Memory::new(nonce, secret);
        let described = json!({
            "sockets": dir, "tmp_socket": in_tmp, "abstract": nonce, "terminal": terminal, "tmp_secret": tmp_secret,
            "tcp": port(&near), "tcp_all": port(&all), "tcp6": six.as_ref().map(port),
            "udp": udp.local_addr().unwrap().port(), "address": address.as_ref().ok(), "routes": address.is_ok(),
            "interfaces": interfaces, "shm": key(nonce), "queue": format!("omk-{nonce}"), "dev_shm": nonce,
        });
        for listener in [Some(near), Some(all), six].into_iter().flatten() {
            accept(listener, &heard);
        }
        let of_udp = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut text = [0; 512];
            while let Ok(length) = udp.recv(&mut text) {
                note(&of_udp, &text[..length]);
            }
        });
        let Value::Object(described) = described else {
            panic!("it is an object")
        };
        Self {
            heard,
            described,
            memory,
            left: vec![in_tmp, tmp_secret],
            over,
        }
    }

    /// Where they are.
    pub(super) fn described(&self) -> Map<String, Value> {
        self.described.clone()
    }

    /// Whether one of them heard that name.
    pub(super) fn heard(&self, name: &str) -> bool {
        self.memory.listen(&self.heard);
        self.heard.lock().unwrap().contains(name)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for path in &self.left {
            // An attempt may have removed it.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn note(heard: &Heard, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    heard
        .lock()
        .unwrap()
        .extend(text.split(['\n', '\r', '\0']).map(ToOwned::to_owned));
}

fn hear(mut speaker: impl Read, heard: &Heard) {
    let mut text = Vec::new();
    // A speaker that is ended in the middle of a word has spoken, too.
    let _ = speaker.read_to_end(&mut text);
    note(heard, &text);
}

fn listen(listener: UnixListener, heard: &Heard) {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        for speaker in listener.incoming().flatten() {
            hear(speaker, &heard);
        }
    });
}

fn accept(listener: TcpListener, heard: &Heard) {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        for speaker in listener.incoming().flatten() {
            hear(speaker, &heard);
        }
    });
}

fn receive(socket: UnixDatagram, heard: &Heard) {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let mut text = [0; 512];
        while let Ok(length) = socket.recv(&mut text) {
            note(&heard, &text[..length]);
        }
    });
}

/// A socket with a name that means something in one directory only.
fn bind_here(dir: PathBuf, name: &'static str) -> UnixListener {
    let bound = std::thread::spawn(move || {
        // SAFETY: from here on this thread alone has its own working directory.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_FS) }, 0);
        std::env::set_current_dir(dir).unwrap();
        UnixListener::bind(name).unwrap()
    });
    bound.join().unwrap()
}

/// A service that starts again and again while others run, each time under another name.
fn late(dir: PathBuf, heard: Heard, over: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        for number in 0.. {
            if over.load(Ordering::Relaxed) || !dir.exists() {
                return;
            }
            if let Ok(listener) = UnixListener::bind(dir.join(format!("late-{number}"))) {
                listen(listener, &heard);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    });
}

fn pipe(path: &Path, heard: &Heard) {
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        path,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    follow(file, heard);
}

fn follow(mut file: std::fs::File, heard: &Heard) {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let mut text = [0; 512];
        while let Ok(length @ 1..) = file.read(&mut text) {
            note(&heard, &text[..length]);
        }
    });
}

/// A terminal, as of a person at work: its name.
fn terminal(heard: &Heard) -> String {
    // SAFETY: plain calls; the descriptors are owned at once, and the name is copied from a buffer
    // of this function.
    let (ours, theirs, name) = unsafe {
        let ours = OwnedFd::from_raw_fd(libc::posix_openpt(
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        ));
        assert_eq!(
            (
                libc::grantpt(ours.as_raw_fd()),
                libc::unlockpt(ours.as_raw_fd())
            ),
            (0, 0)
        );
        let mut name = [0; 64];
        assert_eq!(
            libc::ptsname_r(ours.as_raw_fd(), name.as_mut_ptr(), name.len()),
            0
        );
        let name = std::ffi::CStr::from_ptr(name.as_ptr())
            .to_str()
            .unwrap()
            .to_owned();
        let path = CString::new(name.clone()).unwrap();
        let theirs = libc::open(
            path.as_ptr(),
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        );
        (ours, OwnedFd::from_raw_fd(theirs), name)
    };
    follow(ours.into(), heard);
    // While it is open the terminal is there.
    std::mem::forget(theirs);
    name
}

/// A number that only this machine of a test has.
fn key(nonce: &str) -> i32 {
    i32::from_str_radix(&nonce[..7], 16).unwrap() & !1
}

impl Memory {
    fn new(nonce: &str, secret: &str) -> Self {
        let create = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        let file = Path::new("/dev/shm").join(nonce);
        std::fs::write(&file, "").unwrap();
        std::fs::write(
            Path::new("/dev/shm").join(format!("{nonce}-secret")),
            secret,
        )
        .unwrap();
        let messages = CString::new(format!("/omk-{nonce}")).unwrap();
        // SAFETY: plain calls; the pointer that is kept is to memory that lives as long as this
        // process.
        unsafe {
            let shared = libc::shmget(key(nonce), 4096, create);
            let at = libc::shmat(shared, std::ptr::null(), 0) as usize;
            // Small: of the usual size a user has ten.
            let mut size: libc::mq_attr = std::mem::zeroed();
            (size.mq_maxmsg, size.mq_msgsize) = (4, 64);
            let queue = libc::mq_open(
                messages.as_ptr(),
                libc::O_CREAT | libc::O_RDWR,
                0o600,
                &raw mut size,
            );
            assert!(shared >= 0 && queue >= 0);
            Self {
                key: key(nonce),
                shared,
                removed: libc::shmget(key(nonce) + 1, 4096, create),
                queue: libc::msgget(key(nonce), create),
                semaphore: libc::semget(key(nonce), 1, create),
                messages,
                at,
                file,
            }
        }
    }

    fn listen(&self, heard: &Heard) {
        // SAFETY: the memory is attached as long as this lives, and a page long.
        let text = unsafe { std::slice::from_raw_parts(self.at as *const u8, 4096) }.to_vec();
        note(heard, &text);
        note(heard, &std::fs::read(&self.file).unwrap_or_default());
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: plain calls on numbers of this test. What is gone already is refused.
        unsafe {
            libc::shmctl(self.shared, libc::IPC_RMID, std::ptr::null_mut());
            libc::shmctl(self.removed, libc::IPC_RMID, std::ptr::null_mut());
            libc::msgctl(self.queue, libc::IPC_RMID, std::ptr::null_mut());
            libc::semctl(self.semaphore, 0, libc::IPC_RMID);
            libc::mq_unlink(self.messages.as_ptr());
            // What chains leave where nothing holds them.
            libc::shmctl(
                libc::shmget(self.key + 7, 0, 0),
                libc::IPC_RMID,
                std::ptr::null_mut(),
            );
            let chain = CString::new([self.messages.as_bytes(), b"-chain"].concat()).unwrap();
            libc::mq_unlink(chain.as_ptr());
        }
        let left = ["/tmp", "/var/tmp", "/dev/shm", "/dev", "/run/lock"];
        let name = self
            .file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for dir in left {
            let _ = std::fs::remove_file(Path::new(dir).join(format!("{name}-chain")));
        }
        for suffix in ["", "-secret"] {
            let name = format!("{}{suffix}", self.file.display());
            // An attempt may have removed it.
            let _ = std::fs::remove_file(name);
        }
    }
}
