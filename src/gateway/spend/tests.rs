//! Tests of `gateway::spend`.

use super::*;

const PRICES: Prices = Prices {
    input: 0.60,
    cached_input: 0.15,
    output: 2.50,
};

fn output(output: u64) -> Tokens {
    Tokens {
        output,
        ..Tokens::default()
    }
}

#[test]
fn a_million_of_each_costs_the_prices() {
    let million = Tokens {
        input: 1_000_000,
        cached_input: 1_000_000,
        output: 1_000_000,
        reasoning: 9,
    };
    assert_eq!(cost_micro_usd(million, PRICES), 3_250_000);
    assert_eq!(cost_micro_usd(output(1), PRICES), 3);
    assert_eq!(cost_micro_usd(Tokens::default(), PRICES), 0);
}

#[test]
fn the_limit_that_is_used_up_is_named_once_and_for_all() {
    let ledger = Ledger::new(
        Budget {
            tokens_left: Some(10),
            ..Budget::default()
        },
        None,
    );
    let broken = ledger.broken();
    ledger.recharge(Tokens::default(), output(9));
    assert_eq!(*broken.borrow(), None);
    ledger.recharge(output(9), output(10));
    assert_eq!(*broken.borrow(), Some(Limit::Tokens));
    ledger.recharge(output(10), output(1));
    assert_eq!(*broken.borrow(), Some(Limit::Tokens));
}

#[test]
fn money_is_a_limit_of_its_own() {
    let ledger = Ledger::new(
        Budget {
            micro_usd_left: Some(25),
            prices: Some(PRICES),
            ..Budget::default()
        },
        None,
    );
    ledger.recharge(Tokens::default(), output(10));
    assert_eq!(*ledger.broken().borrow(), Some(Limit::Usd));
}

#[test]
fn nothing_left_is_used_up_from_the_start() {
    assert_eq!(
        *Ledger::new(
            Budget {
                tokens_left: Some(0),
                ..Budget::default()
            },
            None
        )
        .broken()
        .borrow(),
        Some(Limit::Tokens)
    );
}

#[tokio::test]
async fn a_request_waits_while_what_is_under_way_may_use_the_limit_up() {
    let ledger = Ledger::new(
        Budget {
            tokens_left: Some(100),
            ..Budget::default()
        },
        None,
    );
    let input = |input| Tokens {
        input,
        ..Tokens::default()
    };
    let fits = async |tokens| {
        let reserve = ledger.reserve(tokens);
        tokio::time::timeout(std::time::Duration::from_millis(1), reserve)
            .await
            .is_ok()
    };
    // Alone it goes out, whatever it is taken for.
    assert!(fits(input(500)).await);
    assert!(!fits(input(1)).await);
    // The provider says that it was far less.
    ledger.release(input(500));
    ledger.recharge(Tokens::default(), input(60));
    assert!(fits(input(30)).await);
    assert!(!fits(input(10)).await, "60 are spent, and 30 under way");
    assert!(fits(input(9)).await);
    // One that waits hears that there is nothing left.
    let waiting = ledger.reserve(input(10));
    let breaking = async { ledger.recharge(input(60), input(100)) };
    assert_eq!(tokio::join!(waiting, breaking).0, Err(Limit::Tokens));
}

#[tokio::test]
async fn money_holds_requests_back_too_and_one_that_is_over_frees_only_its_own() {
    let budget = Budget {
        micro_usd_left: Some(12),
        prices: Some(PRICES),
        ..Budget::default()
    };
    let ledger = Ledger::new(budget, None);
    let input = |input| Tokens {
        input,
        ..Tokens::default()
    };
    let fits = async |tokens| {
        let reserve = ledger.reserve(tokens);
        tokio::time::timeout(std::time::Duration::from_millis(1), reserve)
            .await
            .is_ok()
    };
    // 0.6 each: 19 cost 11.4, and so 12, which uses it up.
    assert!(fits(input(5)).await && fits(input(5)).await);
    assert!(!fits(input(9)).await);
    ledger.release(input(5));
    assert!(!fits(input(14)).await, "5 are still under way");
    assert!(fits(input(13)).await);
    ledger.recharge(Tokens::default(), input(3));
    ledger.recharge(Tokens::default(), input(2));
    ledger.recharge(input(2), input(15));
    assert_eq!(*ledger.broken().borrow(), None, "18 are spent");
    ledger.recharge(input(3), input(4));
    assert_eq!(*ledger.broken().borrow(), Some(Limit::Usd), "19 are");
}

#[test]
fn without_prices_nothing_has_a_cost() {
    let unknown = Ledger::new(
        Budget {
            micro_usd_left: Some(1),
            ..Budget::default()
        },
        None,
    );
    unknown.recharge(Tokens::default(), output(1_000_000));
    assert_eq!(
        (unknown.cost(output(9)), *unknown.broken().borrow()),
        (None, None)
    );
}
