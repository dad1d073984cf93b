//! JUnit XML: test cases that failed or broke off, from suites nested in any way.
//!
//! A case that failed and then passed in the same document has passed: tools that try again report
//! both. It refuses documents that end early or nest absurdly, and never looks at a document type:
//! what an entity stands for is nobody's business here.

use std::collections::HashMap;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::ground::ReportedLine;
use super::items::{ItemCollector, cut};
use crate::fact::{ItemLevel, Location};
use crate::text::clip;

/// How deep elements may nest. Real reports need five.
const DEPTH_CAP: usize = 128;

/// How much of a failure's text is kept while reading, in bytes: more than a message may have.
const TEXT_CAP: usize = 16 * 1024;

/// Reads the whole document, or says why it cannot.
pub(super) fn read(text: &str, found: &mut ItemCollector<'_>) -> Result<(), String> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    let mut walk = Walk {
        found,
        open: Vec::new(),
        case: None,
        rooted: false,
        failing: Vec::new(),
        by_case: HashMap::new(),
    };
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => walk.open(&element)?,
            Event::Empty(element) => {
                walk.open(&element)?;
                walk.close();
            }
            Event::End(_) => walk.close(),
            Event::Text(text) => walk.text(&text.xml10_content()),
            Event::CData(text) => walk.text(&text.xml10_content()),
            Event::GeneralRef(reference) => walk.reference(&reference),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    if !walk.open.is_empty() {
        return Err("it ends in the middle".to_owned());
    }
    if !walk.rooted {
        return Err("it has no test suite".to_owned());
    }
    walk.tell();
    Ok(())
}

/// An element that is open.
enum JunitElement {
    Suite {
        name: String,
        file: Option<String>,
        failed: Option<String>,
    },
    Case,
    Failure,
    Other,
}

struct Case {
    suites: String,
    class: String,
    name: String,
    file: Option<String>,
    line: ReportedLine,
    failed: Option<String>,
    skipped: bool,
}

/// What failed, until it is known that it did not pass later on.
struct Fallen {
    key: String,
    message: String,
    place: Option<Location>,
}

struct Walk<'a, 'f> {
    found: &'a mut ItemCollector<'f>,
    open: Vec<JunitElement>,
    case: Option<Case>,
    rooted: bool,
    failing: Vec<Option<Fallen>>,
    /// Where the failing executions of a case stand among them.
    by_case: HashMap<[String; 4], Vec<usize>>,
}

