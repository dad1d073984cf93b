//! A story as it is told: what somebody did, and all that people saw of it, without what differs
//! from run to run.
//!
//! It refuses to be told of the forge by name, so that the same telling fits both.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::ci_flow_split::FILTERS;
use crate::story_world::{AnyWorld, Ended, in_words};

/// How much of a text is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of it.
    All,
    /// What is not folded away, and no hidden lines.
    Open,
}

/// A story that is being told.
pub(crate) struct Tale<'w, W: AnyWorld> {
    pub(crate) world: &'w W,
    pub(crate) detail: Detail,
    text: String,
    texts: BTreeMap<u64, String>,
    writes: usize,
    log: String,
    /// Names of commits, and how many each ref has had.
    commits: RefCell<(BTreeMap<String, String>, BTreeMap<String, usize>)>,
}

impl<'w, W: AnyWorld> Tale<'w, W> {
    /// A story in that world.
    pub(crate) fn of(world: &'w W, detail: Detail) -> Self {
        let (texts, commits) = Default::default();
        let tale = Self {
            world,
            detail,
            text: String::new(),
            texts,
            writes: 0,
            log: String::new(),
            commits,
        };
        tale.steady("");
        tale
    }

    /// Somebody comments, and all jobs that this starts run.
    pub(crate) fn asks(&mut self, login: &str, body: &str) -> W::Said {
        let said = self.says(login, body);
        let ended = self.world.jobs(&said);
        self.sees(&said, ended);
        said
    }

    /// Somebody comments, and the first job runs.
    pub(crate) fn asks_gate(&mut self, login: &str, body: &str) -> (W::Said, Ended) {
        let said = self.says(login, body);
        let ended = self.hears(&said);
        (said, ended)
    }

    /// Somebody comments.
    pub(crate) fn says(&mut self, login: &str, body: &str) -> W::Said {
        self.head(&format!("{login}: {}", body.replace('\n', " ")));
        self.world.comment(login, body)
    }

    /// The first job for a comment runs.
    pub(crate) fn hears(&mut self, said: &W::Said) -> Ended {
        let ended = self.world.intake(said);
        let (number, request) = (ended.number, ended.request.clone());
        self.sees(said, ended);
        Ended {
            number,
            request,
            ..Ended::default()
        }
    }

    fn sees(&mut self, said: &W::Said, ended: Ended) {
        self.ran(ended);
        let reactions = self.world.reactions_to(said);
        self.add(&format!(
            "reactions: {}\n",
            if reactions.is_empty() {
                "none"
            } else {
                &reactions
            }
        ));
        self.comments();
    }

    /// Jobs have run.
    pub(crate) fn ran(&mut self, ended: Ended) {
        self.add(&format!("jobs: {}\n", ended.codes));
        self.log = ended.log;
    }

    /// A heading.
    pub(crate) fn head(&mut self, text: &str) {
        self.add(&format!("\n== {text}\n"));
    }

    /// The comments of ours that are new or changed.
    pub(crate) fn comments(&mut self) {
        for (id, body) in self.world.texts() {
            let how = match self.texts.get(&id) {
                Some(before) if *before == body => continue,
                Some(_) => "comment, edited",
                None => "comment",
            };
            self.add(&format!("{how}:\n"));
            self.body(&body);
            self.texts.insert(id, body);
        }
    }

    /// The checks on a branch's tip.
    pub(crate) fn checks(&mut self, branch: &str) {
        let tip = self.world.refs().remove(&format!("refs/heads/{branch}"));
        let lines = tip.map_or_else(Vec::new, |tip| self.world.check_lines(&tip));
        self.list(&format!("checks on {branch}"), &lines);
    }

    /// Our refs, each with its commit's name.
    pub(crate) fn refs(&mut self) {
        let refs = self
            .world
            .refs()
            .into_iter()
            .filter(|(name, _)| name.contains("/omk/"));
        let lines: Vec<String> = refs
            .map(|(name, commit)| format!("{name} {commit}"))
            .collect();
        self.list("refs", &lines);
    }

    /// The pull requests of ours, with their bodies.
    pub(crate) fn pulls(&mut self) {
        for pull in self.world.pulls() {
            let labels = if pull.labels.is_empty() {
                String::new()
            } else {
                format!(" [{}]", pull.labels.join(", "))
            };
            let (sign, number, title) = (W::SIGN, pull.number, &pull.title);
            let way = format!("{} -> {}", pull.head, pull.base);
            self.add(&format!(
                "pull request {sign}{number}, {}, {way}, \"{title}\"{labels}:\n",
                pull.state
            ));
            self.body(&pull.body);
        }
    }

