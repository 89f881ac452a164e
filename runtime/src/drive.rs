//! One loop that runs any machine: receive a batch or wake at the deadline, handle, drain the outputs.
//!
//! ```text
//!        ┌────────────── recv (a batch) ◄── Port ◄── sockets, channels, signals
//!        ▼
//!   handle / tick ──► machine ──► poll until None ──► Port::perform ──► sockets, channels
//! ```
//!
//! There is no decision here. If a driver needs an `if` about the protocol, the logic is in the wrong file.

use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use protocol::{Instant, Machine};
use tokio::time::{Sleep, sleep_until};

use crate::clock::Clock;
use crate::vigil::Vigil;

/// What connects a machine to the world: where its inputs come from and where its outputs go.
pub trait Port<M: Machine> {
    /// Whether the outputs are carried out after each input, while what they are made of is still in the cache and its
    /// memory is free for the next one; else after all inputs of a round, for a machine whose outputs are better for
    /// having seen them all, as one flush serves many records.
    const AT_ONCE: bool = false;

    /// Waits for at least one input and appends all that are ready. Must be cancel safe: the loop drops the future when
    /// the machine's deadline comes first.
    fn recv(&mut self, inputs: &mut Vec<M::Input>) -> impl Future<Output = ()> + Send;

    /// Carries out one output, never waiting. What follows from it at once (a refused send) is appended to `inputs` and
    /// handled before anything new is received. `Break` ends the loop, after all outputs of this round.
    fn perform(&mut self, output: M::Output, inputs: &mut Vec<M::Input>) -> ControlFlow<()>;

    /// All inputs of a round are handled and all outputs performed, also when one of them has ended the loop; a place
    /// to hand over what has gathered, and to publish figures.
    fn settled(&mut self, _machine: &M) {}
}

/// Runs `machine` until its port breaks the loop.
pub async fn drive<M: Machine, P: Port<M>>(machine: &mut M, port: &mut P, clock: Clock) {
    drive_awake(machine, port, clock, Vigil::none()).await;
}

/// As [`drive`], and stays awake between messages as `vigil` says.
pub async fn drive_awake<M: Machine, P: Port<M>>(machine: &mut M, port: &mut P, clock: Clock, mut vigil: Vigil) {
    let mut inputs = Vec::new();
    let mut armed = clock.to_tokio(Instant::MAX);
    let mut alarm = std::pin::pin!(sleep_until(armed));
    loop {
        let flow = round(machine, port, clock, &mut inputs).await;
        port.settled(machine);
        if flow.is_break() {
            return;
        }
        let deadline = machine.deadline().unwrap_or(Instant::MAX);
        rearm(alarm.as_mut(), &mut armed, clock.to_tokio(deadline));
        tokio::select! {
            biased;
            () = vigil.watch(port.recv(&mut inputs)) => {}
            () = alarm.as_mut() => {
                // Whoever overslept listens before it judges others by their silence.
                if armed + LATE <= tokio::time::Instant::now() {
                    let _ = tokio::time::timeout(LISTEN, port.recv(&mut inputs)).await;
                }
            }
        }
    }
}

/// Handles what was received, and the deadline if it has come.
async fn round<M: Machine, P: Port<M>>(
    machine: &mut M,
    port: &mut P,
    clock: Clock,
    inputs: &mut Vec<M::Input>,
) -> ControlFlow<()> {
    let mut flow = ControlFlow::Continue(());
    // After the inputs: what has arrived was said in time, however late it is read.
    let (mut begun, mut now) = (clock.now(), Instant::ZERO);
    while flow.is_continue() {
        flow = settle(machine, port, clock, inputs);
        now = clock.now();
        if now < begun + LATE || machine.deadline().is_none_or(|deadline| deadline > now) {
            break;
        }
        // That took so long that others may have spoken meanwhile, whom the machine would take for silent.
        let _ = tokio::time::timeout(LISTEN, port.recv(inputs)).await;
        begun = now;
        if inputs.is_empty() {
            break;
        }
    }
    if flow.is_break() || machine.deadline().is_none_or(|deadline| deadline > now) {
        return flow;
    }
    machine.tick(now);
    settle(machine, port, clock, inputs)
}

/// A machine that is woken so much after its deadline has overslept: its process was held up.
const LATE: Duration = Duration::from_millis(250);
/// So long it listens then, if it hears nothing.
const LISTEN: Duration = Duration::from_millis(50);

/// Handles all inputs and performs all outputs until neither is left; after a `Break`, those of this round.
fn settle<M: Machine, P: Port<M>>(
    machine: &mut M,
    port: &mut P,
    clock: Clock,
    inputs: &mut Vec<M::Input>,
) -> ControlFlow<()> {
    let mut flow = ControlFlow::Continue(());
    let mut following = Vec::new();
    let now = clock.now();
    loop {
        for input in inputs.drain(..) {
            machine.handle(now, input);
            if P::AT_ONCE {
                perform(machine, port, &mut following, &mut flow);
            }
        }
        perform(machine, port, &mut following, &mut flow);
        inputs.append(&mut following);
        if inputs.is_empty() || flow.is_break() {
            return flow;
        }
    }
}

