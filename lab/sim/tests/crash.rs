//! Titanic's log through ten thousand crashes: what was acknowledged is there, and nothing else is.

use sim::crash::run;
use sim::disk::FaultKind;

#[test]
fn ten_thousand_images_keep_what_was_acknowledged_and_hold_nothing_else() {
    // A few runs make so many images: these are some in which everything goes wrong that can.
    let report = run(8, 10_000, |_| {});
    assert_eq!(report.violations, []);
    assert!(report.images >= 10_000 && report.promises > 10 * report.images, "{report:?}");
    assert!(report.torn > report.images / 20, "{} of {} images are torn", report.torn, report.images);
    for kind in [
        FaultKind::LostSector,
        FaultKind::StaleSector,
        FaultKind::TornSector,
        FaultKind::TornWrite,
        FaultKind::ReorderedWrite,
        FaultKind::LostLength,
        FaultKind::WriteError,
        FaultKind::ShortWrite,
        FaultKind::FlushError,
        FaultKind::DroppedSector,
        FaultKind::NoSpace,
    ] {
        assert!(report.faults.of(kind) > 0, "{kind:?} never took effect");
    }
}
