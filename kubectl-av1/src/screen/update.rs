//! What each message and each key changes of the [`Model`], and what is to be done besides. Pure: nothing waits here.

use std::collections::BTreeSet;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::draw::details;
use super::keys::{Action, action, is_interrupt};
use super::model::{Ask, Change, Filter, Kind, Message, Model, Notice, Operator, Over, Wish};
use crate::error::Error;
use crate::view::Tone;

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Quit,
    /// Begin to watch anew; the model says which namespace.
    Restart,
    /// Carry out what was confirmed.
    Do(Ask),
}

/// Takes in what came from outside.
pub(crate) fn update(model: &mut Model, message: Message) {
    match message {
        Message::Jobs(change) => {
            watched(model, Kind::Jobs, &change);
            match change {
                Change::Begin => model.jobs.begin_list(),
                Change::Put(job) => model.jobs.put(*job),
                Change::Gone(key) => model.jobs.remove(&key),
                Change::Unreadable(..) => {}
                Change::End => {
                    model.jobs.end_list();
                    model.loaded = true;
                }
            }
        }
        Message::Libraries(change) => {
            watched(model, Kind::Libraries, &change);
            match change {
                Change::Begin => model.listing = Some(BTreeSet::new()),
                Change::Put(library) => {
                    if let Some(listing) = &mut model.listing {
                        listing.insert(library.key.clone());
                    }
                    model.libraries.insert(library.key.clone(), *library);
                }
                Change::End => {
                    if let Some(seen) = model.listing.take() {
                        model.libraries.retain(|key, _| seen.contains(key));
                    }
                }
                Change::Gone(key) => {
                    model.libraries.remove(&key);
                }
                Change::Unreadable(..) => {}
            }
        }
        Message::Events(change) => {
            watched(model, Kind::Events, &change);
            // One that is gone is only forgotten by the cluster.
            if let Change::Put(event) = change {
                model.events.put(*event);
            }
        }
        Message::Lost(kind, why) => {
            model.lost.insert(kind, why);
        }
        Message::Page(Ok(mut page)) => {
            if let Some(namespace) = &model.namespace {
                page.jobs.retain(|(of, _), _| of == namespace);
            }
            model.page = page;
            model.operator = Operator::Here;
            sample(model);
        }
        Message::Page(Err(why)) => {
            let since = match &model.operator {
                Operator::Away { since, .. } => *since,
                _ => model.now,
            };
            model.operator = Operator::Away { since, why };
            // Gauges of a moment that is over.
            model.page = Default::default();
            sample(model);
        }
        Message::History(Ok(points)) => {
            model.no_history = None;
            model.chart.set_history(points);
        }
        Message::History(Err(why)) => model.no_history = Some(why),
        Message::Answer(Ok(text)) => model.notice = Some(Notice { text, tone: Tone::Good }),
        Message::Answer(Err(text)) => model.notice = Some(Notice { text, tone: Tone::Bad }),
        Message::Tick(now) => model.now = now,
        Message::Resize(width, height) => model.size = (width, height),
    }
}

/// The chart begins when there is something to show.
fn sample(model: &mut Model) {
    if model.loaded {
        let rate = model.frames_per_second();
        model.chart.push(model.now, rate);
    }
}

/// A watch that says anything is alive, and what it says of an object holds.
fn watched<T>(model: &mut Model, kind: Kind, change: &Change<T>)
where
    T: HasKey,
{
    match change {
        // Said before the cluster is asked: no sign of life yet.
        Change::Begin => {
            model.unreadable.retain(|(of, _), _| *of != kind);
            return;
        }
        Change::Put(object) => {
            model.unreadable.remove(&(kind, object.key().clone()));
        }
        Change::Gone(key) => {
            model.unreadable.remove(&(kind, key.clone()));
        }
        Change::Unreadable(key, why) => {
            model.unreadable.insert((kind, key.clone()), why.clone());
        }
        Change::End => {}
    }
    model.lost.remove(&kind);
}

/// What has a name.
trait HasKey {
    fn key(&self) -> &super::model::Key;
}

macro_rules! has_key {
    ($($kind:ty),+) => { $(impl HasKey for $kind { fn key(&self) -> &super::model::Key { &self.key } })+ };
}
has_key!(super::model::Job, super::model::Library, super::model::Happening);

/// Obeys a key.
pub(crate) fn key(model: &mut Model, key: KeyEvent) -> Effect {
    model.settle();
    model.notice = None;
    let effect = match std::mem::take(&mut model.over) {
        _ if is_interrupt(key) => Effect::Quit,
        Over::Search => search(model, key),
        Over::Namespace(text) => namespace(model, text, key),
        Over::Confirm(ask) => confirm(model, ask, key),
        Over::Help => match action(key) {
            Some(Action::Quit) => Effect::Quit,
            Some(Action::Help | Action::Back | Action::Details) => Effect::Nothing,
            _ => {
                model.over = Over::Help;
                Effect::Nothing
            }
        },
        Over::Nothing => action(key).map_or(Effect::Nothing, |action| act(model, action)),
    };
    model.settle();
    effect
}

