//! lab/bench
fn main() {}
