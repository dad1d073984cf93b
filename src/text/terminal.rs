//! Output of programs: without escape sequences, without control characters, without power over the
//! CI runner.
//!
//! It refuses to keep colours; what is told by colour alone is lost.

/// The text without escape sequences of terminals. One that is never ended hides nothing beyond its
/// line.
#[must_use]
pub fn strip_ansi(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => match rest.peek().copied() {
                Some('[') => {
                    rest.next();
                    skip_control_sequence(&mut rest);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut rest),
                Some(' '..='/') => {
                    while rest.next_if(|next| (' '..='/').contains(next)).is_some() {}
                    rest.next_if(|next| ('0'..='~').contains(next));
                }
                Some('0'..='~') => {
                    rest.next();
                }
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut rest),
            plain => out.push(plain),
        }
    }
    out
}

/// Parameters, intermediates and the final character of `ESC [`.
fn skip_control_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while rest.next_if(|next| (' '..='?').contains(next)).is_some() {}
    rest.next_if(|next| ('@'..='~').contains(next));
}

/// A string such as a title or a link, up to BEL or `ESC \`, but never beyond the line.
fn skip_string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(next) = rest.next_if(|&next| next != '\n') {
        if next == '\u{7}' || next == '\u{9c}' {
            return;
        }
        if next == '\u{1b}' {
            rest.next_if_eq(&'\\');
            return;
        }
    }
}

/// What a program wrote, as text: UTF-8 where it is, without escape sequences and control
/// characters. Line breaks of any kind become `\n`, so that a progress bar does not become one
/// endless line; tabs stay.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let text = strip_ansi(&String::from_utf8_lossy(bytes));
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\r' => {
                rest.next_if_eq(&'\n');
                out.push('\n');
            }
            '\n' | '\t' => out.push(next),
            control if control.is_control() => {}
            plain => out.push(plain),
        }
    }
    out
}

/// The text without anything that GitHub's runner takes for a command: a line that begins with
/// `::`, blanks before it or not, and `##[` anywhere. Both are broken up by a blank.
#[must_use]
pub fn neutralise_workflow_commands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive(['\n', '\r']) {
        let body = line.trim_start();
        out.push_str(&line[..line.len() - body.len()]);
        match body.strip_prefix("::") {
            Some(command) => {
                out.push_str(": :");
                out.push_str(&command.replace("##[", "# #["));
            }
            None => out.push_str(&body.replace("##[", "# #[")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_vanish() {
        let check = |text, expect| assert_eq!(strip_ansi(text), expect);
        check("\x1b[1;31merror\x1b[0m: no", "error: no");
        check("\x1b]8;;https://x\x1b\\link\x1b]8;;\x07!", "link!");
        check("\x1b]0;hidden\nshown", "\nshown");
        check("\x1b(Ba\x1b7b\x1bMc\u{9b}2Jd", "abcd");
        check("cut \x1b[12", "cut ");
        check("cut \x1b", "cut ");
        check("\x1b[31é", "é");
    }

    #[test]
    fn output_becomes_text() {
        assert_eq!(
            printable(b"10%\r20%\r\nd\xffone\0\x08\tx\x1b[K"),
            "10%\n20%\nd\u{fffd}one\tx"
        );
    }

    #[test]
    fn commands_for_the_runner_lose_their_power() {
        let check = |text, expect: &str| assert_eq!(neutralise_workflow_commands(text), expect);
        check(
            "::error::x\n  ::set-output name=a::b\n",
            ": :error::x\n  : :set-output name=a::b\n",
        );
        check("a::b\r::stop-commands::x", "a::b\r: :stop-commands::x");
        check("x ##[error]y ###[group]", "x # #[error]y ## #[group]");
        check("\n\n::add-mask::x", "\n\n: :add-mask::x");
        check("::##[a]", ": :# #[a]");
    }
}
