//! The database worker's contract, frame by frame, the same for both stores.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{ask, handler};
use crud::database::Handler;
use crud::limits::ROWS_MAX;
use futures_util::future::join_all;

/// Runs a scenario on both stores; the collection is new on each.
async fn on_both_stores(scenario: impl AsyncFn(&Handler)) {
    scenario(&handler("sqlite::memory:", "none").await).await;
    if let Some(mongo) = fixtures::Mongo::start() {
        scenario(&handler(&mongo.uri(), "none").await).await;
    }
}

async fn orders(handler: &Handler, operation: &str, operands: &[&str]) -> Vec<String> {
    ask(handler, &[["mydb", "Coll_PO", operation].as_slice(), operands].concat()).await
}

#[tokio::test]
async fn a_document_is_created_found_changed_and_deleted() {
    on_both_stores(async |handler| {
        let order = r#"{"_id":1,"status":"open","lines":[{"item":"bolt","quantity":5}]}"#;
        assert_eq!(orders(handler, "CREATE", &[order]).await, ["200", r#"{"_id":1}"#]);
        assert_eq!(orders(handler, "RETRIEVE", &[r#"{"lines.item":"bolt"}"#]).await, ["200", order]);
        let update = r#"{"$set":{"status":"paid"},"$inc":{"lines.0.quantity":2}}"#;
        assert_eq!(orders(handler, "UPDATE", &[r#"{"_id":1}"#, update]).await, ["200", "1"]);
        let changed = r#"{"_id":1,"status":"paid","lines":[{"item":"bolt","quantity":7}]}"#;
        assert_eq!(orders(handler, "RETRIEVE", &["{}"]).await, ["200", changed]);
        assert_eq!(orders(handler, "DELETE", &[r#"{"status":"paid"}"#]).await, ["200", "1"]);
        assert_eq!(orders(handler, "RETRIEVE", &["{}"]).await, ["200"], "nothing found is an answer");
        assert_eq!(orders(handler, "DELETE", &["{}"]).await, ["200", "0"]);
    })
    .await;
}

#[tokio::test]
async fn a_document_without_identity_gets_one_and_the_reply_tells_it() {
    on_both_stores(async |handler| {
        let reply = orders(handler, "CREATE", &[r#"{"a":1}"#]).await;
        assert_eq!(reply[0], "200");
        let found = orders(handler, "RETRIEVE", &[&reply[1]]).await;
        assert!(found[1].starts_with(r#"{"_id":{"$oid":""#) && found[1].ends_with(r#","a":1}"#), "{found:?}");
    })
    .await;
}

#[tokio::test]
async fn an_identity_that_exists_is_a_conflict_whatever_its_width() {
    on_both_stores(async |handler| {
        orders(handler, "CREATE", &[r#"{"_id":1}"#]).await;
        for again in [r#"{"_id":1}"#, r#"{"_id":1.0}"#, r#"{"_id":{"$numberLong":"1"}}"#] {
            let reply = orders(handler, "CREATE", &[again]).await;
            assert!(reply.len() == 1 && reply[0].starts_with("409 "), "{reply:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn results_are_in_the_order_of_the_identity_and_go_on_after_the_last() {
    on_both_stores(async |handler| {
        for id in ["\"b\"", "10", "\"a\"", "9.5", "-1", "null", "true"] {
            orders(handler, "CREATE", &[&format!("{{\"_id\":{id}}}")]).await;
        }
        let all = ["null", "-1", "9.5", "10", "\"a\"", "\"b\"", "true"].map(|id| format!("{{\"_id\":{id}}}"));
        assert_eq!(orders(handler, "RETRIEVE", &["{}"]).await[1..], all);
        let numbers = r#"{"_id":{"$gt":-1}}"#;
        assert_eq!(orders(handler, "RETRIEVE", &[numbers, r#"{"limit":1}"#]).await, ["200", r#"{"_id":9.5}"#]);
    })
    .await;
}

#[tokio::test]
async fn update_and_delete_mean_all_that_match_and_count_what_changed() {
    on_both_stores(async |handler| {
        for n in 0..5 {
            orders(handler, "CREATE", &[&format!(r#"{{"_id":{n},"n":{n}}}"#)]).await;
        }
        assert_eq!(orders(handler, "UPDATE", &[r#"{"n":{"$gte":1}}"#, r#"{"$set":{"n":1}}"#]).await, ["200", "3"]);
        assert_eq!(orders(handler, "UPDATE", &[r#"{"n":9}"#, r#"{"$set":{"n":1}}"#]).await, ["200", "0"]);
        assert_eq!(orders(handler, "DELETE", &[r#"{"n":1}"#]).await, ["200", "4"]);
    })
    .await;
}

#[tokio::test]
async fn what_not_every_store_has_is_refused_in_the_same_words() {
    let replies = std::sync::Mutex::new(Vec::new());
    on_both_stores(async |handler| {
        let mut refusals = Vec::new();
        for query in [r#"{"a":{"$regex":"x"}}"#, r#"{"$where":"1"}"#, r#"{"a":{"$numberDecimal":"1"}}"#, "[]", ""] {
            refusals.push(orders(handler, "RETRIEVE", &[query]).await);
        }
        for update in [r#"{"$rename":{"a":"b"}}"#, r#"{"a":1}"#, r#"{"$set":{"_id":1}}"#] {
            refusals.push(orders(handler, "UPDATE", &["{}", update]).await);
        }
        refusals.push(ask(handler, &["admin", "a", "DELETE", "{}"]).await);
        refusals.push(ask(handler, &["mydb", "majordomo.cache", "DELETE", "{}"]).await);
        assert!(refusals.iter().all(|reply| reply.len() == 1 && reply[0].starts_with("400 ")), "{refusals:#?}");
        replies.lock().unwrap().push(refusals);
    })
    .await;
    let replies = replies.into_inner().unwrap();
    assert!(replies.windows(2).all(|pair| pair[0] == pair[1]), "{replies:#?}");
}

#[tokio::test]
async fn an_update_that_does_not_fit_a_document_is_refused() {
    on_both_stores(async |handler| {
        orders(handler, "CREATE", &[r#"{"_id":1,"text":"x"}"#]).await;
        for update in [r#"{"$inc":{"text":1}}"#, r#"{"$push":{"text":1}}"#, r#"{"$set":{"text.a":1}}"#] {
            let reply = orders(handler, "UPDATE", &["{}", update]).await;
            assert!(reply.len() == 1 && reply[0].starts_with("400 "), "{reply:?}");
        }
        assert_eq!(orders(handler, "RETRIEVE", &["{}"]).await, ["200", r#"{"_id":1,"text":"x"}"#]);
    })
    .await;
}

#[tokio::test]
async fn rows_max_is_met_exactly() {
    on_both_stores(async |handler| {
        let create = async |n: usize| orders(handler, "CREATE", &[&format!(r#"{{"_id":{n}}}"#)]).await;
        join_all((0..ROWS_MAX).map(create)).await;
        assert_eq!(orders(handler, "RETRIEVE", &["{}"]).await.len(), 1 + ROWS_MAX);
        orders(handler, "CREATE", &[r#"{"_id":"one more"}"#]).await;
        let reply = orders(handler, "RETRIEVE", &["{}"]).await;
        assert!(reply.len() == 1 && reply[0].starts_with("400 more than 900 documents match"), "{reply:?}");
        assert_eq!(orders(handler, "RETRIEVE", &["{}", r#"{"limit":900}"#]).await.len(), 1 + ROWS_MAX);
    })
    .await;
}

#[tokio::test]
async fn an_answer_too_large_for_a_message_is_refused() {
    on_both_stores(async |handler| {
        let text = "x".repeat(9 << 20);
        for n in 0..4 {
            let reply = orders(handler, "CREATE", &[&format!(r#"{{"_id":{n},"text":"{text}"}}"#)]).await;
            assert_eq!(reply[0], "200");
        }
        let reply = orders(handler, "RETRIEVE", &["{}"]).await;
        assert!(reply[0].starts_with("400 the answer would be larger than 33554432 bytes"), "{reply:?}");
        assert_eq!(orders(handler, "RETRIEVE", &[r#"{"_id":{"$lt":3}}"#]).await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn what_one_process_wrote_to_a_file_another_reads_and_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("orders.db").display());
    let (first, second) = (handler(&address, "none").await, handler(&address, "none").await);
    orders(&first, "CREATE", &[r#"{"_id":1}"#]).await;
    orders(&second, "CREATE", &[r#"{"_id":2}"#]).await;
    drop((first, second));
    let third = handler(&address, "none").await;
    assert_eq!(orders(&third, "RETRIEVE", &["{}"]).await, ["200", r#"{"_id":1}"#, r#"{"_id":2}"#]);
}

#[tokio::test]
async fn a_file_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let open = async |file: &std::path::Path| {
        let address: crud::store::Address = format!("sqlite:{}", file.display()).parse().unwrap();
        address.open().await.err().unwrap().to_string()
    };
    assert!(open(&file).await.contains("is a SQLite file of another program"));
    assert!(open(&folder.path().join("none/orders.db")).await.contains("cannot open the SQLite file"));
}

#[tokio::test]
async fn a_mongodb_that_is_gone_is_a_500_and_is_used_again_when_it_is_back() {
    let Some(mut mongo) = fixtures::Mongo::start() else { return };
    let patient = handler(&mongo.uri(), "none").await;
    assert_eq!(orders(&patient, "CREATE", &[r#"{"_id":1}"#]).await[0], "200");
    mongo.kill();
    let worker = handler(&mongo.impatient_uri(), "none").await;
    let reply = orders(&worker, "RETRIEVE", &["{}"]).await;
    assert!(reply.len() == 1 && reply[0].starts_with("500 MongoDB: "), "{reply:?}");
    mongo.restart();
    let again = async {
        // The first tries may still find the server unreachable on a busy machine.
        while orders(&worker, "RETRIEVE", &["{}"]).await != ["200", r#"{"_id":1}"#] {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), again).await.expect("the write is there");
}
