//! The example workflows under a real runner, against the emulated GitHub: all jobs, real pushes, read back.

use crate::forge_world::{ForgeWorld, HEAD, PULL};

#[test]
fn a_comment_becomes_a_pull_request() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let acted = world.act("comment.yml", &event, &[]).green();
    for job in ["gate", "run", "judge", "publish"] {
        assert!(acted.ran(job), "{}", acted.log);
    }
    println!("{}", acted.log);
    for entry in world.door.log() {
        println!("LOG {} {} {} {}", entry["who"], entry["method"], entry["path"], entry["status"]);
    }
    println!("{:#?}", world.replies(PULL));
    println!("{:#?}", world.checks(&world.tip(HEAD)));
    println!("{:#?}", world.reactions(&event));
    println!("{:#?}", world.get("/pulls"));
}
