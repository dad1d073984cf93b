//! Tests of `gate::steady`.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(
        steady(text, &["/cache/slots/1.private/tmp/".to_owned()]),
        expect
    );
}

#[test]
fn what_differs_between_executions_is_left_out() {
    check(
        "test_x[<Client object at 0x7f3a2c00>]",
        "test_x[<Client object at 0x#>]",
    );
    check("reads Session@1b6d3586", "reads Session@#");
    check("GET http://127.0.0.1:43121/x", "GET http://127.0.0.1:#/x");
    check("listens on port 43121", "listens on port #");
    check(
        "opens '/tmp/pytest-of-ann/pytest-12/x0/a.db' twice",
        "opens '/tmp/#' twice",
    );
    check(
        "opens /var/folders/zz/T/x.sock: gone",
        "opens /var/folders/#: gone",
    );
    check("opens /cache/slots/1.private/tmp/a.db", "opens #");
    check(
        "job 123e4567-e89b-12d3-a456-426614174000 ends",
        "job # ends",
    );
}

#[test]
fn what_a_person_would_call_another_name_stays() {
    for name in [
        "adds 2 and 3",
        "0x1F",
        "mail to ann@example.com",
        "status 404",
        "src/tmp/x.rs",
        "at 10:30:59",
        "my-uuid-is-short 123e4567-e89b",
        "décor@abcde",
        "mail to ann@12abc.example",
        "package@12345beta",
        "test[a-0xzz]",
    ] {
        check(name, name);
    }
}

proptest! {
    #[test]
    fn any_text_settles_at_once(text in "(/tmp/|0x|@|127.0.0.1:|[0-9a-f]{0,9}|-|\\PC){0,12}") {
        let once = steady(&text, &[]);
        prop_assert_eq!(steady(&once, &[]), once);
    }
}
