//! Titanic's log through ten thousand damages: each is found, takes what it hit, and nothing else.

use sim::damage::run;

#[test]
fn every_damage_is_found_and_takes_only_what_it_hit() {
    let report = run(0, if cfg!(debug_assertions) { 10_000 } else { 100_000 }, |_| {});
    assert_eq!(report.objections, []);
    assert!(report.hits > report.made / 2 && report.lost > report.made / 2, "{report:?}");
}
