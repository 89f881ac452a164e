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
    // The broker: what only MDP 0.3 can say.
    LoseCancel: "a client that cancels is not heard",
    ForgetToCallOff: "a worker is not told that nobody waits any more",
    RunDuplicate: "a request that was answered runs again when it is repeated",
    RunBesideItself: "a request that is in progress runs beside itself when it is repeated",
    JoinAnother: "another request under an id in use is taken for the same",
    AnswerOfAnother: "a kept answer is given to another client that uses the same id",
    RunOnceTwice: "a request that is to run once is given to a second worker",
    ForgetAging: "a low priority waits for as long as there is a higher one",
    ForgetPriority: "a priority is not looked at",
    ForgetDeadlineInQueue: "a deadline means nothing in the queue",
    ForgetDeadlineAtWorker: "a deadline means nothing once a worker has the request",
    StaleCount: "the end of an answer counts one part too few",
    ForgetParts: "parts of an answer all have the same number",
    IgnoreSmallerCredit: "a worker that lowers its credit is given as much as before",
    IgnoreLoad: "what a worker has in flight is not looked at",
    KeepDrainedWorker: "a worker that has drained is not let go",
    FeedDrainedWorker: "a worker that gives a service up is given more of it",
    TakeWhileDraining: "a broker or a service that drains takes new requests",
    EndWithWork: "a broker that drains ends before all is worked off",
    PassEndpointsOn: "a worker sends its client elsewhere",
    IgnoreFilter: "a command that is disabled runs",
    FilterForEver: "a command that was disabled stays so",
    // The worker.
    HoardCredit: "a worker promises slots that jobs of its last connection still fill",
    StopInSilence: "a job that was stopped ends without a word",
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
    // Titanic.
    AcknowledgeBeforeFlush: "what waits for a flush is told before it",
    ShowUnsafeAnswer: "an answer is shown before it is safe",
    CloseBeforeFlush: "a close is acknowledged before it is safe",
    RetryFailedFlush: "after a flush that failed the next one is believed",
    ReuseOldCheckpoint: "the older of the two checkpoints counts",
    FreeChunkEarly: "a chunk is written over before what it gave way to is durable",
    ForgetCopyForward: "what still counts in an old chunk is not copied forward",
    LoseDeadLetter: "a dead letter is not listed after a restart",
    RunRepeatedSubmit: "a submit that is repeated under its id is stored once more",
    ForgetOpenAtStart: "what was open when the process died is not called again",
    ForgetToTryAgain: "a call that failed is not made again",
    // The mesh.
    KeepSilentMember: "a silent member is there for twice as long as it may be",
    ExpireEarly: "a member is said to be gone at half of the silence that is allowed",
    ForgetLeave: "a member that leaves a group stays in it",
    JoinOnlyToKnown: "groups are told to those alone who have said HELLO already",
    AcceptGap: "a message that is missing is not missed",
    KeepServices: "the services of a member that is gone stay",
    BlameOwnSleep: "whoever slept takes all others for silent",
    ForgetRestart: "a member that says HELLO again was not gone in between",
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
