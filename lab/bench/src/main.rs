//! `bench`: not finished yet as a program; the generator is in the library.
fn main() {}
