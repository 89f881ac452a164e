//! Staying awake for a moment before going to sleep, because the next message is often on its way already.
//!
//! Waking a core that sleeps takes longer than all that a message needs otherwise: with one request at a time, a broker
//! that sleeps after each message spends nearly all of the time between request and reply waking up. So the loop looks
//! again for a short while before it sleeps, and only as long as that pays:
//!
//! ```text
//!   nothing to do ─► awake, up to `longest` ─► something came: it pays, stay awake the next time, too
//!                                          └─► nothing came: sleep, and sleep at once the next 1, 3, 7 .. 63 times
//! ```
//!
//! Between two looks the core is offered to whoever else wants it: a peer on the same core is not kept from answering.
//! Where others keep it for long, the machine is busy, and whoever offers is served last: then it is better to sleep,
//! as a sleeper that is woken goes first.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Context;
use std::time::{Duration, Instant};

/// Whether to stay awake, and what was learnt about it.
#[derive(Debug)]
pub struct Vigil {
    longest: Duration,
    /// How often it was in vain since it last paid, at most [`VAIN_MAX`].
    vain: u32,
    /// How many waits are still to be slept through at once.
    sleeps: u32,
    offer_core: fn(),
}

impl Vigil {
    /// Stays awake up to `longest`; never with zero. For a runtime of one thread, whose only loop this is.
    pub fn new(longest: Duration) -> Self {
        Self { longest, vain: 0, sleeps: 0, offer_core: std::thread::yield_now }
    }

    /// Sleeps at once, always.
    pub fn none() -> Self {
        Self::new(Duration::ZERO)
    }

    /// Waits for `future`, awake at first. Cancel safe if `future` is.
    pub(crate) async fn watch<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut watch = self.begin();
        poll_fn(|context| {
            let polled = future.as_mut().poll(context);
            watch = match (polled.is_ready(), watch) {
                (true, Watch::Awake { .. }) => {
                    self.vain = 0;
                    watch
                }
                (false, Watch::Awake { since }) if since.elapsed() >= self.longest => self.on_vain(),
                (false, Watch::New) => self.look_again(context, Instant::now()),
                (false, Watch::Awake { since }) => self.look_again(context, since),
                (true, Watch::New) | (_, Watch::Asleep) => watch,
            };
            polled
        })
        .await
    }

    /// Offers the core to others, has the sockets looked at, and is polled again after that.
    fn look_again(&mut self, context: &mut Context<'_>, since: Instant) -> Watch {
        let before = Instant::now();
        (self.offer_core)();
        if before.elapsed() >= self.longest {
            self.sleeps = CROWD_SLEEPS;
            return Watch::Asleep;
        }
        // The first poll asks for the wake-up, and that is all that is wanted of it.
        let _ = pin!(tokio::task::yield_now()).poll(context);
        Watch::Awake { since }
    }

    fn begin(&mut self) -> Watch {
        if self.longest.is_zero() || self.sleeps > 0 {
            self.sleeps = self.sleeps.saturating_sub(1);
            return Watch::Asleep;
        }
        Watch::New
    }

    fn on_vain(&mut self) -> Watch {
        self.vain = VAIN_MAX.min(self.vain + 1);
        self.sleeps = (1 << self.vain) - 1;
        Watch::Asleep
    }
}

/// One wait.
#[derive(Clone, Copy, Debug)]
enum Watch {
    /// Nobody knows yet whether there is something to wait for.
    New,
    Awake {
        since: Instant,
    },
    /// What comes wakes the task, as ever.
    Asleep,
}

/// After so many vigils in vain they do not become rarer.
const VAIN_MAX: u32 = 6;
/// How many waits are slept through at once on a busy machine, before the next try.
const CROWD_SLEEPS: u32 = 4095;

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    /// Ready at the poll with this number, and never wakes anybody: whoever sleeps waits for ever.
    fn ready_at_poll(number: u32) -> impl Future<Output = ()> {
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            if polls >= number { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// How many of `count` waits in a row begin awake.
    fn count_awake(vigil: &mut Vigil, count: usize) -> usize {
        (0..count).filter(|_| matches!(vigil.begin(), Watch::New)).count()
    }

    #[tokio::test]
    async fn what_comes_while_awake_needs_nobody_to_wake_the_loop() {
        let mut vigil = Vigil::new(Duration::from_secs(3600));
        for number in [1, 2, 1000] {
            vigil.watch(ready_at_poll(number)).await;
        }
        assert_eq!((vigil.vain, vigil.sleeps), (0, 0));
    }

    #[tokio::test]
    async fn a_vigil_ends_and_what_comes_later_wakes_the_loop() {
        let (mouth, ear) = tokio::sync::oneshot::channel();
        let mut vigil = Vigil::new(Duration::from_micros(50));
        let speak = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            mouth.send(7).unwrap();
        };
        let (heard, ()) = tokio::join!(vigil.watch(ear), speak);
        assert_eq!(heard, Ok(7));
        // On a busy machine it is the core that was gone for long, else the time that was over.
        assert!(vigil.sleeps > 0);
    }

    #[test]
    fn vigils_in_vain_become_rare_and_one_that_pays_brings_them_back() {
        let mut vigil = Vigil::new(Duration::from_millis(1));
        let mut waits = 0;
        for _ in 0..10 {
            while !matches!(vigil.begin(), Watch::New) {
                waits += 1;
            }
            let _ = vigil.on_vain();
        }
        assert_eq!(waits, 1 + 3 + 7 + 15 + 31 + 63 + 63 + 63 + 63);
        assert_eq!(count_awake(&mut vigil, 63), 0);
        assert!(matches!(vigil.begin(), Watch::New));
        vigil.vain = 0;
        assert!(matches!(vigil.begin(), Watch::New));
    }

    #[tokio::test]
    async fn a_core_that_others_keep_is_no_place_to_stay_awake() {
        let offer_core = || std::thread::sleep(Duration::from_millis(6));
        let mut vigil = Vigil { offer_core, ..Vigil::new(Duration::from_millis(5)) };
        let (mouth, ear) = tokio::sync::oneshot::channel();
        let speak = async { mouth.send(7).unwrap() };
        let (heard, ()) = tokio::join!(vigil.watch(ear), speak);
        assert_eq!((heard, vigil.sleeps), (Ok(7), CROWD_SLEEPS));
    }

    #[test]
    fn without_a_vigil_every_wait_is_slept_through() {
        assert_eq!(count_awake(&mut Vigil::none(), 1000), 0);
    }
}
