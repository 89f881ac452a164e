//! The rule about seeded bugs: only a program of the lab may switch them on, and only when somebody asks it to.

use super::graph::{Crate, Graph};
use super::rules::MUTANTS_FEATURE;
use crate::violation::Violation;

/// Every crate of the graph that brings the seeded bugs into a build.
pub(crate) fn check(graph: &Graph) -> Vec<Violation> {
    graph.crates.iter().flat_map(|(name, krate)| of_crate(name, krate)).collect()
}

fn of_crate(name: &str, krate: &Crate) -> Vec<Violation> {
    let allowed = format!("only behind a feature {MUTANTS_FEATURE} of a program in lab/");
    let imports = krate.imports.iter().filter(|import| import.features.iter().any(|entry| brings_mutants(entry)));
    let imports = imports.map(|import| format!("imports {} with its feature {MUTANTS_FEATURE}", import.name));
    let may_pass_on = |feature: &String| krate.folder.starts_with("lab/") && feature == MUTANTS_FEATURE;
    let features = krate
        .features
        .iter()
        .filter(|(feature, entries)| !may_pass_on(feature) && entries.iter().any(|entry| brings_mutants(entry)));
    let features = features.map(|(feature, _)| format!("its feature {feature} brings in seeded bugs"));
    imports.chain(features).map(|fault| Violation::new(name, fault, allowed.clone())).collect()
}

/// Whether an entry switches them on: `mutants`, `protocol/mutants`, `protocol?/mutants`.
fn brings_mutants(entry: &str) -> bool {
    entry.rsplit('/').next() == Some(MUTANTS_FEATURE)
}

#[cfg(test)]
mod tests {
    use super::super::graph::Import;
    use super::*;

    fn after(name: &str, folder: &str, change: impl FnOnce(&mut Crate)) -> Vec<String> {
        let mut krate = Crate { folder: folder.into(), ..Crate::default() };
        change(&mut krate);
        let graph = Graph { crates: [(name.to_owned(), krate)].into(), ..Graph::default() };
        check(&graph).iter().map(ToString::to_string).collect()
    }

    fn feature(name: &str, entry: &str) -> impl FnOnce(&mut Crate) {
        move |krate| {
            krate.features.insert(name.into(), vec![entry.into()]);
        }
    }

    #[test]
    fn the_simulator_may_ask_for_them_and_protocol_may_have_them() {
        assert_eq!(after("sim", "lab/sim", feature("mutants", "protocol/mutants")), [""; 0]);
        let declared = |krate: &mut Crate| drop(krate.features.insert("mutants".into(), Vec::new()));
        assert_eq!(after("protocol", "protocol", declared), [""; 0]);
    }

    #[test]
    fn no_default_feature_and_no_feature_of_the_product_brings_them() {
        for (name, folder, of, entry) in [
            ("protocol", "protocol", "default", "mutants"),
            ("sim", "lab/sim", "default", "mutants"),
            ("broker", "broker", "mutants", "protocol/mutants"),
            ("majordomo", "cli", "extra", "protocol?/mutants"),
        ] {
            assert_eq!(after(name, folder, feature(of, entry)).len(), 1, "{name}");
        }
    }

    #[test]
    fn no_dependency_brings_them() {
        let import = Import { name: "protocol".into(), dev: false, optional: false, features: vec!["mutants".into()] };
        let lines = after("majordomo", "cli", |krate| krate.imports.push(import));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("majordomo: imports protocol with its feature mutants; allowed"), "{lines:?}");
    }
}
