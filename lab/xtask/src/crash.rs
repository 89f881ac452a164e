//! `cargo xtask crash`: Titanic's log through many crashes, or many damages, in release mode.

use cargo_metadata::Metadata;

use crate::process;

/// The command line of `cargo xtask crash`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many images of crashed disks, at least
    #[arg(long, conflicts_with_all = ["replay", "damages"], default_value_t = 100_000)]
    images: u64,
    /// How many damages instead: bits turned, sectors zeroed, swapped and put back, ends cut off
    #[arg(long)]
    damages: Option<u64>,
    /// Make one image again, as a failure names it: SEED:POINT:IMAGE
    #[arg(long, conflicts_with = "damages")]
    replay: Option<String>,
    /// The first seed, or the first damage
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// Runs them.
///
/// # Errors
/// When the simulator does not build, or an oracle objects.
pub(crate) fn run(metadata: &Metadata, arguments: &Arguments) -> anyhow::Result<()> {
    let mut command = process::cargo(&["run", "--release", "--quiet", "--package", "sim", "--"]);
    command.current_dir(&metadata.workspace_root);
    match (&arguments.replay, arguments.damages) {
        (Some(image), _) => command.args(["crash", "--replay", image]),
        (None, Some(damages)) => command.args(["damage", "--count", &damages.to_string()]),
        (None, None) => command.args(["crash", "--images", &arguments.images.to_string()]),
    };
    if arguments.replay.is_none() {
        command.args(["--from", &arguments.from.to_string()]);
    }
    process::run(&mut command)
}
