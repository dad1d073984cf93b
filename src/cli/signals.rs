//! Signals: the first Ctrl-C ends children and journals, the second ends omk; `omk cancel` rings
//! with SIGUSR1.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::cancel;
use super::terminal::Terminal;
use crate::fact::Fact;
use crate::store::RunDir;

/// Turns signals into facts, as long as the runtime lives.
pub(super) fn listen(facts: UnboundedSender<Fact>, run_dir: RunDir, terminal: Terminal) {
    let (Ok(interrupt), Ok(terminate), Ok(hangup), Ok(bell)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
        signal(SignalKind::user_defined1()),
    ) else {
        terminal
            .complain("warning: signals cannot be caught here; Ctrl-C ends omk at once, and `omk resume` goes on\n");
        return;
    };
    tokio::spawn(cancels(bell, facts.clone(), run_dir.clone()));
    tokio::spawn(stops(
        interrupt, terminate, hangup, facts, run_dir, terminal,
    ));
}

async fn cancels(mut bell: Signal, facts: UnboundedSender<Fact>, run_dir: RunDir) {
    loop {
        // The first look is for what was asked of an omk that was killed before it heard.
        for tasks in cancel::take_requests(&run_dir) {
            let _ = facts.send(Fact::Cancelled { tasks });
        }
        if bell.recv().await.is_none() {
            return;
        }
    }
}

async fn stops(
    mut interrupt: Signal,
    mut terminate: Signal,
    mut hangup: Signal,
    facts: UnboundedSender<Fact>,
    run_dir: RunDir,
    terminal: Terminal,
) {
    let mut asked = false;
    loop {
        let name = tokio::select! {
            Some(()) = interrupt.recv() => "SIGINT",
            Some(()) = terminate.recv() => "SIGTERM",
            Some(()) = hangup.recv() => "SIGHUP",
            else => return,
        };
        if asked {
            // Children end all the same: their shepherds see that omk is gone.
            terminal.complain("ended at once; go on with `omk resume`\n");
            leave();
        }
        asked = true;
        terminal.complain(&format!(
            "\n{name}: ending children; go on later with `omk resume {}`; once more ends omk at once\n",
            run_dir.run()
        ));
        let _ = facts.send(Fact::Stopped {
            signal: name.to_owned(),
        });
    }
}

/// Ends this process as an interrupted one, without waiting for anything.
#[expect(
    clippy::disallowed_methods,
    reason = "a person asked twice; nothing is to be waited for"
)]
fn leave() -> ! {
    std::process::exit(130)
}
