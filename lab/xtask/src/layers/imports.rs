//! The rules about dependencies: pure functions from a [`Graph`] to violations.

use super::graph::{Crate, Graph, Import, Lints};
use super::rules::{
    DRIVER, DRIVER_FEATURE, FIXTURES, IMPURE, Imports, NEVER_IMPORTED, Purity, RULES, Rule, UNSAFE_CRATE,
};
use crate::violation::Violation;

/// Everything that is wrong with the graph.
pub(crate) fn check(graph: &Graph) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !graph.unsafe_forbidden {
        let allowed = "unsafe_code = \"forbid\" under [workspace.lints.rust]";
        violations.push(Violation::new("Cargo.toml", "the shared lints do not forbid unsafe", allowed));
    }
    for (name, krate) in &graph.crates {
        violations.extend(lints(name, krate));
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            violations.push(Violation::new(
                name,
                "is in no row of the layer table",
                "a row in xtask's layers/rules.rs",
            ));
            continue;
        };
        for import in &krate.imports {
            violations.extend(imported_at_all(graph, name, import));
            violations.extend(imported_by(graph, rule, import));
            violations.extend(driver_behind_its_feature(rule, krate, import));
        }
        violations.extend(pulled(rule, krate));
    }
    violations
}

fn lints(name: &str, krate: &Crate) -> Option<Violation> {
    let (right, allowed) = match name {
        UNSAFE_CRATE => (Lints::SharedButUnsafe, "the shared lints with unsafe_code = \"deny\""),
        _ => (Lints::Shared, "[lints] workspace = true"),
    };
    let fault = "does not take the shared lints, so it could use unsafe";
    (krate.lints != right).then(|| Violation::new(name, fault, allowed))
}

/// Nothing imports examples or the lab; tests may use the fixtures there.
fn imported_at_all(graph: &Graph, name: &str, import: &Import) -> Option<Violation> {
    let imported = graph.crates.get(&import.name)?;
    let top = imported.folder.split('/').next()?;
    let is_lab = graph.crates.get(name).is_some_and(|krate| krate.folder.starts_with("lab/"));
    if !NEVER_IMPORTED.contains(&top) || ((import.dev || is_lab) && FIXTURES.contains(&import.name.as_str())) {
        return None;
    }
    let fault = format!("imports {}, which lives in {top}/", import.name);
    Some(Violation::new(name, fault, format!("dev-dependencies on {}", FIXTURES.join(", "))))
}

/// The table itself, for what the crate ships; its tests may import more, as long as they leave it pure.
fn imported_by(graph: &Graph, rule: &Rule, import: &Import) -> Option<Violation> {
    if import.dev {
        let breaks = rule.purity == Purity::Always && IMPURE.contains(&import.name.as_str());
        let fault = format!("its tests import {}, and it must stay pure", import.name);
        return breaks.then(|| Violation::new(rule.name, fault, "tests with time as numbers"));
    }
    let Imports::Only(allowed) = rule.imports else { return None };
    if !graph.crates.contains_key(&import.name) || allowed.contains(&import.name.as_str()) {
        return None;
    }
    let allowed = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
    Some(Violation::new(rule.name, format!("imports {}", import.name), allowed))
}

/// A machine's crate may reach its driver only through the feature that the simulator switches off.
fn driver_behind_its_feature(rule: &Rule, krate: &Crate, import: &Import) -> Option<Violation> {
    if rule.purity != Purity::WithoutDefaultFeatures || import.dev || import.name != DRIVER {
        return None;
    }
    let allowed = format!("{DRIVER} only behind the feature {DRIVER_FEATURE}");
    if !import.optional {
        return Some(Violation::new(rule.name, format!("imports {DRIVER} unconditionally"), allowed));
    }
    let enablers = krate.features.iter().filter(|(_, enabled)| enabled.iter().any(|entry| enables_driver(entry)));
    let other = enablers.map(|(feature, _)| feature).find(|feature| *feature != DRIVER_FEATURE)?;
    Some(Violation::new(rule.name, format!("its feature {other} brings in {DRIVER}"), allowed))
}

/// Whether an entry of `[features]` switches the driver on: `dep:runtime`, `runtime`, `runtime/x`; not `runtime?/x`.
fn enables_driver(entry: &str) -> bool {
    entry.strip_prefix("dep:").unwrap_or(entry).split('/').next() == Some(DRIVER)
}

