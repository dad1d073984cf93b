//! Which commits a bundle may bring along: those of its result, in their order, and those that a
//! task's change is built on.

use std::sync::Arc;

use omk_action::engine::Engine;
use omk_action::fact::{Fact, Landing, Outcome};
use omk_action::journal::{Chain, Line};

use crate::bundle_commits::{blob, commit, message, tree_with};
use crate::bundle_forged::again;
use crate::bundle_world::{DIAMOND, ONE, Ran, chained};

#[test]
fn what_only_a_tasks_own_branch_would_bring_along_is_looked_at_too() {
    let ran = Ran::new(ONE);
    let (world, old) = (&ran.world, ran.world.rev("omk/run/story"));
    let evil = tree_with(
        world,
        "main",
        &format!(
            "100644,{},.github/workflows/x.yml",
            blob(world, "on: push\n")
        ),
    );
    let below = commit(world, &evil, &["main"], &message(world, &old), "omk[bot]");
    let own = commit(
        world,
        &world.tree(&old),
        &[&below],
        &message(world, &old),
        "omk[bot]",
    );
    let mut lines = ran.lines();
    for line in &mut lines {
        if let Fact::Worked {
            outcome: Outcome::Changed(change),
            ..
        } = &mut line.fact
        {
            change.tip.commit = own.parse().unwrap();
        }
    }
    std::fs::write(ran.run_dir().path().join("journal.jsonl"), chained(&lines)).unwrap();
    let refused = ran.refused(&ran.bundle());
    assert!(
        refused
            .to_string()
            .contains(".github/workflows/x.yml is protected"),
        "{refused}"
    );
}

#[test]
fn a_change_may_be_built_on_as_many_commits_as_a_run_can_have_made_and_no_more() {
    let ran = Ran::new(ONE);
    let (world, result) = (&ran.world, ran.world.rev("omk/run/story"));
    let (base, empty) = (world.rev("main"), world.tree("main"));
    // Each is by omk, of the task, in its write set, and changes nothing.
    let on = |below: &str, tree: &str| {
        again(world, &result, |raw| {
            raw.replace(&world.tree(&result), tree)
                .replace(&base, below)
        })
    };
    let mut stack = vec![base.clone()];
    for _ in 0..78 {
        stack.push(on(stack.last().unwrap(), &empty));
    }
    let honest = ran.lines();
    let admit = |below: &str| {
        let own = on(below, &world.tree(&result));
        let mut lines = honest.clone();
        for line in &mut lines {
            if let Fact::Worked {
                outcome: Outcome::Changed(change),
                ..
            } = &mut line.fact
            {
                change.tip.commit = own.parse().unwrap();
            }
        }
        std::fs::write(ran.run_dir().path().join("journal.jsonl"), chained(&lines)).unwrap();
        ran.admit(&ran.bundle())
    };
    // With the base, the result and the change itself there are 16 for each of five landings: four
    // more than one.
    admit(&stack[77]).expect("80 commits are as many as may be");
    let refused = admit(&stack[78]).expect_err("81 are too many").to_string();
    assert!(
        refused.contains("is one of more commits than this run can have made"),
        "{refused}"
    );
}

/// These facts with the orders that the engine gives for them.
fn retold(ran: &Ran, lines: &[Line]) -> Vec<u8> {
    let (mut engine, mut chain, mut out) = (
        Engine::new(Arc::clone(&ran.plan)),
        Chain::default(),
        Vec::new(),
    );
    for line in lines {
        let orders = engine.take(line.at, &line.fact).unwrap();
        chain.push(line.at, &line.fact, &orders, &mut out).unwrap();
    }
    out
}