    /// The issues of ours.
    pub(crate) fn issues(&mut self) {
        for (line, body) in self.world.issues() {
            self.add(&format!("issue {line}:\n"));
            self.body(&body);
        }
    }

    /// What was written since this was last told.
    pub(crate) fn writes(&mut self) {
        let all = self.world.written();
        let new: Vec<String> = all[self.writes..]
            .iter()
            .map(|(method, path, body)| in_words(method, path, body))
            .collect();
        self.writes = all.len();
        self.list("writes", &new);
    }

    /// What the log of the last jobs says with that word in it.
    pub(crate) fn log(&mut self, word: &str) {
        let lines = self.log.lines().filter(|line| line.contains(word));
        let lines: Vec<String> = lines
            .map(|line| line.rsplit("::").next().unwrap_or(line).trim().to_owned())
            .collect();
        self.list("log", &lines);
    }

    /// A file on a branch.
    pub(crate) fn file(&mut self, branch: &str, name: &str) {
        self.world.work(&[
            "fetch",
            "--quiet",
            &self.world.address("maintainer"),
            branch,
        ]);
        let content = self.world.work(&["show", &format!("FETCH_HEAD:{name}")]);
        self.add(&format!("{name} on {branch}: {content}\n"));
    }

    /// What was committed on top of the pull request's head as people know it.
    pub(crate) fn commits(&mut self, branch: &str) {
        self.world.work(&[
            "fetch",
            "--quiet",
            &self.world.address("maintainer"),
            branch,
        ]);
        let format = "--format=%an: %s; signed off by %(trailers:key=Signed-off-by,valueonly,separator=%x2C)";
        let told = self
            .world
            .work(&["log", "--reverse", format, "feature..FETCH_HEAD"]);
        self.list(
            &format!("commits on {branch}"),
            &told.lines().map(str::to_owned).collect::<Vec<_>>(),
        );
    }

    /// Holds the telling against the snapshot of this forge.
    #[track_caller]
    pub(crate) fn ends(self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        for (varies, steady) in FILTERS {
            settings.add_filter(varies, *steady);
        }
        settings.set_snapshot_path("stories");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            insta::assert_snapshot!(format!("{name}_{}", W::FORGE), self.text.trim_start())
        });
    }

    fn list(&mut self, what: &str, lines: &[String]) {
        let none = if lines.is_empty() { " none" } else { "" };
        let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        self.add(&format!("{what}:{none}\n{lines}"));
    }

    fn body(&mut self, body: &str) {
        let shown = if self.detail == Detail::All {
            body.to_owned()
        } else {
            opened(body)
        };
        let lines: String = shown
            .lines()
            .map(|line| format!("    {line}").trim_end().to_owned() + "\n")
            .collect();
        self.add(&lines);
    }

    fn add(&mut self, text: &str) {
        let steady = self.steady(text);
        self.text += &steady;
    }

    /// The text with names for addresses and commits.
    fn steady(&self, text: &str) -> String {
        let mut known = self.commits.borrow_mut();
        let (names, counts) = &mut *known;
        let holds_commit = text.is_empty() || text.contains(|one: char| one.is_ascii_hexdigit());
        let refs = if holds_commit {
            self.world.refs()
        } else {
            BTreeMap::new()
        };
        for (name, commit) in refs {
            if names.contains_key(&commit) || name == "HEAD" || name.contains("proofs") {
                continue;
            }
            let name = name
                .trim_start_matches("refs/")
                .trim_start_matches("heads/")
                .to_owned();
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            let label = if *count == 1 {
                format!("<{name}>")
            } else {
                format!("<{name}, {count}>")
            };
            names.insert(commit, label);
        }
        let mut text = text.replace(self.world.site(), "https://forge.test");
        for (commit, label) in names.iter() {
            text = text.replace(commit, label).replace(&commit[..12], label);
        }
        text
    }
}

/// A text without hidden lines and without what is folded away; of that only the heading stays.
fn opened(body: &str) -> String {
    let (mut shown, mut folded) = (Vec::new(), false);
    for line in body.lines() {
        if let Some(summary) = line.strip_prefix("<details><summary>") {
            shown.push(format!("[+] {}", summary.trim_end_matches("</summary>")));
            folded = true;
        }
        if !folded && !line.starts_with("<!--") && !line.starts_with("<sub>") {
            shown.push(line.to_owned());
        }
        folded &= line != "</details>";
    }
    shown.dedup_by(|line, before| line.is_empty() && before.is_empty());
    shown.join("\n").trim().to_owned()
}