fn pulled(rule: &Rule, krate: &Crate) -> Vec<Violation> {
    if rule.purity == Purity::Never {
        return Vec::new();
    }
    let impure = IMPURE.iter().filter(|package| krate.pulled.contains(**package));
    let fault = |package: &&str| format!("pulls {package} even with default features off");
    impure.map(|package| Violation::new(rule.name, fault(package), "neither clock, socket nor random source")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph that keeps every rule, for a test to break in one place.
    fn house() -> Graph {
        let mut graph = Graph { unsafe_forbidden: true, ..Graph::default() };
        for rule in RULES {
            let folder = match rule.name {
                "bench" | "fixtures" | "xtask" | "sim" => format!("lab/{}", rule.name),
                "majordomo" => "cli".to_owned(),
                name => name.to_owned(),
            };
            let lints = if rule.name == UNSAFE_CRATE { Lints::SharedButUnsafe } else { Lints::Shared };
            let krate = Crate { folder, lints, ..Crate::default() };
            graph.crates.insert(rule.name.to_owned(), krate);
        }
        for machine in ["broker", "worker", "client"] {
            add(&mut graph, machine, import("protocol"));
            add(&mut graph, machine, Import { optional: true, ..import("runtime") });
            let features = &mut graph.crates.get_mut(machine).unwrap().features;
            features.insert("default".into(), vec!["tokio".into()]);
            features.insert("tokio".into(), vec!["dep:runtime".into()]);
        }
        graph
    }

    fn import(name: &str) -> Import {
        Import { name: name.into(), dev: false, optional: false, features: Vec::new() }
    }

    fn dev(name: &str) -> Import {
        Import { dev: true, ..import(name) }
    }

    fn add(graph: &mut Graph, krate: &str, import: Import) {
        graph.crates.get_mut(krate).unwrap().imports.push(import);
    }

    /// The lines that `check` prints once `change` is made to a good house.
    fn after(change: impl FnOnce(&mut Graph)) -> Vec<String> {
        let mut graph = house();
        change(&mut graph);
        check(&graph).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_house_that_keeps_the_rules_passes() {
        assert_eq!(after(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn an_import_outside_the_row_names_what_the_row_allows() {
        assert_eq!(after(|graph| add(graph, "zmtp", import("broker"))), ["zmtp: imports broker; allowed: protocol"]);
        assert_eq!(
            after(|graph| add(graph, "protocol", import("client"))),
            ["protocol: imports client; allowed: nothing of ours"]
        );
    }

    #[test]
    fn a_build_dependency_counts_as_an_import() {
        assert_eq!(after(|graph| add(graph, "crud", import("broker"))).len(), 1);
    }

    #[test]
    fn tests_may_import_what_the_crate_may_not() {
        assert_eq!(after(|graph| add(graph, "crud", dev("broker"))), Vec::<String>::new());
    }

    #[test]
    fn tests_of_a_crate_that_is_always_pure_may_not_bring_a_runtime() {
        let lines = after(|graph| add(graph, "protocol", dev("tokio")));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("its tests import tokio"), "{lines:?}");
    }

    #[test]
    fn nobody_imports_examples_or_the_lab_not_even_in_tests() {
        for name in ["examples", "bench"] {
            assert_eq!(after(|graph| add(graph, "majordomo", import(name))).len(), 1, "{name}");
            assert_eq!(after(|graph| add(graph, "majordomo", dev(name))).len(), 1, "{name}");
        }
    }

    #[test]
    fn fixtures_are_for_tests_and_the_lab_only() {
        assert_eq!(after(|graph| add(graph, "crud", dev("fixtures"))), Vec::<String>::new());
        let lines = after(|graph| add(graph, "majordomo", import("fixtures")));
        assert_eq!(lines, ["majordomo: imports fixtures, which lives in lab/; allowed: dev-dependencies on fixtures"]);
        assert_eq!(after(|graph| add(graph, "bench", import("fixtures"))), Vec::<String>::new());
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let lines = after(|graph| {
            graph.crates.insert("extra".into(), Crate { lints: Lints::Shared, ..Crate::default() });
        });
        assert_eq!(lines, ["extra: is in no row of the layer table; allowed: a row in xtask's layers/rules.rs"]);
    }

    #[test]
    fn the_driver_must_be_optional() {
        let lines = after(|graph| graph.crates.get_mut("broker").unwrap().imports[1].optional = false);
        assert_eq!(lines, ["broker: imports runtime unconditionally; allowed: runtime only behind the feature tokio"]);
    }

    #[test]
    fn no_other_feature_may_bring_the_driver() {
        for entry in ["dep:runtime", "runtime", "runtime/telemetry"] {
            let lines = after(|graph| {
                let features = &mut graph.crates.get_mut("worker").unwrap().features;
                features.insert("json".into(), vec![entry.into()]);
            });
            assert_eq!(
                lines,
                ["worker: its feature json brings in runtime; allowed: runtime only behind the feature tokio"]
            );
        }
        let weak = after(|graph| {
            let features = &mut graph.crates.get_mut("worker").unwrap().features;
            features.insert("json".into(), vec!["runtime?/json".into()]);
        });
        assert_eq!(weak, Vec::<String>::new());
    }

    #[test]
    fn a_machine_that_pulls_tokio_with_default_features_off_is_not_pure() {
        for name in ["client", "protocol", "sim", "zmtp"] {
            let lines = after(|graph| {
                graph.crates.get_mut(name).unwrap().pulled.insert("tokio".into());
            });
            assert_eq!(lines.len(), 1);
            assert!(lines[0].starts_with(&format!("{name}: pulls tokio")), "{lines:?}");
        }
    }

    #[test]
    fn every_crate_takes_the_lints_that_forbid_unsafe() {
        let lines = after(|graph| graph.crates.get_mut("zmtp").unwrap().lints = Lints::Own);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("allowed: [lints] workspace = true"), "{lines:?}");
        assert_eq!(after(|graph| graph.unsafe_forbidden = false).len(), 1);
        for name in ["zmtp", "sim"] {
            let lines = after(|graph| graph.crates.get_mut(name).unwrap().lints = Lints::SharedButUnsafe);
            assert_eq!(lines.len(), 1, "only one crate may have a file that lifts the lint: {lines:?}");
        }
        assert_eq!(after(|graph| graph.crates.get_mut(UNSAFE_CRATE).unwrap().lints = Lints::Own).len(), 1);
    }
}
