//! The names of a database and a collection, checked for every store alike.

use crate::limits::{COLLECTION_NAME_BYTES_MAX, DATABASE_NAME_BYTES_MAX};
use crate::refusal::{Refusal, one_line};

/// A collection of a database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace {
    database: String,
    collection: String,
}

impl Namespace {
    /// Checks two names from the wire.
    ///
    /// # Errors
    /// What MongoDB would not take as a name, its own databases and collections, and ours.
    pub fn parse(database: &[u8], collection: &[u8]) -> Result<Self, Refusal> {
        let database = text(database, "database", DATABASE_NAME_BYTES_MAX)?;
        let collection = text(collection, "collection", COLLECTION_NAME_BYTES_MAX)?;
        if ["admin", "local", "config"].contains(&database) {
            return Err(Refusal::new(format!(
                "the database \"{database}\" belongs to the server; choose another name"
            )));
        }
        if let Some(character) = database.chars().find(|it| it.is_control() || "/\\. \"$*<>:|?".contains(*it)) {
            let rule = "letters, digits, - and _ are allowed";
            return Err(Refusal::new(format!("the database name \"{database}\" contains {character:?}; {rule}")));
        }
        let dots = collection.starts_with('.') || collection.ends_with('.') || collection.contains("..");
        if dots || collection.chars().any(|character| character.is_control() || character == '$') {
            let rule = "a name has no $, no control character, and dots only between other characters";
            return Err(Refusal::new(format!("the collection name \"{}\" is malformed; {rule}", one_line(collection))));
        }
        if ["system.", RESERVED].iter().any(|prefix| collection.starts_with(prefix)) {
            let reason =
                format!("the collection \"{collection}\" belongs to the server; choose a name without that prefix");
            return Err(Refusal::new(reason));
        }
        Ok(Self { database: database.to_owned(), collection: collection.to_owned() })
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The collection's name.
    pub fn collection(&self) -> &str {
        &self.collection
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.database, self.collection)
    }
}

/// What the names of the suite's own collections begin with.
pub(crate) const RESERVED: &str = "majordomo.";

fn text<'a>(name: &'a [u8], what: &str, bytes_max: usize) -> Result<&'a str, Refusal> {
    match name.len() {
        0 => return Err(Refusal::new(format!("the {what} name is empty"))),
        bytes if bytes > bytes_max => {
            return Err(Refusal::new(format!("the {what} name has {bytes} bytes; at most {bytes_max} are allowed")));
        }
        _ => {}
    }
    std::str::from_utf8(name).map_err(|_| Refusal::new(format!("the {what} name is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(database: &str, collection: &str) -> String {
        Namespace::parse(database.as_bytes(), collection.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn ordinary_names_pass() {
        assert_eq!(Namespace::parse(b"mydb", b"Coll_PO").unwrap().to_string(), "mydb.Coll_PO");
        assert!(Namespace::parse("käse".as_bytes(), b"a.b-c d").is_ok());
    }

    #[test]
    fn names_that_belong_to_a_server_are_refused() {
        assert!(reason("admin", "a").contains("belongs to the server"));
        assert!(reason("a", "system.users").contains("belongs to the server"));
        assert!(reason("a", "majordomo.cache").contains("belongs to the server"));
    }

    #[test]
    fn malformed_names_are_refused() {
        assert!(reason("", "a").contains("database name is empty"));
        assert!(reason("a", "").contains("collection name is empty"));
        assert!(reason("a.b", "a").contains("contains '.'"));
        for collection in ["a$b", "a\0", ".a", "a.", "a..b", "a\n"] {
            assert!(reason("a", collection).contains("malformed"), "{collection:?}");
        }
        assert!(Namespace::parse(b"\xff", b"a").unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn lengths_are_met_exactly() {
        assert!(Namespace::parse(&[b'a'; 63], &[b'a'; 120]).is_ok());
        assert!(reason(&"a".repeat(64), "a").contains("at most 63"));
        assert!(reason("a", &"a".repeat(121)).contains("at most 120"));
    }
}
