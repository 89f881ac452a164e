//! `majordomo keygen`: a CURVE key pair in two files; the public key goes to standard output.

use anyhow::Context;
use runtime::key_file;
use runtime::secret_file;
use serde_json::json;

use crate::args::Keygen;
use crate::output;
use crate::usage::Unsuccessful;

pub(super) fn run(settings: &Keygen, json: bool) -> Result<(), Unsuccessful> {
    let pair = key_file::generate().context("the system gives no random octets")?;
    let files = key_file::write(&settings.out, &settings.name, &pair, settings.force).map_err(|error| match error {
        secret_file::Error::Io { path, error } if error.kind() == std::io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!(
                "{}: is there already (--force replaces it, and nobody knows the old key any more)",
                path.display()
            )
        }
        error => anyhow::Error::from(error),
    })?;
    if json {
        let (secret, public) = (files.secret.to_string_lossy(), files.public.to_string_lossy());
        output::json(&json!({ "public": pair.public.to_string(), "secret_file": secret, "public_file": public }))?;
        return Ok(());
    }
    tracing::info!("{} is to be kept, {} to be shown", files.secret.display(), files.public.display());
    Ok(output::line(&pair.public.to_string())?)
}
