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

use protocol::Machine;
use tokio::time::{Sleep, sleep_until};

use crate::clock::Clock;

/// What connects a machine to the world: where its inputs come from and where its outputs go.
pub trait Port<M: Machine> {
    /// Waits for at least one input and appends all that are ready. Must be cancel safe: the loop drops the future when
    /// the machine's deadline comes first.
    fn recv(&mut self, inputs: &mut Vec<M::Input>) -> impl Future<Output = ()> + Send;

    /// Carries out one output, never waiting. What follows from it at once (a refused send) is appended to `inputs` and
    /// handled before anything new is received. `Break` ends the loop, after all outputs of this round.
    fn perform(&mut self, output: M::Output, inputs: &mut Vec<M::Input>) -> ControlFlow<()>;

    /// All inputs of a round are handled and all outputs performed; a place to publish figures.
    fn settled(&mut self, _machine: &M) {}
}

/// Runs `machine` until its port breaks the loop.
pub async fn drive<M: Machine, P: Port<M>>(machine: &mut M, port: &mut P, clock: Clock) {
    let mut inputs = Vec::new();
    let mut armed = clock.to_tokio(protocol::Instant::MAX);
    let mut alarm = std::pin::pin!(sleep_until(armed));
    loop {
        if settle(machine, port, clock, &mut inputs).is_break() {
            return;
        }
        port.settled(machine);
        let deadline = machine.deadline().unwrap_or(protocol::Instant::MAX);
        rearm(alarm.as_mut(), &mut armed, clock.to_tokio(deadline));
        tokio::select! {
            biased;
            () = port.recv(&mut inputs) => {}
            () = alarm.as_mut() => {}
        }
        let now = clock.now();
        if machine.deadline().is_some_and(|deadline| deadline <= now) {
            machine.tick(now);
        }
    }
}

/// Handles all inputs and performs all outputs until neither is left.
fn settle<M: Machine, P: Port<M>>(
    machine: &mut M,
    port: &mut P,
    clock: Clock,
    inputs: &mut Vec<M::Input>,
) -> ControlFlow<()> {
    let mut flow = ControlFlow::Continue(());
    let now = clock.now();
    loop {
        for input in inputs.drain(..) {
            machine.handle(now, input);
        }
        while let Some(output) = machine.poll() {
            if port.perform(output, inputs).is_break() {
                flow = ControlFlow::Break(());
            }
        }
        if inputs.is_empty() || flow.is_break() {
            return flow;
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
    use std::time::Duration;

    use protocol::Instant;
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
}
