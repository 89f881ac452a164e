//! An event of the mesh as a line for people, or as a JSON object.
//!
//! Fields: `event`, `uuid`, `name`, `endpoint`, `headers`, `group`, `service`, `body`, and of an EXIT its `reason`;
//! those that apply.

use bytes::Bytes;
use mesh::{Event, Frames, NodeId};
use serde_json::{Value, json};

use crate::output;

/// Prints an event; one that is about our own message alone is not printed.
pub(super) fn print(event: &Event, json: bool) -> anyhow::Result<()> {
    match (object(event), json) {
        (Some(object), true) => output::json(&object),
        (Some(object), false) => output::line(&text(&object)),
        (None, _) => Ok(()),
    }
}

fn object(event: &Event) -> Option<Value> {
    let mut object = match event {
        Event::Enter { node, name, endpoint, headers } => {
            with(who("ENTER", node, name), json!({ "endpoint": **endpoint, "headers": **headers }))
        }
        Event::Exit { node, name, departure } => with(who("EXIT", node, name), json!({ "reason": departure.name() })),
        Event::Evasive { node, name } => who("EVASIVE", node, name),
        Event::Join { node, name, group } => with(who("JOIN", node, name), json!({ "group": group.as_str() })),
        Event::Leave { node, name, group } => with(who("LEAVE", node, name), json!({ "group": group.as_str() })),
        Event::Leader { node, name, group } => with(who("LEADER", node, name), json!({ "group": group.as_str() })),
        Event::Whisper { node, name, .. } => who("WHISPER", node, name),
        Event::Shout { node, name, group, .. } => with(who("SHOUT", node, name), json!({ "group": group.as_str() })),
        Event::ServiceUp { node, name, endpoint, service } => {
            with(who("SERVICE-UP", node, name), json!({ "endpoint": **endpoint, "service": **service }))
        }
        Event::ServiceDown { node, name, endpoint, service } => {
            with(who("SERVICE-DOWN", node, name), json!({ "endpoint": **endpoint, "service": **service }))
        }
        Event::Latency { .. } | Event::Undelivered { .. } => return None,
    };
    if let Event::Whisper { content, .. } | Event::Shout { content, .. } = event {
        object = with(object, json!({ "body": body(content) }));
    }
    Some(object)
}

fn who(event: &str, node: &NodeId, name: &str) -> Value {
    json!({ "event": event, "uuid": node.to_string(), "name": name })
}

fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

/// One frame is a value, any other number a list.
fn body(content: &Frames) -> Value {
    match &content[..] {
        [only] => output::frame(only),
        frames => frames.iter().map(output::frame).collect(),
    }
}

/// The values in a row. They come from the network: what is no plain text is written as an escape.
fn text(object: &Value) -> String {
    let field = |name: &str| {
        object.get(name).map(|value| match value {
            Value::String(text) => text.escape_debug().to_string(),
            value => value.to_string(),
        })
    };
    let event = field("event").unwrap_or_default();
    let fields = ["name", "uuid", "endpoint", "group", "service", "body", "reason", "headers"];
    let values = fields.into_iter().filter_map(field).filter(|value| value != "{}");
    std::iter::once(format!("{event:<12}")).chain(values).collect::<Vec<_>>().join(" ")
}

/// A message as text for people, on one line whatever it holds.
pub(super) fn plain(content: &Frames) -> String {
    content.iter().map(readable).collect::<Vec<_>>().join(" ")
}

fn readable(frame: &Bytes) -> String {
    let escaped = |letter: char| -> String {
        if letter.is_control() { letter.escape_debug().to_string() } else { letter.to_string() }
    };
    match std::str::from_utf8(frame) {
        Ok(text) => text.chars().map(escaped).collect(),
        Err(_) => frame.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn node() -> NodeId {
        NodeId([0xab; 16])
    }

    #[test]
    fn the_fields_of_an_object_are_those_that_apply() {
        let name: Arc<str> = "alice".into();
        let headers = Arc::new([("X-A".to_owned(), "1".to_owned())].into());
        let uuid = "ABABABABABABABABABABABABABABABAB";
        let enter = Event::Enter { node: node(), name: name.clone(), endpoint: "tcp://10.0.0.1:1".into(), headers };
        let expected = json!({
            "event": "ENTER", "uuid": uuid, "name": "alice", "endpoint": "tcp://10.0.0.1:1", "headers": { "X-A": "1" }
        });
        assert_eq!(object(&enter), Some(expected));
        let group = || "CHAT".parse().unwrap();
        let shout = |content| Event::Shout { node: node(), name: name.clone(), group: group(), content };
        let expected = |body| json!({ "event": "SHOUT", "uuid": uuid, "name": "alice", "group": "CHAT", "body": body });
        assert_eq!(object(&shout(Frames::from(["hi"]))), Some(expected(json!("hi"))));
        assert_eq!(object(&shout(Frames::from(["a", "b"]))), Some(expected(json!(["a", "b"]))));
        assert_eq!(object(&shout(Frames::from([&b"\xff"[..]]))), Some(expected(json!({ "hex": "ff" }))));
        assert_eq!(object(&Event::Undelivered { node: node() }), None);
    }

    #[test]
    fn a_line_is_one_line_whatever_the_network_says() {
        let name: Arc<str> = "a\nEXIT b\u{1b}[2J".into();
        let line = text(&object(&Event::Evasive { node: node(), name }).unwrap());
        assert_eq!(line, "EVASIVE      a\\nEXIT b\\u{1b}[2J ABABABABABABABABABABABABABABABAB");
        assert_eq!(plain(&Frames::from(["it's\n\"ok\"", "ü"])), "it's\\n\"ok\" ü");
    }
}
