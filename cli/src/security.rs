//! What the security flags come to: keys and passwords are read, combinations that protect nobody are refused.

use std::sync::Arc;

use broker::access::{AllowTable, Sources};
use mesh::Trust;
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Credentials, Decision, Endpoint, Login, Mechanism, Options};
use runtime::{key_file, secret_file};

use crate::args::{MemberKeys, Security, User};
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

/// How a socket that binds asks its peers who they are, and whom it lets in; without a table everybody, who then `may`
/// do what these words say.
///
/// # Errors
/// As [`connecting`]; and endpoints beyond loopback over which secrets would travel in clear text.
pub(crate) fn binding(
    settings: &Security,
    endpoints: &[Endpoint],
    may: &str,
) -> Result<(Options, Option<AllowTable>), Problem> {
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
    let table = table(settings, &mechanism, may)?;
    let options = Options { mechanism, domain: settings.domain.clone().unwrap_or_default(), ..Options::default() };
    Ok((options, table))
}

/// Whose company a command that connects keeps in the mesh: that of the server whose key it knows, or, where it knows
/// none, of everybody who has a key. `None` without a key of our own: then the mesh is that of those who have none.
///
/// # Errors
/// As [`connecting`].
pub(crate) fn trust(settings: &Security) -> Result<Option<Trust>, Problem> {
    let Some(secret) = &settings.curve_secret else { return Ok(None) };
    let keys = Arc::new(key_file::read(secret).map_err(|error| about("--curve-secret", &error))?);
    Ok(Some(match settings.curve_server_key {
        Some(server) => Trust::of(keys, move |key| *key == server),
        None => Trust::everybody(keys),
    }))
}

/// Whose company a server keeps in the mesh: that of those who may connect to it.
pub(crate) fn server_trust(options: &Options, table: Option<&AllowTable>) -> Option<Trust> {
    let Mechanism::CurveServer(keys) = &options.mechanism else { return None };
    Some(of_table(Arc::clone(keys), table.cloned()))
}

/// The same for a member that is no server.
///
/// # Errors
/// Files that hold nothing usable.
pub(crate) fn member_trust(keys: &MemberKeys) -> Result<Option<Trust>, Problem> {
    let Some(secret) = &keys.curve_secret else { return Ok(None) };
    let own = Arc::new(key_file::read(secret).map_err(|error| about("--curve-secret", &error))?);
    let sources = Sources { allow: keys.allow.clone(), ..Sources::default() };
    let table = keys.allow.as_ref().map(|_| AllowTable::open(sources)).transpose();
    Ok(Some(of_table(own, table.map_err(|error| Problem::new(error.to_string()))?)))
}

fn of_table(keys: Arc<KeyPair>, table: Option<AllowTable>) -> Trust {
    match table {
        Some(table) => {
            Trust::of(keys, move |key| matches!(table.current().decide(&Credentials::Curve(*key)), Decision::Allow(_)))
        }
        None => Trust::everybody(keys),
    }
}

fn table(settings: &Security, mechanism: &Mechanism, may: &str) -> Result<Option<AllowTable>, Problem> {
    if settings.allow.is_none() && settings.plain.is_empty() {
        if let Mechanism::CurveServer(_) = mechanism {
            tracing::warn!("without --allow everybody may come in who knows our public key, and {may}");
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

/// As [`binding`] refuses an endpoint where there are no keys.
///
/// # Errors
/// It lies beyond loopback.
pub(crate) fn refuse_clear(endpoint: &Endpoint) -> Result<(), Problem> {
    if endpoint.is_local() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "--bind {endpoint}: a bind beyond loopback is neither encrypted nor authenticated (allowed: a loopback \
         address, an ipc:// path, or --insecure)"
    )))
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
