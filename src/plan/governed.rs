//! One plan of two: tasks and gates of the one, the rules of the other.
//!
//! It refuses to know which of them is to be trusted, and why.

use super::Plan;

/// The plan that holds where a repository's own rules govern somebody's tasks: `agent`, `limits`,
/// `prices`, `room`, `change_limit`,
/// `deliver`, `protect` and `commands` of `rules`, and all else of `tasks`.
#[must_use]
pub fn governed(tasks: Plan, rules: &Plan) -> Plan {
    // Every field is named, so that a new one is not overlooked here.
    let Plan {
        name,
        agent: _,
        limits: _,
        prices: _,
        env,
        pass_env,
        keep,
        room: _,
        change_limit: _,
        preflight,
        baseline,
        gates,
        tasks,
        deliver: _,
        protect: _,
        commands: _,
    } = tasks;
    let Plan {
        agent,
        limits,
        prices,
        room,
        change_limit,
        deliver,
        protect,
        commands,
        ..
    } = rules.clone();
    Plan {
        name,
        agent,
        limits,
        prices,
        env,
        pass_env,
        keep,
        room,
        change_limit,
        preflight,
        baseline,
        gates,
        tasks,
        deliver,
        protect,
        commands,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{parse, to_yaml};

    #[test]
    fn rules_come_from_one_plan_and_tasks_from_the_other() {
        let mine = "version: 1\nname: mine\nagent: {version: 9.9.9, base_url: https://evil.example/v1, key_env: OTHER_KEY}\n\
                    limits: {tokens: 99999999}\nprices: {input: 0, cached_input: 0, output: 0}\n\
                    room: {level: none, network: {agent: open}, docker: true}\nenv: {A: mine}\nchange_limit: 9GB\n\
                    gates: [{id: g, run: mine}]\ntasks: [{id: mine, run: mine, gates: [g]}]\n\
                    deliver: {as: push}\nprotect: []\ncommands: {permission: triage, bots: [{login: 'evil[bot]', id: 6}]}\n";
        let theirs = "version: 1\nname: theirs\nenv: {A: theirs}\ngates: [{id: h, run: theirs}]\n\
                      tasks: [{id: theirs, run: theirs}]\nlimits: {tokens: 5}\nroom: {level: sealed, network: {gates: none}}\nprotect: ['secret/**']\n\
                      commands: {permission: maintain}\n";
        let plan = |text: &str| parse(text.as_bytes(), "omk.yaml", "d").unwrap();
        let (mine, theirs) = (plan(mine), plan(theirs));
        let both = governed(mine.clone(), &theirs);
        assert_eq!(
            (&both.agent, &both.limits, &both.prices),
            (&theirs.agent, &theirs.limits, &theirs.prices)
        );
        assert_eq!(both.room, theirs.room);
        assert_eq!(
            (&both.deliver, &both.protect, &both.commands),
            (&theirs.deliver, &theirs.protect, &theirs.commands)
        );
        assert_eq!(
            (&both.name, &both.env, &both.gates, &both.tasks),
            (&mine.name, &mine.env, &mine.gates, &mine.tasks)
        );
        assert_eq!(both.change_limit, theirs.change_limit);
        assert_eq!(governed(theirs.clone(), &theirs), theirs);
        assert!(!to_yaml(&both).contains("evil"), "{}", to_yaml(&both));
    }
}
