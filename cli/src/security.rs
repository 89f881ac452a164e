//! What the security flags come to: keys and passwords are read, combinations that protect nobody are refused.

use std::sync::Arc;

use broker::access::{AllowTable, Sources};
use runtime::zmtp::{Endpoint, Login, Mechanism, Options};
use runtime::{key_file, secret_file};

use crate::args::{Security, User};
use crate::usage::Problem;

/// The options of a socket that connects.
///
/// # Errors
/// Flags that do not go together, and files that hold nothing usable; the text names flag and file.
pub(crate) fn connecting(settings: &Security) -> Result<Options, Problem> {
    if settings.allow.is_some() {
        tracing::warn!("--allow means nothing to a command that does not bind");
    }
    let mechanism = match (&settings.curve_server_key, &settings.curve_secret, settings.plain.as_slice()) {
        (None, None, []) => Mechanism::Null,
        (Some(server), Some(secret), []) => {
            let keys = key_file::read(secret).map_err(|error| about("--curve-secret", &error))?;
            Mechanism::CurveClient { keys: Arc::new(keys), server: *server }
        }
        (None, None, [user]) => Mechanism::PlainClient(Arc::new(login(user)?)),
        (None, None, _) => {
            return Err(Problem::new("--plain: a command that connects is one user (allowed: once)".to_owned()));
        }
        (Some(_), None, []) => {
            let text = "--curve-server-key needs --curve-secret FILE as well (majordomo keygen makes one)";
            return Err(Problem::new(text.to_owned()));
        }
        (None, Some(_), []) => {
            let text = "--curve-secret needs --curve-server-key KEY as well: the public key of the server";
            return Err(Problem::new(text.to_owned()));
        }
        (_, _, [..]) => return Err(two_mechanisms()),
    };
    Ok(Options { mechanism, domain: settings.domain.clone().unwrap_or_default(), ..Options::default() })
}

/// How a socket that binds asks its peers who they are, and whom it lets in; without a table everybody.
///
/// # Errors
/// As [`connecting`]; and endpoints beyond loopback over which secrets would travel in clear text.
pub(crate) fn binding(settings: &Security, endpoints: &[Endpoint]) -> Result<(Options, Option<AllowTable>), Problem> {
    if settings.curve_server_key.is_some() {
        tracing::warn!("--curve-server-key means nothing to a command that only binds: its own key is --curve-secret");
    }
    let mechanism = match (&settings.curve_secret, settings.plain.is_empty() && settings.allow.is_none()) {
        (Some(_), _) if !settings.plain.is_empty() => return Err(two_mechanisms()),
        (Some(secret), _) => {
            let keys = key_file::read(secret).map_err(|error| about("--curve-secret", &error))?;
            Mechanism::CurveServer(Arc::new(keys))
        }
        (None, true) => Mechanism::Null,
        (None, false) => Mechanism::PlainServer,
    };
    if !settings.insecure && !matches!(mechanism, Mechanism::CurveServer(_)) {
        endpoints.iter().try_for_each(|endpoint| refuse_open(endpoint, &mechanism))?;
    }
    let table = table(settings, &mechanism)?;
    let options = Options { mechanism, domain: settings.domain.clone().unwrap_or_default(), ..Options::default() };
    Ok((options, table))
}

fn table(settings: &Security, mechanism: &Mechanism) -> Result<Option<AllowTable>, Problem> {
    if settings.allow.is_none() && settings.plain.is_empty() {
        if let Mechanism::CurveServer(_) = mechanism {
            tracing::warn!("without --allow everybody may come in who knows our public key, and do everything");
        }
        return Ok(None);
    }
    let plain = settings.plain.iter().map(|user| (user.name.clone(), user.password_file.clone())).collect();
    let table = AllowTable::open(Sources { allow: settings.allow.clone(), plain });
    let table = table.map_err(|error| Problem::new(error.to_string()))?;
    let (keys, users) = (table.current().keys(), table.current().users());
    match mechanism {
        Mechanism::PlainServer if users == 0 && keys > 0 => {
            let text = "--allow names keys only: they are of use with --curve-secret FILE (majordomo keygen makes one)";
            return Err(Problem::new(text.to_owned()));
        }
        Mechanism::CurveServer(_) if users > 0 => {
            tracing::warn!("{users} users of --allow cannot come in: with --curve-secret only keys do");
        }
        _ => {}
    }
    Ok(Some(table))
}

/// Anybody on the way could read along: beyond loopback that has to be said aloud.
fn refuse_open(endpoint: &Endpoint, mechanism: &Mechanism) -> Result<(), Problem> {
    if endpoint.is_local() {
        return Ok(());
    }
    let what = match mechanism {
        Mechanism::Null => "a bind beyond loopback is neither encrypted nor authenticated",
        _ => "a bind beyond loopback shows passwords to everybody on the way",
    };
    Err(Problem::new(format!(
        "--bind {endpoint}: {what} (allowed: --curve-secret FILE, a loopback address, an ipc:// path, or --insecure)"
    )))
}

fn two_mechanisms() -> Problem {
    Problem::new("--plain and the --curve flags are two mechanisms (allowed: one of them)".to_owned())
}

fn login(user: &User) -> Result<Login, Problem> {
    let password = secret_file::read_password(&user.password_file).map_err(|error| about("--plain", &error))?;
    Login::new(user.name.clone(), password.to_vec()).map_err(|error| Problem::new(format!("--plain: {error}")))
}

fn about(flag: &str, error: &secret_file::Error) -> Problem {
    Problem::new(format!("{flag} {error}"))
}
