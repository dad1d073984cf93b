//! Tests of `plan::room`.

use super::*;

#[test]
fn levels_are_ordered_and_read_back_the_same() {
    let levels = [RoomLevel::None, RoomLevel::Landlock, RoomLevel::Sealed];
    assert!(levels.is_sorted());
    for level in levels {
        assert_eq!(level.to_string().parse(), Ok(level));
        assert_eq!(
            serde_json::to_string(&level).expect("a level is text"),
            format!("\"{level}\"")
        );
    }
    assert_eq!("best".parse::<RoomLevel>(), Err(BadRoomLevel));
}

#[test]
fn a_closed_network_demands_a_room_unless_the_plan_accepts_none() {
    let room = |least| Room {
        least,
        ..Room::default()
    };
    let demand = |least, network: Network| room(least).demand([&Network::Open, &network]);
    assert_eq!(demand(None, Network::None), Demand::ClosedNetwork);
    assert_eq!(
        demand(
            None,
            Network::Allow(vec!["a.example".parse().expect("a host")])
        ),
        Demand::ClosedNetwork
    );
    assert_eq!(demand(None, Network::Model), Demand::Nothing);
    assert_eq!(
        demand(Some(RoomLevel::None), Network::None),
        Demand::Nothing
    );
    assert_eq!(
        demand(Some(RoomLevel::Sealed), Network::None).least(),
        RoomLevel::Sealed
    );
    assert_eq!(Demand::ClosedNetwork.least(), RoomLevel::Landlock);
}

#[test]
fn networks_are_serialized_as_plans_write_them() {
    for (network, expect) in [
        (Network::None, r#""none""#),
        (Network::Model, r#""model""#),
        (Network::Open, r#""open""#),
        (
            Network::Allow(vec!["example.com".parse().expect("a host")]),
            r#"{"allow":["example.com"]}"#,
        ),
    ] {
        let text = serde_json::to_string(&network).expect("a network is text or a map");
        assert_eq!(text, expect);
        assert_eq!(
            serde_json::from_str::<Network>(&text).expect("it was just written"),
            network
        );
    }
    assert!(serde_json::from_str::<Network>(r#"{"allow":["10.0.0.1"]}"#).is_err());
}
