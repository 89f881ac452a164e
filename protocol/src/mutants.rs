//! Seeded bugs, by which the simulator shows that it would find real ones: the list, and which of them is on.
//!
//! A machine asks `mutants::on(Mutant::…)` at the one place where the bug would be. Without the feature `mutants` the
//! answer is a constant and the compiler takes the question out; no crate of the product switches the feature on
//! (`cargo xtask layers` sees to it).

#[cfg(feature = "mutants")]
use std::cell::Cell;

macro_rules! mutants {
    ($($name:ident: $breaks:literal,)*) => {
        /// A seeded bug. Its name says what is forgotten or done wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $breaks] $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// All of them, in the order of this list.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it breaks, in a few words.
            pub const fn breaks(self) -> &'static str {
                match self {
                    $(Self::$name => $breaks,)*
                }
            }
        }
    };
}

mutants! {
    // The broker: requests.
    ForgetRequeue: "a dead worker's request is dropped",
    RequeueAtTheBack: "a dead worker's request waits behind newer ones",
    RestartStream: "an answer that broke off is begun again by another worker",
    KeepAbortedParts: "parts of an attempt that broke off stay in front of the next one's",
    IgnoreHole: "an answer goes on although a part of it was missed",
    ForgetMissedPart: "what a client did not take is not remembered",
    AnswerAfterFailure: "a request that has failed is answered nevertheless",
    AnswerSomebodyElse: "an answer goes to the first connection there is",
    ForgetEnvelope: "an answer leaves without its client's envelope",
    AttemptsOffByOne: "a request is given to one worker too many",
    ForgetAttempts: "attempts are not counted, so a deadly request kills every worker",
    RunAbandoned: "a request is run although nobody waits for it and the policy says no",
    RunExpired: "a request is run although it has waited too long",
    // The broker: queues.
    IgnoreQueueLimit: "the queue of a service has no limit",
    IgnoreBrokerLimit: "all queues together have no limit",
    KeepExpiredRequests: "a request waits for ever",
    ForgetToUncount: "the count of queued requests is not given back",
    ForgetToUnweigh: "the bytes of queued requests are not given back",
    LanesDoNotTakeTurns: "a client that floods is served before all others",
    NewestFirst: "the newest request of a client is served first",
    // The broker: workers.
    MostRecentlyUsedFirst: "the worker that has just worked works again",
    IgnoreCredit: "a busy worker is given more than its credit",
    KeepStalePlaces: "a worker that left still counts as waiting",
    KeepExpiredWorker: "a silent worker is never given up",
    IgnoreHeartbeat: "a worker's heartbeat does not count as life",
    SendNoHeartbeat: "workers are sent no heartbeats",
    ForgetToRearm: "a worker is looked at once and then only when it speaks",
    IgnoreDisconnect: "a worker that says goodbye stays registered",
    AcceptSecondReady: "a second READY counts the worker twice",
    BelieveForgedReply: "a reply is taken whatever request it names",
    IgnoreRefusal: "a worker that takes nothing keeps its request",
    ForgetToCountDown: "a service counts workers that have left",
    KeepService: "a service that nobody needs is kept",
    KeepConnection: "a connection that has ended is kept",
    MmiKnowsNoDeath: "mmi.service says 200 where no worker is",
    // The worker.
    ReadyWithoutSlot: "a worker says READY while an old job still fills its slot",
    AnswerOnNewConnection: "an answer is sent on another connection than its request came from",
    StayAfterDisconnect: "a worker that was told DISCONNECT stays",
    SilentWhileBusy: "a worker sends no heartbeats while it works",
    TrustSilentBroker: "a silent broker is never given up",
    // The clients.
    NeverGiveUp: "a request is tried for ever",
    GiveUpAtOnce: "a request is tried once, whatever its patience says",
    ForgetInFlight: "what was under way is not sent again on a new connection",
    ForgetIsIgnored: "a request that was given up stays under way",
    MixAttempts: "parts of two attempts are taken for one answer",
    TellNoRestart: "a caller is not told that its parts are void",
    KeepSocket: "a request that was given up leaves its socket to the next one",
    IgnoreFullLine: "requests wait without a limit",
    // What all share.
    NeverReset: "delays between attempts never fall back to the first",
    NeverGrow: "delays between attempts do not grow",
    WakeTooLate: "a machine asks to be woken later than its deadline",
}

/// Whether this bug is on, on this thread.
#[cfg(feature = "mutants")]
pub fn on(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Whether this bug is on; it never is.
#[cfg(not(feature = "mutants"))]
pub const fn on(_mutant: Mutant) -> bool {
    false
}

/// Switches a bug on for this thread, or all of them off.
#[cfg(feature = "mutants")]
pub fn switch_on(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
}
