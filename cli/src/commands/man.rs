//! `majordomo man`: one page for the command and all its subcommands, from the same definitions as the flags.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::output;

pub(super) fn print() -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    for subcommand in subcommands(&command, "majordomo") {
        let man = Man::new(subcommand);
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    output::bytes(&page)
}

/// Every command below this one, named as it is typed.
fn subcommands(command: &clap::Command, path: &str) -> Vec<clap::Command> {
    let below = command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
    below
        .flat_map(|subcommand| {
            let path = format!("{path} {}", subcommand.get_name());
            let named = subcommand.clone().name(path.clone()).bin_name(path.clone());
            std::iter::once(named).chain(subcommands(subcommand, &path))
        })
        .collect()
}
