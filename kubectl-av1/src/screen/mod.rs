//! The live screen of `top`: feeds put messages into bounded channels, [`update`] takes them into the [`Model`], [`draw`] shows it.
//!
//! May: take the terminal and give it back, read the cluster and a Prometheus, carry out what its user confirmed. Must never: wait
//! for anything while it updates or draws.

#[cfg(test)]
mod bench;
mod draw;
mod feeds;
mod keys;
mod model;
mod prometheus;
mod signals;
mod terminal;
#[cfg(test)]
mod tests;
mod update;

use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::event::{Event, KeyEventKind};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cluster::Cluster;
use crate::commands::change;
use crate::error::Error;
use crate::view::Palette;
use feeds::Feeds;
use model::{Ask, Message, Model};
pub(crate) use model::{Events, Happening, Job, Wish};
use signals::Signals;
use terminal::Terminal;
use update::Effect;

/// Least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(100);
/// Messages that are taken in at once.
const BATCH: usize = 256;
/// Keys that wait to be obeyed.
const KEYS: usize = 64;

/// Shows the screen until its user leaves it, or a signal ends it.
pub(crate) async fn run(cluster: Cluster, prometheus: Option<&str>, palette: Palette) -> Result<(), Error> {
    let signals = Signals::new()?;
    let mut terminal = Terminal::take()?;
    let shown = Screen::new(cluster, prometheus, palette).run(&mut terminal, signals).await;
    // Before anything is said.
    drop(terminal);
    shown
}

struct Screen<'a> {
    cluster: Cluster,
    prometheus: Option<&'a str>,
    model: Model,
    feeds: Feeds,
    /// What was confirmed and is under way.
    wishes: JoinSet<Message>,
}

impl<'a> Screen<'a> {
    fn new(cluster: Cluster, prometheus: Option<&'a str>, palette: Palette) -> Self {
        let model = Model { namespace: cluster.namespace.clone(), palette, now: now(), ..Model::default() };
        let feeds = Feeds::start(&cluster, prometheus, model.now);
        Self { cluster, prometheus, model, feeds, wishes: JoinSet::new() }
    }

    async fn run(mut self, terminal: &mut Terminal, mut signals: Signals) -> Result<(), Error> {
        let (sender, mut keys) = mpsc::channel(KEYS);
        terminal::read_keys(sender)?;
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut drawn = Instant::now();
        let mut is_due = false;
        terminal.draw(&mut self.model)?;
        loop {
            tokio::select! {
                biased;
                error = signals.next() => return Err(error),
                event = keys.recv() => {
                    let mut next = event;
                    // Those that came meanwhile are obeyed before the next frame.
                    while let Some(event) = next {
                        if self.obey(event?) {
                            return Ok(());
                        }
                        next = keys.try_recv().ok();
                    }
                    if keys.is_closed() {
                        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                    }
                    terminal.draw(&mut self.model)?;
                    (drawn, is_due) = (Instant::now(), false);
                }
                () = tokio::time::sleep_until(drawn + FRAME), if is_due => {
                    terminal.draw(&mut self.model)?;
                    (drawn, is_due) = (Instant::now(), false);
                }
                _ = second.tick() => {
                    update::update(&mut self.model, Message::Tick(now()));
                    is_due = true;
                }
                Some(done) = self.wishes.join_next() => {
                    if let Some(message) = unless_panicked(done) {
                        update::update(&mut self.model, message);
                    }
                    is_due = true;
                }
                Some(done) = self.feeds.tasks.join_next() => {
                    unless_panicked(done);
                }
                _ = self.feeds.inbox.recv_many(&mut batch, BATCH) => {
                    batch.drain(..).for_each(|message| update::update(&mut self.model, message));
                    is_due = true;
                }
            }
        }
    }

    /// Does what a key asks for; says whether that is to leave.
    fn obey(&mut self, event: Event) -> bool {
        let effect = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => update::key(&mut self.model, key),
            Event::Resize(width, height) => {
                update::update(&mut self.model, Message::Resize(width, height));
                Effect::Nothing
            }
            _ => Effect::Nothing,
        };
        match effect {
            Effect::Nothing => {}
            Effect::Quit => return true,
            Effect::Restart => {
                panic_if_a_test_wants_it();
                self.cluster = self.cluster.looking_at(self.model.namespace.clone());
                self.feeds = Feeds::start(&self.cluster, self.prometheus, self.model.now);
            }
            Effect::Do(ask) => {
                self.wishes.spawn(carry_out(self.cluster.clone(), ask));
            }
        }
        false
    }
}

/// Changes the job by the code of the commands.
async fn carry_out(cluster: Cluster, ask: Ask) -> Message {
    let done = change::wish(&cluster, &ask.key.namespace, &ask.key.name, ask.wish).await;
    Message::Answer(done.map(|text| text.trim_end().to_owned()).map_err(|error| error.to_string()))
}

/// What a task came to; a panic of it goes on here.
fn unless_panicked<T>(done: Result<T, JoinError>) -> Option<T> {
    match done {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_second()
}

/// In builds for development a refresh panics when the environment says so: a test looks at the terminal afterwards.
fn panic_if_a_test_wants_it() {
    #[cfg(debug_assertions)]
    if std::env::var_os("KUBECTL_AV1_TEST_PANIC").is_some() {
        #[expect(clippy::panic, reason = "that is what it is for")]
        {
            panic!("asked for by KUBECTL_AV1_TEST_PANIC");
        }
    }
}
