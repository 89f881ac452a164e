//! The embedded store and a real server of the MongoDB wire protocol do the same: random documents, queries and
//! updates go through both, and answers, counts and refusals are compared.
//!
//! A small vocabulary (two names, a dozen values) makes it likely that a query and a document have something to do
//! with each other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use bson::{Bson, Document, bson, doc};
use crud::query::{Filter, Update};
use crud::store::{Address, Fault, Namespace, Store};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Plain values. Binary ones are of one length: MongoDB compares the length first, the server of these tests does not.
fn scalar() -> impl Strategy<Value = Bson> {
    prop::sample::select(vec![
        Bson::Null,
        bson!(false),
        bson!(true),
        bson!(0),
        bson!(1),
        bson!(1_i64),
        bson!(1.0),
        bson!(1.5),
        bson!(-2),
        bson!((1_i64 << 53) + 1),
        bson!(9_007_199_254_740_992.0),
        bson!(""),
        bson!("a"),
        bson!("b"),
        bson!("é"),
        Bson::DateTime(bson::DateTime::from_millis(0)),
        Bson::DateTime(bson::DateTime::from_millis(-5)),
        Bson::ObjectId(bson::oid::ObjectId::from_bytes([7; 12])),
        Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2] }),
        Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![9, 0] }),
    ])
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a".to_owned(), "b".to_owned()])
}

fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Bson::Array),
            vec((name(), inner), 0..3).prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = Document> {
    vec((name(), value()), 0..3).prop_map(|fields| fields.into_iter().collect())
}

/// What may be an `_id`: a plain value, or an object without numbers. (By MongoDB's order `{"a": 1}` and `{"a": 1.0}`
/// are one
/// `_id`; the server of these tests knows that of 1 and 1.0 only.)
fn identity() -> impl Strategy<Value = Bson> {
    let text = prop::sample::select(vec![bson!(""), bson!("a"), bson!(["b"]), bson!(true), Bson::Null]);
    let object = vec((name(), text), 0..3).prop_map(|fields| Bson::Document(fields.into_iter().collect()));
    prop_oneof![3 => scalar(), 1 => object]
}

fn path() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!["a", "b", "a", "b", "0", "1"]), 1..4).prop_map(|names| match names.join(".") {
        // A number as the first name would be a field's name only.
        path if path.starts_with(|first: char| first.is_ascii_digit()) => format!("a.{path}"),
        path => path,
    })
}

/// Whether tests pass for null, and so for a missing value. Past the end of an array MongoDB finds nothing at all,
/// which is not null; the server of these tests finds a missing value there, so null is not asked for through an
/// index.
fn means_missing(tests: &Document) -> bool {
    tests.values().any(|operand| match operand {
        Bson::Null => true,
        Bson::Array(operands) => operands.contains(&Bson::Null),
        Bson::Document(inner) => means_missing(inner),
        _ => false,
    })
}

fn query() -> impl Strategy<Value = Document> {
    let test = prop_oneof![
        (prop::sample::select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), value())
            .prop_map(|(operator, operand)| doc! { operator: operand }),
        vec(value(), 0..3).prop_map(|operands| doc! { "$in": operands }),
        any::<bool>().prop_map(|wanted| doc! { "$exists": wanted }),
    ];
    let tests = (test, any::<bool>()).prop_map(|(test, negated)| {
        if negated {
            doc! { "$not": test }
        } else {
            test
        }
    });
    let field = prop_oneof![Just("_id".to_owned()), path(), path(), path()];
    let operand = prop_oneof![tests, value().prop_map(|value| doc! { "$eq": value })];
    let plain = any::<bool>();
    let leaf = (field, operand, plain).prop_filter_map("null through an index", |(path, tests, plain)| {
        if path.contains(['0', '1']) && means_missing(&tests) {
            return None;
        }
        match tests.get("$eq") {
            Some(value) if plain => Some(doc! { path: value.clone() }),
            _ => Some(doc! { path: tests }),
        }
    });
    leaf.prop_recursive(2, 6, 3, |inner| {
        (prop::sample::select(vec!["$and", "$or"]), vec(inner, 1..3))
            .prop_map(|(logic, queries)| doc! { logic: queries })
    })
}

