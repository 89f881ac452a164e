//! `majordomo mesh …`: a node in the mesh, to watch or to talk.

mod bench;
mod chat;
mod fixed;
mod line;
mod top;
mod watch;

use crate::args;
use crate::usage::Unsuccessful;

pub(super) async fn run(mesh: args::Mesh, json: bool) -> Result<(), Unsuccessful> {
    match mesh {
        args::Mesh::Watch(watch) => watch::run(watch, json).await,
        args::Mesh::Chat(chat) => chat::run(chat, json).await,
        args::Mesh::Top(settings) => top::run(settings, json).await,
        args::Mesh::Serve(settings) => fixed::serve(settings, json).await,
        args::Mesh::Send(settings) => fixed::send(settings, json).await,
        args::Mesh::Bench(settings) => bench::run(settings, json).await,
    }
}
