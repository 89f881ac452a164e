//! lab/xtask
fn main() {}
