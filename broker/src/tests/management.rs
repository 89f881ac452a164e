//! The management interface (RFC 8).

use super::*;

const C: Dialect = Dialect::V01;

fn ask(bench: &mut Bench, dialect: Dialect, service: &str, body: &[&str]) -> String {
    bench.connect(9);
    let body = body.iter().map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect();
    bench.message(9, Request::new(dialect, Frames::new(), name(service), body).encode());
    bench.texts(9, dialect).join("/")
}

#[test]
fn mmi_service_counts_live_workers_idle_or_busy() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(ask(&mut bench, C, "mmi.service", &["echo"]), "404");
    bench.worker(1, C, "echo");
    assert_eq!(ask(&mut bench, C, "mmi.service", &["echo"]), "200");
    bench.request(8, C, "echo", "x");
    assert_eq!(ask(&mut bench, C, "mmi.service", &["echo"]), "200", "busy");
    bench.disconnect(1);
    assert_eq!(ask(&mut bench, C, "mmi.service", &["echo"]), "404", "gone, with a request queued");
}

#[test]
fn mmi_service_says_404_once_its_workers_have_expired() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "echo");
    bench.pass(seconds(8));
    assert_eq!(ask(&mut bench, C, "mmi.service", &["echo"]), "404");
}

#[test]
fn mmi_is_answered_in_every_dialect_with_one_final_frame() {
    let mut bench = Bench::new(Config::default());
    for dialect in [Dialect::V01, Dialect::V02, Dialect::V02Delimited, Dialect::V02Majortomo] {
        assert_eq!(ask(&mut bench, dialect, "mmi.service", &["none"]), "404");
    }
}

#[test]
fn what_mmi_does_not_define_is_501_and_other_names_are_services() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(ask(&mut bench, C, "mmi.nonesuch", &["x"]), "501");
    bench.worker(1, C, "mmix");
    bench.request(8, C, "mmix", "x");
    assert_eq!(bench.job(1, C).1, "x");
}

#[test]
fn a_disabled_command_is_answered_with_a_nak_and_the_others_go_through() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "MM");
    assert_eq!(ask(&mut bench, C, "mmi.filter", &["disable", "MM", "PODelete"]), "200");
    bench.request(8, C, "MM", "PODelete");
    assert_eq!(bench.texts(8, C), ["403 command is disabled"]);
    bench.request(8, C, "MM", "POSelect");
    assert_eq!(bench.job(1, C).1, "POSelect");
}

#[test]
fn an_enabled_command_goes_through_again() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "MM");
    ask(&mut bench, C, "mmi.filter", &["disable", "MM", "PODelete"]);
    assert_eq!(ask(&mut bench, C, "mmi.filter", &["enable", "MM", "PODelete"]), "200");
    bench.request(8, C, "MM", "PODelete");
    assert_eq!(bench.job(1, C).1, "PODelete");
}

#[test]
fn a_filter_outlives_the_workers_of_its_service() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "MM");
    ask(&mut bench, C, "mmi.filter", &["disable", "MM", "PODelete"]);
    bench.disconnect(1);
    bench.worker(2, C, "MM");
    bench.request(8, C, "MM", "PODelete");
    assert_eq!(bench.jobs(2, C), []);
}

#[test]
fn a_malformed_filter_says_what_is_allowed() {
    let mut bench = Bench::new(Config::default());
    let answer = ask(&mut bench, C, "mmi.filter", &["maybe", "MM", "PODelete"]);
    assert_eq!(answer, "400 mmi.filter: the operation is enable or disable");
}

#[test]
fn filter_commands_per_service_max_is_met_and_not_passed() {
    let mut bench = Bench::new(Config::default());
    for number in 0..protocol::limits::FILTER_COMMANDS_PER_SERVICE_MAX {
        assert_eq!(ask(&mut bench, C, "mmi.filter", &["disable", "MM", &number.to_string()]), "200");
    }
    assert_eq!(ask(&mut bench, C, "mmi.filter", &["disable", "MM", "one more"]), "400 no room for another filter");
    assert_eq!(ask(&mut bench, C, "mmi.filter", &["disable", "MM", "0"]), "200", "known already");
}

#[test]
fn mmi_services_reports_a_json_line_a_service() {
    let mut bench = Bench::new(Config::default());
    bench.worker(1, C, "echo");
    bench.worker(2, C, "echo");
    bench.request(8, C, "echo", "x");
    bench.request(8, C, "absent", "x");
    assert_eq!(
        ask(&mut bench, C, "mmi.services", &[""]),
        "200|{\"service\":\"absent\",\"workers\":0,\"waiting\":0,\"queued\":1,\"in_flight\":0,\"draining\":false}\n\
         {\"service\":\"echo\",\"workers\":2,\"waiting\":1,\"queued\":0,\"in_flight\":1,\"draining\":false}\n"
    );
}
