//! The peer of appendix B, run as it stands in the document: what it says and hears are the vectors of appendix A.
//!
//! The Python is `MAJORDOMO_TEST_PYTHON`, else `python3`; nothing but its standard library is used. Without one this
//! fails, unless `MAJORDOMO_TEST_OFFLINE=1` allows to go on without.

use std::fmt::Write as _;
use std::process::Command;

use super::document::{python, vector};

#[test]
fn the_peer_of_the_appendix_says_and_hears_the_vectors() {
    let interpreter = std::env::var("MAJORDOMO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = match Command::new(&interpreter).arg("-c").arg(format!("{}\n{}", python(), checks())).output() {
        Ok(output) => output,
        Err(error) => {
            let offline = std::env::var("MAJORDOMO_TEST_OFFLINE").is_ok_and(|value| value == "1");
            assert!(offline, "{interpreter} does not run: {error}; MAJORDOMO_TEST_OFFLINE=1 goes on without it");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "10 checks");
}

/// The vectors as Python, and what has to hold.
fn checks() -> String {
    let mut script = String::from("v = {}\n");
    for name in [
        "client-request",
        "client-request-with-options",
        "client-partial",
        "client-final",
        "client-final-draining",
        "worker-request",
        "worker-request-of-an-old-client",
        "worker-final",
        "worker-final-failed",
    ] {
        let frames: Vec<_> = vector(name).iter().map(|frame| frame.escape_ascii().to_string()).collect();
        writeln!(script, "v['{name}'] = [b'{}']", frames.join("', b'")).unwrap();
    }
    script + CHECKS
}

const CHECKS: &str = r#"
id = bytes(17 * n for n in range(16))
trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
terms = [(0xB0, b"\xbe\xef"), (1, struct.pack(">I", 2500)), (2, b"\x09"), (0x43, b"\x02"), (0x81, trace)]
checks = [
    (request(id, b"echo", [b"hi"]), v["client-request"]),
    (request(id, b"echo", [b"hi", b""], *terms), v["client-request-with-options"]),
    (answer(v["client-partial"]), (id, 0, None, [b"hi"])),
    (answer(v["client-final"]), (id, 1, 200, [b"hi"])),
    (answer(v["client-final-draining"]), (id, 0, 503, [])),
    (ready(64, 2500, b"echo", b"add"), [b"MDPW03\x01\0\0\0\x40\0\0\x09\xc4", b"\x04echo", b"\x03add"]),
    (job(v["worker-request"]), (7, 1, 2500, id, b"echo", [b"hi"])),
    (job(v["worker-request-of-an-old-client"]), (7, 2, 0xFFFFFFFF, bytes(16), b"echo", [b"hi"])),
    (final(7, 1, 200, [b"hi"]), v["worker-final"]),
    (final(7, 0, 500, [], (4, b"no")), v["worker-final-failed"]),
]
for said, expected in checks:
    assert said == expected, (said, expected)
print(len(checks), "checks")
"#;