#[test]
fn a_result_with_a_task_that_was_taken_out_of_it_is_refused_and_so_is_one_with_a_task_twice() {
    let ran = Ran::new(
        "gates: [{ id: test, run: \"test ! -e right.txt\" }]\n\
         tasks:\n\
         \x20 - { id: left, run: \"echo 1 > left.txt\", write_set: [left.txt], gates: [] }\n\
         \x20 - { id: right, run: \"echo 2 > right.txt\", write_set: [right.txt], gates: [], dependencies: [left] }\n",
    );
    let mut lines = ran.lines();
    let is_rebuilt = |line: &Line| matches!(line.fact, Fact::Rebuilt { .. });
    lines.truncate(
        lines
            .iter()
            .position(is_rebuilt)
            .expect("right was taken out")
            + 1,
    );
    let right = lines.iter().find_map(|line| match &line.fact {
        Fact::Landed { task, tip, .. } if task.as_str() == "right" => Some(tip.clone()),
        _ => None,
    });
    let right = Landing {
        task: "right".parse().unwrap(),
        tip: right.expect("right had landed"),
    };
    let refused = |more: &dyn Fn(&mut Vec<Landing>)| {
        let mut lines = lines.clone();
        let Some(Fact::Rebuilt { landings, .. }) = lines.last_mut().map(|line| &mut line.fact)
        else {
            panic!()
        };
        more(landings);
        std::fs::write(
            ran.run_dir().path().join("journal.jsonl"),
            retold(&ran, &lines),
        )
        .unwrap();
        ran.admit(&ran.bundle())
            .err()
            .map(|refused| refused.to_string())
            .unwrap_or_default()
    };
    assert_eq!(refused(&|_| {}), "", "what omk itself wrote is fine");
    let told = refused(&|landings| landings.push(right.clone()));
    assert!(
        told.ends_with("(below the result) lands task right, which had no turn"),
        "{told}"
    );
    let told = refused(&|landings| landings.push(landings[0].clone()));
    assert!(
        told.ends_with("(below the result) lands task left, which had no turn"),
        "{told}"
    );
}

#[test]
fn a_merge_that_omk_would_not_make_of_its_parents_is_refused_below_a_tasks_change() {
    let ran = Ran::new(DIAMOND);
    let (world, own) = (&ran.world, ran.world.rev("omk/task/story/top"));
    let merge = world.rev(&format!("{own}^"));
    ran.admit(&ran.bundle())
        .expect("the merge that omk made is one");
    // What the merge brings in, the task's commit changes: each commit stays in its write set.
    let smuggling = tree_with(
        world,
        &merge,
        &format!("100644,{},top.txt", blob(world, "smuggled\n")),
    );
    let honest_lines = ran.lines();
    let honest_tree = world.tree(&merge);
    let cases: [(&str, &dyn Fn(&str) -> String); 3] = [
        ("another tree", &|raw| raw.replace(&honest_tree, &smuggling)),
        ("another message", &|raw| format!("{raw}\nfixes #1\n")),
        ("another header", &|raw| {
            raw.replacen("\n\n", "\nnote hello\n\n", 1)
        }),
    ];
    let refused = |own: &str| {
        let mut lines = honest_lines.clone();
        for line in &mut lines {
            if let Fact::Worked {
                task,
                outcome: Outcome::Changed(change),
                ..
            } = &mut line.fact
                && task.as_str() == "top"
            {
                change.tip.commit = own.parse().unwrap();
            }
        }
        std::fs::write(ran.run_dir().path().join("journal.jsonl"), chained(&lines)).unwrap();
        ran.admit(&ran.bundle())
            .expect_err("omk did not make that")
            .to_string()
    };
    for (name, change) in cases {
        let below = again(world, &merge, change);
        let says = refused(&again(world, &own, |raw| raw.replace(&merge, &below)));
        assert!(
            says.contains(&below[..12]) && says.contains("is a merge that omk did not make"),
            "{name}: {says}"
        );
    }
    // A merge that omk did make is still no task's change.
    let says = refused(&merge);
    assert!(
        says.ends_with("(of task top) has 2 parents, and a task's commit has one"),
        "{says}"
    );
}