impl Walk<'_, '_> {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() == DEPTH_CAP {
            return Err(format!("it nests deeper than {DEPTH_CAP} elements"));
        }
        let name = element.local_name();
        let next = match name.as_ref() {
            "testsuites" | "testsuite" => {
                self.rooted = true;
                let [name, file] = attributes(element, ["name", "file"]);
                JunitElement::Suite {
                    name: name.unwrap_or_default(),
                    file,
                    failed: None,
                }
            }
            "testcase" if self.case.is_none() => {
                self.case = Some(self.case_of(element));
                JunitElement::Case
            }
            "failure" | "error" => self.failure(element),
            "skipped" => {
                self.case.iter_mut().for_each(|case| case.skipped = true);
                JunitElement::Other
            }
            _ => JunitElement::Other,
        };
        if self.open.is_empty() && !matches!(next, JunitElement::Suite { .. }) {
            return Err(format!("its root is `{}`", clip(name.as_ref(), 40)));
        }
        self.open.push(next);
        Ok(())
    }

    fn case_of(&self, element: &BytesStart<'_>) -> Case {
        let [class, name, file, line] = attributes(element, ["classname", "name", "file", "line"]);
        let suites = self.open.iter().filter_map(|element| match element {
            JunitElement::Suite { name, .. } if !name.is_empty() => Some(name.as_str()),
            JunitElement::Suite { .. }
            | JunitElement::Case
            | JunitElement::Failure
            | JunitElement::Other => None,
        });
        let suites = suites.collect::<Vec<_>>().join("/");
        let class = class
            .filter(|class| !class.is_empty())
            .unwrap_or_else(|| suites.clone());
        let suite_file = self.open.iter().rev().find_map(|element| match element {
            JunitElement::Suite { file, .. } => file.clone(),
            JunitElement::Case | JunitElement::Failure | JunitElement::Other => None,
        });
        Case {
            suites,
            class,
            name: name.unwrap_or_default(),
            file: file.filter(|file| !file.is_empty()).or(suite_file),
            line: line.map_or(ReportedLine::Missing, |line| {
                line.trim()
                    .parse()
                    .map_or(ReportedLine::Odd, ReportedLine::Line)
            }),
            failed: None,
            skipped: false,
        }
    }

    /// A `failure` or `error` begins: of the open test case, else of the suite itself.
    fn failure(&mut self, element: &BytesStart<'_>) -> JunitElement {
        let Some(failed) = self.failed_mut() else {
            return JunitElement::Other;
        };
        if failed.is_some() {
            return JunitElement::Other;
        }
        let [message] = attributes(element, ["message"]);
        *failed = Some(message.map_or_else(String::new, |mut message| {
            message.truncate(cut(&message, TEXT_CAP).len());
            message.push('\n');
            message
        }));
        JunitElement::Failure
    }

    fn failed_mut(&mut self) -> Option<&mut Option<String>> {
        if let Some(case) = &mut self.case {
            return Some(&mut case.failed);
        }
        match self.open.last_mut() {
            Some(JunitElement::Suite { failed, .. }) => Some(failed),
            Some(JunitElement::Case | JunitElement::Failure | JunitElement::Other) | None => None,
        }
    }

    fn text(&mut self, text: &str) {
        if !matches!(self.open.last(), Some(JunitElement::Failure)) {
            return;
        }
        let parent = self.open.len().saturating_sub(2);
        let failed = match (&mut self.case, self.open.get_mut(parent)) {
            (Some(case), _) => &mut case.failed,
            (None, Some(JunitElement::Suite { failed, .. })) => failed,
            (
                None,
                Some(JunitElement::Case | JunitElement::Failure | JunitElement::Other) | None,
            ) => return,
        };
        if let Some(message) = failed {
            let room = TEXT_CAP.saturating_sub(message.len()).min(text.len());
            message.push_str(cut(text, room));
        }
    }

    /// `&lt;` and `&#65;` are themselves; any other entity stays as it is written, and is never
    /// looked up.
    fn reference(&mut self, reference: &BytesRef<'_>) {
        if let Ok(Some(ch)) = reference.resolve_char_ref() {
            return self.text(ch.encode_utf8(&mut [0; 4]));
        }
        let name = reference.xml10_content();
        match resolve_predefined_entity(&name) {
            Some(known) => self.text(known),
            None => self.text(&format!("&{name};")),
        }
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(JunitElement::Case) => self.close_case(),
            Some(JunitElement::Suite {
                name,
                file,
                failed: Some(message),
            }) => {
                let place = file.and_then(|file| {
                    self.found
                        .place(&file, None, ReportedLine::Missing, ReportedLine::Missing)
                });
                self.failing.push(Some(Fallen {
                    key: name,
                    message,
                    place,
                }));
            }
            Some(
                JunitElement::Suite { failed: None, .. }
                | JunitElement::Failure
                | JunitElement::Other,
            )
            | None => {}
        }
    }

    fn close_case(&mut self) {
        let Some(Case {
            suites,
            class,
            name,
            file,
            line,
            failed,
            skipped,
        }) = self.case.take()
        else {
            return;
        };
        let case = [
            suites,
            class.clone(),
            name.clone(),
            file.clone().unwrap_or_default(),
        ];
        let Some(mut message) = failed else {
            if !skipped {
                for earlier in self.by_case.remove(&case).unwrap_or_default() {
                    self.failing[earlier] = None;
                }
            }
            return;
        };
        message.shrink_to_fit();
        let place =
            file.and_then(|file| self.found.place(&file, None, line, ReportedLine::Missing));
        let key = if class.is_empty() {
            name
        } else {
            format!("{class}::{name}")
        };
        self.by_case
            .entry(case)
            .or_default()
            .push(self.failing.len());
        self.failing.push(Some(Fallen {
            key,
            message,
            place,
        }));
    }

    fn tell(self) {
        for Fallen {
            key,
            message,
            place,
        } in self.failing.into_iter().flatten()
        {
            self.found.add(&key, &message, place, ItemLevel::Error);
        }
    }
}

/// The values of some attributes, in the order asked for.
fn attributes<const N: usize>(element: &BytesStart<'_>, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    let mut attributes = element.attributes();
    // Looking for duplicates would take the square of their number.
    for attribute in attributes.with_checks(false).flatten() {
        let Some(index) = names
            .iter()
            .position(|name| *name == attribute.key.local_name().as_ref())
        else {
            continue;
        };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        values[index] =
            Some(value.map_or_else(|_| attribute.value.to_string(), |value| value.into_owned()));
    }
    values
}
