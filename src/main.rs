//! `omk`: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A shepherd must start within a millisecond or two: before anything else, and without threads.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|role| role == omk_action::exec::SHEPHERD_ROLE)
    {
        return omk_action::exec::shepherd_main();
    }
    omk_action::cli::main()
}
