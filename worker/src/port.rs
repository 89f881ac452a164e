//! Connects a [`Session`] to the world: its socket, its handlers' answers, the wishes of its program.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use protocol::ServiceName;
use protocol::mdp::client::Part;
use runtime::link::{Heard, Link};
use runtime::local::Entrance;
use runtime::way::Way;
use runtime::zmtp::{Endpoint, Options};
use runtime::{Port, Shutdown};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cancel::Signal;
use crate::event::Event;
use crate::job::{Assignment, JobId};
use crate::request::Request;
use crate::run::Answers;
use crate::session::{Input, Output, Place, Session};

/// The port.
pub(crate) struct WorkerPort {
    places: Places,
    way: Way,
    heard: Vec<Heard>,
    handlers: BTreeMap<ServiceName, Start>,
    /// Handlers that run; dropped with the port, which cuts them off.
    jobs: JoinSet<()>,
    /// How each of them is stopped.
    signals: HashMap<JobId, Arc<Signal>>,
    /// Kept so that the channel never closes; each job has a clone.
    inputs: mpsc::Sender<Input>,
    answers: mpsc::Receiver<Input>,
    wishes: Wishes,
    observer: Observer,
}

/// Where the session may connect to, and how each place is spoken to.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) home: Home,
    pub(crate) alternatives: Vec<(Endpoint, Options)>,
}

/// The place of the broker that the worker is for.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    Socket(Box<(Endpoint, Options)>),
    Inside(Entrance),
}

/// What the program may want of a worker that serves. `None` once nobody can wish it any more.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) credit: Option<watch::Receiver<usize>>,
}

/// Starts the handler of a service on one request.
pub(crate) type Start = Box<dyn FnMut(&mut JoinSet<()>, Request, Answers) + Send>;

/// Hears of each event.
pub(crate) type Observer = Box<dyn FnMut(&Event) + Send>;

/// Answers that wait while the socket is full; their handlers wait when there are more.
const ANSWERS_MAX: usize = 64;

impl WorkerPort {
    pub(crate) fn new(
        places: Places,
        handlers: BTreeMap<ServiceName, Start>,
        wishes: Wishes,
        observer: Observer,
    ) -> Self {
        let (inputs, answers) = mpsc::channel(ANSWERS_MAX);
        let way = places.way(Place::Home);
        let (jobs, signals) = (JoinSet::new(), HashMap::new());
        Self { places, way, heard: Vec::new(), handlers, jobs, signals, inputs, answers, wishes, observer }
    }

    /// Gives the socket time to send what it holds.
    pub(crate) async fn finish(self) {
        self.way.finish().await;
    }

    /// A refusal changes nothing for the session, which waits for a connection; a person wants to read why.
    fn hear(&mut self, inputs: &mut Vec<Input>) {
        for heard in self.heard.drain(..) {
            match heard {
                Heard::Connected => inputs.push(Input::Connected),
                Heard::Message(frames) => inputs.push(Input::Message(frames)),
                Heard::Disconnected => inputs.push(Input::Disconnected),
                Heard::Refused { .. } => tracing::warn!("{}", self.way.refusal()),
            }
        }
    }

    /// Answers have come: jobs that have ended need no signal any more.
    fn let_go(&mut self, answers: &[Input]) {
        for answer in answers {
            if let Input::Reply { job, part: Part::Final, .. } | Input::Failed { job, .. } | Input::Stopped { job } =
                answer
            {
                self.signals.remove(job);
            }
        }
    }

    fn start_job(&mut self, job: JobId, assignment: Assignment, inputs: &mut Vec<Input>) {
        let Some(start) = self.handlers.get_mut(&assignment.service) else {
            // The session takes requests for its own services only.
            return inputs.push(Input::Stopped { job });
        };
        let signal = Arc::<Signal>::default();
        self.signals.insert(job, Arc::clone(&signal));
        let request = Request::assigned(assignment, signal);
        start(&mut self.jobs, request, Answers { job, inputs: self.inputs.clone() });
    }
}

impl Port<Session> for WorkerPort {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        // Tasks that have ended are only let go of here: what they had to say came as an answer.
        while self.jobs.try_join_next().is_some() {}
        let clogged = self.way.is_clogged();
        let before = inputs.len();
        let Wishes { shutdown, credit } = &mut self.wishes;
        tokio::select! {
            () = self.way.recv(&mut self.heard) => self.hear(inputs),
            _ = self.answers.recv_many(inputs, ANSWERS_MAX), if !clogged => {
                self.let_go(inputs.get(before..).unwrap_or_default());
            }
            () = wished(shutdown) => {
                *shutdown = None;
                inputs.push(Input::Shutdown);
            }
            wanted = changed(credit) => match wanted {
                Some(wanted) => inputs.push(Input::Credit(wanted)),
                None => *credit = None,
            },
        }
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Open(place) => {
                self.way = self.places.way(place);
                self.way.open();
            }
            Output::Close => self.way.close(),
            Output::Send(frames) => self.way.send(frames),
            Output::Handle { job, assignment } => self.start_job(job, assignment, inputs),
            Output::Stop { job } => {
                if let Some(signal) = self.signals.get(&job) {
                    signal.stop();
                }
            }
            Output::Event(event) => (self.observer)(&event),
            Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, _session: &Session) {
        self.way.flush();
    }
}

impl Places {
    /// A way without a connection. A place that is not in the list is none that the session can name.
    fn way(&self, place: Place) -> Way {
        let alternative = match place {
            Place::Home => None,
            Place::Alternative(number) => self.alternatives.get(number),
        };
        let socket = |(endpoint, options): &(Endpoint, Options)| Link::new(endpoint.clone(), options.clone());
        match (alternative, &self.home) {
            (Some(place), _) => Way::socket(socket(place)),
            (None, Home::Socket(place)) => Way::socket(socket(place)),
            (None, Home::Inside(entrance)) => Way::inside(entrance.clone()),
        }
    }
}

async fn wished(shutdown: &mut Option<Shutdown>) {
    match shutdown {
        Some(shutdown) => shutdown.wished().await,
        None => std::future::pending().await,
    }
}

/// The credit that is wanted now; `None` when nobody is left who could want another.
async fn changed(credit: &mut Option<watch::Receiver<usize>>) -> Option<usize> {
    match credit {
        Some(credit) => credit.changed().await.ok().map(|()| *credit.borrow_and_update()),
        None => std::future::pending().await,
    }
}
