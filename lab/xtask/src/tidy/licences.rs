//! Licences of everything that we link: only such as ask no more of our users than to keep a notice.

use cargo_metadata::Metadata;

use crate::violation::Violation;

/// A foreign package and its licence, an SPDX expression.
#[derive(Debug)]
pub(crate) struct Package {
    name: String,
    licence: Option<String>,
}

/// Every package that Cargo.lock pins and that is not ours.
pub(crate) fn packages(metadata: &Metadata) -> Vec<Package> {
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some());
    foreign.map(|package| Package { name: package.name.to_string(), licence: package.license.clone() }).collect()
}

/// Every package whose licence offers no allowed choice.
pub(crate) fn check(packages: &[Package]) -> Vec<Violation> {
    packages.iter().filter_map(check_package).collect()
}

fn check_package(package: &Package) -> Option<Violation> {
    let allowed = ALLOWED.join(", ");
    let Some(licence) = &package.licence else {
        return Some(Violation::new(&package.name, "names no licence", allowed));
    };
    let excepted = EXCEPTED.iter().any(|(name, except, _)| *name == package.name && except == licence);
    let fine = excepted || satisfied(licence);
    (!fine).then(|| Violation::new(&package.name, format!("is licensed {licence}"), allowed))
}

/// Whether some choice in the expression is allowed. `AND` binds tighter than `OR`; the old `/` means `OR`.
fn satisfied(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let fine = any_of(&mut words);
    fine && words.next().is_none()
}

type Words<'text> = std::iter::Peekable<std::str::SplitWhitespace<'text>>;

fn any_of(words: &mut Words<'_>) -> bool {
    let mut fine = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        let right = all_of(words);
        fine = fine || right;
    }
    fine
}

fn all_of(words: &mut Words<'_>) -> bool {
    let mut fine = one_of(words);
    while words.next_if_eq(&"AND").is_some() {
        let right = one_of(words);
        fine = fine && right;
    }
    fine
}

fn one_of(words: &mut Words<'_>) -> bool {
    match words.next() {
        Some("(") => {
            let fine = any_of(words);
            words.next_if_eq(&")").is_some() && fine
        }
        Some(name) => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            ALLOWED.contains(&name) && exception.is_none_or(|exception| exception == "LLVM-exception")
        }
        None => false,
    }
}

const ALLOWED: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
];

/// Packages that we take with another licence: name, that licence and why it asks nothing more.
const EXCEPTED: &[(&str, &str, &str)] =
    &[("webpki-roots", "CDLA-Permissive-2.0", "a licence for data: Mozilla's list of certificate authorities")];

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(name: &str, licence: Option<&str>) -> Vec<Violation> {
        check(&[Package { name: name.into(), licence: licence.map(Into::into) }])
    }

    #[test]
    fn one_allowed_choice_is_enough() {
        for licence in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "Unlicense OR MIT",
        ] {
            assert_eq!(violations("a", Some(licence)), [], "{licence}");
        }
    }

    #[test]
    fn every_part_of_an_and_counts() {
        for licence in [
            "MPL-2.0",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND MPL-2.0",
            "LGPL-3.0 OR (MIT AND GPL-2.0)",
            "MIT WITH Something-exception",
            "(MIT",
            "MIT MIT",
            "",
        ] {
            assert_eq!(violations("a", Some(licence)).len(), 1, "{licence}");
        }
    }

    #[test]
    fn no_licence_at_all_is_refused() {
        assert_eq!(violations("a", None).len(), 1);
    }

    #[test]
    fn an_exception_is_for_one_package_and_one_licence() {
        assert_eq!(violations("webpki-roots", Some("CDLA-Permissive-2.0")), []);
        assert_eq!(violations("webpki-roots", Some("MPL-2.0")).len(), 1);
        assert_eq!(violations("other", Some("CDLA-Permissive-2.0")).len(), 1);
    }
}
