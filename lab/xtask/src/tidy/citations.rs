//! docs/PROTOCOLS.md says which test shows each rule; this holds it to its word: every test that it names exists.
//!
//! A test is named in backticks by a file, `broker/src/machine.rs::name_of_test`, or by a crate and its modules,
//! `broker::machine::name_of_test`. Names without an underscore, as in `tower::Service`, are not taken for tests.

use crate::rust_source::{code_of, in_name};
use crate::tree::{File, Tree};
use crate::violation::Violation;

/// Every test that is named and does not exist.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(document) = tree.at(DOCUMENT) else {
        return vec![Violation::new(DOCUMENT, "is missing", "a document that names a test for each rule")];
    };
    let mut violations = Vec::new();
    for (at, line) in document.text.lines().enumerate() {
        for citation in line.split('`').skip(1).step_by(2).filter_map(|quoted| Citation::parse(quoted, tree)) {
            if !tree.with_extension("rs").any(|file| citation.stands_in(file)) {
                let fault = format!("names the test {}, which does not exist", citation.text);
                violations.push(Violation::new(format!("{DOCUMENT}:{}", at + 1), fault, ALLOWED));
            }
        }
    }
    violations
}

/// A test as the document names it.
struct Citation<'document> {
    text: &'document str,
    /// A file, or a crate's folder.
    place: &'document str,
    modules: Vec<&'document str>,
    test: &'document str,
}

impl<'document> Citation<'document> {
    /// `None` when the quoted text names something else than a test.
    fn parse(text: &'document str, tree: &Tree) -> Option<Self> {
        let (path, test) = text.rsplit_once("::")?;
        let mut modules = path.split("::");
        let place = modules.next()?;
        let is_crate = tree.files.iter().any(|file| file.path == format!("{place}/Cargo.toml"));
        let names_test = test.contains('_') && test.chars().all(in_name) && test.to_lowercase() == test;
        let known = place.ends_with(".rs") || (is_crate && names_test);
        known.then(|| Self { text, place, modules: modules.filter(|module| *module != "tests").collect(), test })
    }

    fn stands_in(&self, file: &File) -> bool {
        let here = file.path == self.place || file.path.starts_with(&format!("{}/", self.place));
        here && file.text.contains(self.test) && {
            let code = code_of(&file.text);
            let within = |module: &&str| lies_within(&file.path, module) || code.contains(&format!("mod {module} {{"));
            self.modules.iter().all(within) && has_test(&code, self.test)
        }
    }
}

/// Whether the module's name is a folder or the file itself in `path`.
fn lies_within(path: &str, module: &str) -> bool {
    path.split('/').any(|part| part.strip_suffix(".rs").unwrap_or(part) == module)
}

/// Whether `code` has a function of this name below a test attribute; other attributes may stand between.
fn has_test(code: &str, name: &str) -> bool {
    let mut attributes = Vec::new();
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if line.contains(&format!("fn {name}(")) {
            return attributes.iter().any(|attribute| attribute.contains("test"));
        } else if !line.is_empty() {
            attributes.clear();
        }
    }
    false
}

const DOCUMENT: &str = "docs/PROTOCOLS.md";
const ALLOWED: &str = "`path/of/file.rs::test` or `crate::module::test` of a test in the tree";

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r"//! Head.
#[cfg(test)]
mod tests {
    #[test]
    #[should_panic]
    fn a_claim() {}

    #[tokio::test]
    async fn b_claim() {}

    fn no_claim() {}
}
";

    fn lines(document: &str) -> Vec<String> {
        let files = [
            (DOCUMENT, document),
            ("broker/Cargo.toml", ""),
            ("broker/src/roster.rs", SOURCE),
            ("client/Cargo.toml", ""),
        ];
        check(&Tree::drawn(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_may_be_named_by_file_or_by_crate_and_module() {
        let document =
            "`broker/src/roster.rs::a_claim`, `broker::roster::a_claim` and `broker::roster::tests::b_claim`";
        assert_eq!(lines(document), Vec::<String>::new());
        assert_eq!(lines("`broker::a_claim`"), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_does_not_exist_is_found_with_its_line() {
        let document = "# Rules\n| must | `broker::roster::z_claim` |\n";
        let allowed = "`path/of/file.rs::test` or `crate::module::test` of a test in the tree";
        let fault = "names the test broker::roster::z_claim, which does not exist";
        assert_eq!(lines(document), [format!("docs/PROTOCOLS.md:2: {fault}; allowed: {allowed}")]);
    }

    #[test]
    fn a_function_that_is_no_test_or_lies_elsewhere_does_not_count() {
        for named in
            ["broker::roster::no_claim", "client::roster::a_claim", "broker::service::a_claim", "a/b.rs::a_claim"]
        {
            assert_eq!(lines(&format!("`{named}`")).len(), 1, "{named}");
        }
    }

    #[test]
    fn types_and_foreign_paths_are_not_taken_for_tests() {
        assert_eq!(lines("`tower::Service`, `broker::Config`, `serde_json::to_string`, `a`"), Vec::<String>::new());
    }

    #[test]
    fn a_missing_document_is_found() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
