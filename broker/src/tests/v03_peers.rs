//! Peers of MDP 0.3 for the bench: what they say, and what they are told, in short words.

use protocol::RequestId;
use protocol::mdp::v03::{
    FromClient, FromWorker, JobNumber, Offer, Options, Outcome, Ready, Status, Terms, ToClient, ToWorker, client,
    worker, worker::Farewell,
};

use super::*;

pub(super) fn body(text: &str) -> Frames {
    Frames::from([text.to_owned()])
}

pub(super) fn id(number: u8) -> RequestId {
    RequestId([number; 16])
}

pub(super) fn status(code: u16, reason: &str) -> Outcome {
    let options = Options::build().reason(reason).finish().unwrap();
    Outcome { parts: 0, status: Status::new(code).unwrap(), options }
}

pub(super) fn farewell(code: u16, reason: &str) -> ToWorker {
    let Outcome { status, options, .. } = status(code, reason);
    ToWorker::Disconnect(Farewell { status, options })
}

pub(super) fn by(millis: u64) -> Terms {
    Terms { deadline: Some(Duration::from_millis(millis)), ..Terms::default() }
}

impl Bench {
    /// Connects a client with what it calls itself and what it has proved.
    pub(super) fn enter(&mut self, peer: u64, identity: &str, credential: Option<&str>) {
        let rights = Rights { credential: credential.map(Arc::from), ..Rights::everything() };
        let identity = Bytes::copy_from_slice(identity.as_bytes());
        self.input(Input::Connected { peer: PeerId(peer), identity, rights: Arc::new(rights) });
    }

    /// A request for `echo` on a connection that is there.
    pub(super) fn ask(&mut self, peer: u64, number: u8, text: &str, terms: Terms) {
        self.ask_for(peer, number, "echo", text, terms);
    }

    pub(super) fn ask_for(&mut self, peer: u64, number: u8, service: &str, text: &str, terms: Terms) {
        let request = client::Request { id: id(number), service: name(service), terms, body: body(text) };
        self.message(peer, FromClient::Request(request).encode());
    }

    pub(super) fn cancel(&mut self, peer: u64, number: u8) {
        self.message(peer, FromClient::Cancel(id(number)).encode());
    }

    pub(super) fn native_worker(&mut self, peer: u64, credit: u32, services: &[&str]) {
        self.connect(peer);
        self.native_ready(peer, credit, services);
    }

    pub(super) fn native_ready(&mut self, peer: u64, credit: u32, services: &[&str]) {
        let offer = |service: &&str| Offer { service: name(service), options: Options::none() };
        let offers = services.iter().map(offer).collect();
        let ready = Ready { credit, interval: Duration::from_millis(2500), options: Options::none(), offers };
        self.native_say(peer, FromWorker::Ready(ready));
    }

    pub(super) fn native_say(&mut self, peer: u64, said: FromWorker) {
        self.message(peer, said.encode());
    }

    pub(super) fn native_request(&mut self, peer: u64, number: u8, service: &str, text: &str) {
        self.native_request_with(peer, number, service, text, Terms::default());
    }

    pub(super) fn native_request_with(&mut self, peer: u64, number: u8, service: &str, text: &str, terms: Terms) {
        let request = client::Request { id: id(number), service: name(service), terms, body: body(text) };
        self.connect(peer);
        self.message(peer, FromClient::Request(request).encode());
    }

    /// What a 0.3 worker was told since the last look, heartbeats apart.
    pub(super) fn native_commands(&mut self, peer: u64) -> Vec<ToWorker> {
        let commands = self.sent_to(peer).into_iter().map(|frames| ToWorker::decode(frames).unwrap());
        commands.filter(|command| !matches!(command, ToWorker::Heartbeat(_))).collect()
    }

    /// The requests that a 0.3 worker was given since the last look.
    pub(super) fn native_jobs(&mut self, peer: u64) -> Vec<worker::Request> {
        let request = |command| match command {
            ToWorker::Request(request) => Some(request),
            _ => None,
        };
        self.native_commands(peer).into_iter().filter_map(request).collect()
    }

    pub(super) fn native_job(&mut self, peer: u64) -> worker::Request {
        let mut jobs = self.native_jobs(peer);
        assert_eq!(jobs.len(), 1, "requests for peer {peer}");
        jobs.remove(0)
    }

    pub(super) fn native_partial(&mut self, peer: u64, job: JobNumber, part: u32, text: &str) {
        self.native_say(peer, FromWorker::Partial { job, part, body: body(text) });
    }

    pub(super) fn native_final(&mut self, peer: u64, job: JobNumber, parts: u32, text: &str) {
        let outcome = Outcome { parts, ..Outcome::OK };
        self.native_say(peer, FromWorker::Final { job, outcome, body: body(text) });
    }

    pub(super) fn native_replies(&mut self, peer: u64) -> Vec<ToClient> {
        self.sent_to(peer).into_iter().map(|frames| ToClient::decode(frames).unwrap()).collect()
    }

    /// What a 0.3 client was told, each as a line: `P number text` or `F parts status reason: text`.
    pub(super) fn native_lines(&mut self, peer: u64) -> Vec<String> {
        let line = |told| match told {
            ToClient::Partial { part, body, .. } => format!("P {part} {}", text(&body)),
            ToClient::Final { outcome: Outcome { parts, status, options }, body, .. } => {
                format!("F {parts} {} {}: {}", status.code(), options.reason().unwrap_or("-"), text(&body))
            }
            ToClient::Heartbeat => "heartbeat".to_owned(),
            ToClient::Drain(_) => "drain".to_owned(),
        };
        self.native_replies(peer).into_iter().map(line).collect()
    }
}
