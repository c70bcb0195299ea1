//! Who goes first where the processor is short: the gateway's threads are its own, and those of portal and tasks stand behind
//! them, but not before calls are taken and have their units. Until then they are what calls wait for.

use rustix::{
    process::{Pid, setpriority_process},
    thread::gettid,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far they stand behind: a third of the processor where both want all of it. See nice(2).
const BEHIND: i32 = 5;

/// The threads of portal and tasks in this process.
static THREADS: Threads = Threads(Mutex::new(Known { ids: Vec::new(), stand_behind: false }));

struct Threads(Mutex<Known>);

struct Known {
    ids: Vec<Pid>,
    stand_behind: bool,
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread of portal and tasks begins.
pub fn enlist() {
    let mut known = THREADS.lock();
    known.ids.push(gettid());
    if known.stand_behind {
        put_behind(gettid());
    }
}

/// It ends.
pub fn delist() {
    THREADS.lock().ids.retain(|id| *id != gettid());
}

/// From here on they all stand behind, also those that begin later. There is no way back without privileges. Once is enough.
pub fn stand_behind() {
    let mut known = THREADS.lock();
    if !std::mem::replace(&mut known.stand_behind, true) {
        known.ids.iter().copied().for_each(put_behind);
    }
}

fn put_behind(thread: Pid) {
    if let Err(error) = setpriority_process(Some(thread), BEHIND) {
        tracing::warn!(%error, "portal and tasks run at the gateway's priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    fn of_a_new_thread() -> i32 {
        let began = std::thread::spawn(|| {
            enlist();
            let own = getpriority_process(Some(gettid())).expect("a priority");
            delist();
            own
        });
        began.join().expect("ended")
    }

    #[test]
    fn threads_stand_behind_once_they_are_told_and_those_that_begin_later_too() {
        let before = getpriority_process(None).expect("a priority");
        assert_eq!(of_a_new_thread(), before);
        let (say, hear) = std::sync::mpsc::channel::<()>();
        let (said, heard) = std::sync::mpsc::channel();
        let early = std::thread::spawn(move || {
            enlist();
            said.send(()).expect("heard");
            hear.recv().expect("said");
            let own = getpriority_process(Some(gettid())).expect("a priority");
            delist();
            own
        });
        heard.recv().expect("enlisted");
        stand_behind();
        say.send(()).expect("heard");
        assert_eq!(early.join().expect("ended"), before.max(BEHIND));
        assert_eq!(of_a_new_thread(), before.max(BEHIND));
        assert_eq!(getpriority_process(Some(gettid())).expect("a priority"), before, "no thread of another kind");
    }
}