/// Carries out all that the machine wants done.
fn perform<M: Machine, P: Port<M>>(
    machine: &mut M,
    port: &mut P,
    following: &mut Vec<M::Input>,
    flow: &mut ControlFlow<()>,
) {
    while let Some(output) = machine.poll() {
        if port.perform(output, following).is_break() {
            *flow = ControlFlow::Break(());
        }
    }
}

/// Timers are not free: the sleep is touched only when the machine's deadline has really moved.
fn rearm(alarm: std::pin::Pin<&mut Sleep>, armed: &mut tokio::time::Instant, at: tokio::time::Instant) {
    if *armed != at || alarm.is_elapsed() {
        *armed = at;
        alarm.reset(at);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Says each number back, asks for a tick a second after the last one, and ends at the third tick.
    #[derive(Default)]
    struct Parrot {
        outputs: Vec<Said>,
        wake: Option<Instant>,
        ticks: u32,
    }

    #[derive(Debug, PartialEq)]
    enum Said {
        Number(u32),
        Bye,
    }

    impl Machine for Parrot {
        type Input = u32;
        type Output = Said;

        fn handle(&mut self, now: Instant, input: u32) {
            self.outputs.insert(0, Said::Number(input));
            self.wake = Some(now + Duration::from_secs(1));
        }

        fn tick(&mut self, now: Instant) {
            self.ticks += 1;
            self.wake = Some(now + Duration::from_secs(1));
            if self.ticks == 3 {
                self.outputs.insert(0, Said::Bye);
            }
        }

        fn poll(&mut self) -> Option<Said> {
            self.outputs.pop()
        }

        fn deadline(&self) -> Option<Instant> {
            self.wake
        }
    }

    struct Ear {
        inbox: mpsc::UnboundedReceiver<u32>,
        heard: Vec<u32>,
    }

    impl Port<Parrot> for Ear {
        async fn recv(&mut self, inputs: &mut Vec<u32>) {
            match self.inbox.recv().await {
                Some(number) => inputs.push(number),
                None => std::future::pending().await,
            }
        }

        fn perform(&mut self, output: Said, inputs: &mut Vec<u32>) -> ControlFlow<()> {
            match output {
                // An output that causes an input at once: 10 is answered by 11.
                Said::Number(10) => inputs.push(11),
                Said::Number(number) => self.heard.push(number),
                Said::Bye => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn inputs_are_handled_in_order_ticks_come_at_deadlines_and_break_ends() {
        let (mouth, inbox) = mpsc::unbounded_channel();
        for number in [1, 10, 2] {
            mouth.send(number).unwrap();
        }
        let mut machine = Parrot::default();
        let mut ear = Ear { inbox, heard: Vec::new() };
        drive(&mut machine, &mut ear, Clock::start()).await;
        assert_eq!(ear.heard, [1, 11, 2]);
        assert_eq!(machine.ticks, 3);
    }

    /// Keeps what it is to say until the round is over, and ends with the first number.
    #[derive(Default)]
    struct Gathers {
        gathered: Vec<Said>,
        said: Vec<Said>,
    }

    impl Port<Parrot> for Gathers {
        async fn recv(&mut self, inputs: &mut Vec<u32>) {
            inputs.push(5);
        }

        fn perform(&mut self, output: Said, _inputs: &mut Vec<u32>) -> ControlFlow<()> {
            self.gathered.push(output);
            ControlFlow::Break(())
        }

        fn settled(&mut self, _: &Parrot) {
            self.said.append(&mut self.gathered);
        }
    }

    #[tokio::test]
    async fn what_gathered_in_the_last_round_is_handed_over() {
        let mut port = Gathers::default();
        drive(&mut Parrot::default(), &mut port, Clock::start()).await;
        assert_eq!(port.said, [Said::Number(5)]);
    }

    /// Holds the thread up until its machine's first deadline is over, and hears a number then, or shortly after.
    struct HeldUp {
        by: Duration,
        says: Option<Duration>,
        heard: Vec<u32>,
    }

    impl Port<Parrot> for HeldUp {
        async fn recv(&mut self, inputs: &mut Vec<u32>) {
            std::thread::sleep(std::mem::take(&mut self.by));
            let Some(after) = self.says else { return std::future::pending().await };
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            self.says = None;
            inputs.push(7);
        }

        fn perform(&mut self, output: Said, _inputs: &mut Vec<u32>) -> ControlFlow<()> {
            match output {
                Said::Number(number) => self.heard.push(number),
                Said::Bye => {}
            }
            ControlFlow::Break(())
        }
    }

    #[tokio::test]
    async fn what_has_arrived_is_heard_before_its_absence_is_judged_however_late_the_machine_is_woken() {
        let clock = Clock::start();
        for (by, after) in [(30, 0), (600, 5)] {
            let mut machine = Parrot { wake: Some(clock.now() + Duration::from_millis(10)), ..Parrot::default() };
            let says = Some(Duration::from_millis(after));
            let mut port = HeldUp { by: Duration::from_millis(by), says, heard: Vec::new() };
            drive(&mut machine, &mut port, clock).await;
            assert_eq!((port.heard, machine.ticks), (vec![7], 0), "held up for {by} ms");
        }
    }
}
