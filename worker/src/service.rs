//! A service as a worker offers it: its name, and what people and programs may know of it.

use protocol::ServiceName;
use protocol::mdp::v03::Offer;
use protocol::mdp::v03::options::Builder;

use crate::config::Misuse;

/// A service that a worker offers; a name becomes one by `into()`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Service {
    name: Vec<u8>,
    options: Builder,
}

impl Service {
    /// A service of this name, 1 to 255 bytes.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self { name: name.as_ref().to_vec(), options: Builder::default() }
    }

    /// Its version, up to 255 bytes.
    pub fn version(self, version: &str) -> Self {
        Self { options: self.options.version(version), ..self }
    }

    /// What it is good for, up to 1024 bytes.
    pub fn description(self, description: &str) -> Self {
        Self { options: self.options.description(description), ..self }
    }

    /// What its requests and answers look like, or where that is found; up to 16 KiB with all else.
    pub fn schema(self, schema: &str) -> Self {
        Self { options: self.options.schema(schema), ..self }
    }

    pub(crate) fn into_offer(self) -> Result<Offer, Misuse> {
        let bytes = self.name.len();
        let service = ServiceName::new(self.name).map_err(|_| Misuse::ServiceName { bytes })?;
        let options = self.options.finish_offer().map_err(|fault| Misuse::Metadata(format!("{service}: {fault}")))?;
        Ok(Offer { service, options })
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Service {
    fn from(name: &T) -> Self {
        Self::new(name)
    }
}

impl From<String> for Service {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<ServiceName> for Service {
    fn from(name: ServiceName) -> Self {
        Self::new(name.as_bytes())
    }
}