fn update() -> impl Strategy<Value = Document> {
    let number = prop::sample::select(vec![bson!(1), bson!(1_i64), bson!(0.5), bson!(i32::MAX), bson!(i64::MAX)]);
    let change = prop_oneof![
        (path(), value()).prop_map(|(path, value)| ("$set", path, value)),
        path().prop_map(|path| ("$unset", path, bson!(true))),
        (path(), number).prop_map(|(path, number)| ("$inc", path, number)),
        (path(), value()).prop_map(|(path, value)| ("$push", path, value)),
    ];
    vec(change, 1..3).prop_map(|changes| {
        let mut update = Document::new();
        for (operator, path, operand) in changes {
            let fields = update.entry(operator.to_owned()).or_insert_with(|| Bson::Document(Document::new()));
            fields.as_document_mut().unwrap().insert(path, operand);
        }
        update
    })
}

#[derive(Debug, Clone)]
enum Step {
    Create(Document),
    Retrieve(Document),
    Update(Document, Document),
    Delete(Document),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let with_id =
        (prop_oneof![identity().boxed(), (0..50).prop_map(Bson::Int32).boxed()], document()).prop_map(|(id, rest)| {
            let mut document = doc! { "_id": id };
            document.extend(rest);
            document
        });
    let creates = vec(with_id.prop_map(Step::Create), 3..8);
    let others = vec(
        prop_oneof![
            6 => query().prop_map(Step::Retrieve),
            3 => (query(), update()).prop_map(|(query, update)| Step::Update(query, update)),
            1 => query().prop_map(Step::Delete),
        ],
        10..20,
    );
    (creates, others).prop_map(|(creates, others)| creates.into_iter().chain(others).collect())
}

/// What a step came to, without the words of a refusal.
async fn run(store: &dyn Store, namespace: &Namespace, step: &Step) -> Result<String, &'static str> {
    let filter = |query: &Document| Filter::parse(query.clone()).map_err(|_| "refused by the parser");
    let fault = |fault: Fault| match fault {
        Fault::Refused(_) => "refused",
        Fault::Duplicate(_) => "duplicate",
        Fault::Broken(reason) => panic!("{reason}"),
    };
    Ok(match step {
        Step::Create(document) => {
            store.create(namespace, document.clone()).await.map_err(fault)?;
            String::new()
        }
        Step::Retrieve(query) => {
            let found = store.retrieve(namespace, &filter(query)?, 1000).await.map_err(fault)?;
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        Step::Update(query, update) => {
            let update = Update::parse(update).map_err(|_| "refused by the parser")?;
            store.update(namespace, &filter(query)?, &update).await.map_err(fault)?.to_string()
        }
        Step::Delete(query) => store.delete(namespace, &filter(query)?).await.map_err(fault)?.to_string(),
    })
}

async fn compare(stores: [&dyn Store; 2], collection: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let namespace = Namespace::parse(b"agree", collection.as_bytes()).unwrap();
    let all = Step::Retrieve(doc! {});
    for (number, step) in steps.iter().enumerate() {
        let [left, right] = [run(stores[0], &namespace, step).await, run(stores[1], &namespace, step).await];
        prop_assert_eq!(&left, &right, "step {} of {:#?}", number, &steps[..=number]);
        if left == Err("refused") {
            // An update that failed midway: SQLite took all of it back, MongoDB kept what came before.
            return Ok(());
        }
        let [left, right] = [run(stores[0], &namespace, &all).await, run(stores[1], &namespace, &all).await];
        prop_assert_eq!(&left, &right, "after step {} of {:#?}", number, &steps[..=number]);
    }
    Ok(())
}

#[test]
fn random_requests_have_the_same_outcome_in_both_stores() {
    let Some(mongo) = fixtures::Mongo::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let open = |address: &str| runtime.block_on(address.parse::<Address>().unwrap().open()).unwrap();
    let (sqlite, mongo): (Arc<dyn Store>, _) = (open("sqlite::memory:"), open(&mongo.uri()));
    let count = std::cell::Cell::new(0);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150);
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
    // The same cases on every run; PROPTEST_CASES asks for more of them.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, random).run(&steps(), |steps| {
        count.set(count.get() + 1);
        runtime.block_on(compare([&*sqlite, &*mongo], &format!("case{}", count.get()), &steps))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