fn act(model: &mut Model, action: Action) -> Effect {
    match action {
        Action::Quit => return Effect::Quit,
        Action::Help => model.over = Over::Help,
        Action::Pause => ask(model, None),
        Action::Undo => ask(model, Some(Wish::Undo)),
        Action::Cancel => ask(model, Some(Wish::Cancel)),
        Action::Refresh => {
            model.notice = Some(Notice { text: "Reading everything anew.".to_owned(), tone: Tone::Neutral });
            return Effect::Restart;
        }
        Action::Details => {
            let open = model.details.is_none() && model.job().is_some();
            model.details = open.then_some(0);
        }
        _ if model.details.is_some() => scroll(model, action),
        Action::Back => {
            model.jobs.set_search("");
            model.jobs.set_filter(Filter::All);
        }
        Action::Filter => model.jobs.set_filter(model.jobs.filter.next()),
        Action::Sort => model.jobs.set_sort(model.jobs.sort.next()),
        Action::Search => model.over = Over::Search,
        Action::Namespace => model.over = Over::Namespace(String::new()),
        Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last => {
            walk(model, action);
        }
    }
    Effect::Nothing
}

/// Where a step from `at` leads, of 0 to `last`.
fn step(at: usize, last: usize, page: usize, action: Action) -> usize {
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::First => 0,
        Action::Last => last,
        _ => at,
    };
    to.min(last)
}

fn walk(model: &mut Model, action: Action) {
    let page = model.areas().rows().saturating_sub(1).max(1);
    model.cursor = step(model.cursor, model.jobs.shown().saturating_sub(1), page, action);
    model.chosen = model.job().map(|job| job.key.clone());
}

fn scroll(model: &mut Model, action: Action) {
    if action == Action::Back {
        model.details = None;
        return;
    }
    let area = model.areas().body;
    let page = usize::from(area.height.saturating_sub(1)).max(1);
    let lines = model.job().map_or(0, |job| details::wrapped(model, job, area.width).len());
    let at = model.details.unwrap_or_default();
    model.details = Some(step(at, lines.saturating_sub(page), page, action));
}

/// Opens the question whether to carry out a wish; without one, to pause the job or to let it go on.
fn ask(model: &mut Model, wish: Option<Wish>) {
    let Some(job) = model.job() else {
        model.notice = Some(Notice { text: "No job is chosen.".to_owned(), tone: Tone::Neutral });
        return;
    };
    let wish = wish.unwrap_or(if job.suspended { Wish::Resume } else { Wish::Pause });
    let ended = job.phase.is_terminal();
    if let Some(action) = wish.of_live_jobs().filter(|_| ended) {
        let refused = Error::Ended { job: job.key.name.clone(), phase: job.phase.as_str(), action };
        model.notice = Some(Notice { text: refused.to_string(), tone: Tone::Bad });
        return;
    }
    model.over = Over::Confirm(Ask { wish, key: job.key.clone(), path: job.path.clone() });
}

impl Wish {
    /// The word for it, of a wish that a job which has ended cannot fulfil.
    pub(crate) fn of_live_jobs(self) -> Option<&'static str> {
        match self {
            Self::Pause => Some("pause"),
            Self::Cancel => Some("cancel"),
            Self::Resume | Self::Undo => None,
        }
    }
}

/// Only a clear yes is one.
fn confirm(model: &mut Model, ask: Ask, key: KeyEvent) -> Effect {
    if key.code == KeyCode::Char('y') {
        model.notice = Some(Notice { text: format!("{}: asking the cluster…", ask.key.name), tone: Tone::Neutral });
        return Effect::Do(ask);
    }
    model.notice = Some(Notice { text: "Nothing was changed.".to_owned(), tone: Tone::Neutral });
    Effect::Nothing
}

fn search(model: &mut Model, key: KeyEvent) -> Effect {
    let mut text = model.jobs.search().to_owned();
    model.over = Over::Search;
    match key.code {
        KeyCode::Enter => model.over = Over::Nothing,
        KeyCode::Esc => {
            model.over = Over::Nothing;
            model.jobs.set_search("");
        }
        KeyCode::Up => walk(model, Action::Up),
        KeyCode::Down => walk(model, Action::Down),
        _ => {
            if write(&mut text, key) {
                model.jobs.set_search(&text);
            }
        }
    }
    Effect::Nothing
}

fn namespace(model: &mut Model, mut text: String, key: KeyEvent) -> Effect {
    match key.code {
        KeyCode::Esc => return Effect::Nothing,
        KeyCode::Enter => {
            model.namespace = Some(text.trim().to_owned()).filter(|name| !name.is_empty());
            model.clear();
            return Effect::Restart;
        }
        _ => {
            write(&mut text, key);
        }
    }
    model.over = Over::Namespace(text);
    Effect::Nothing
}

/// Changes a text that is being written; says whether it did.
fn write(text: &mut String, key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Backspace => text.pop().is_some(),
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            text.clear();
            true
        }
        KeyCode::Char(c) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) && !c.is_control() => {
            text.push(c);
            true
        }
        _ => false,
    }
}
