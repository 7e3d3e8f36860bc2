//! The keys: one table from which the screen acts, the help is drawn, and the page in the documentation is written. Pure.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Details,
    Back,
    Filter,
    Sort,
    Search,
    Namespace,
    Pause,
    Undo,
    Cancel,
    Refresh,
    Help,
    Quit,
}

/// Keys that do one thing.
pub(crate) struct Binding {
    pub(crate) action: Action,
    keys: &'static [KeyCode],
    /// The keys as they are written.
    pub(crate) shown: &'static str,
    /// In the footer; empty where there is no room for it.
    pub(crate) word: &'static str,
    /// In the help.
    pub(crate) help: &'static str,
}

/// Every key, in the order of the footer.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(Action::Help, &[KeyCode::Char('?')], "?", "help", "this help; again closes it"),
    bind(Action::Quit, &[KeyCode::Char('q')], "q", "quit", "leave the screen; Ctrl-C does too"),
    bind(Action::Up, &[KeyCode::Up, KeyCode::Char('k')], "↑ k", "", "one up"),
    bind(Action::Down, &[KeyCode::Down, KeyCode::Char('j')], "↓ j", "", "one down"),
    bind(Action::PageUp, &[KeyCode::PageUp], "PgUp", "", "a page up"),
    bind(Action::PageDown, &[KeyCode::PageDown], "PgDn", "", "a page down"),
    bind(Action::First, &[KeyCode::Home, KeyCode::Char('g')], "Home g", "", "the first"),
    bind(Action::Last, &[KeyCode::End, KeyCode::Char('G')], "End G", "", "the last"),
    bind(Action::Details, &[KeyCode::Enter], "Enter", "details", "all that is known of the job; again closes it"),
    bind(
        Action::Filter,
        &[KeyCode::Char('f')],
        "f",
        "filter",
        "All, Pending, Running, Success, Failed, Skipped in turn",
    ),
    bind(Action::Sort, &[KeyCode::Char('s')], "s", "sort", "by Date, Size, Status, Savings in turn"),
    bind(Action::Search, &[KeyCode::Char('/')], "/", "search", "jobs whose path or name holds a text"),
    bind(Action::Namespace, &[KeyCode::Char('n')], "n", "namespace", "look at another namespace, or at all"),
    bind(Action::Pause, &[KeyCode::Char('p')], "p", "pause", "pause the job, or let it go on; asks first"),
    bind(Action::Undo, &[KeyCode::Char('u')], "u", "undo", "bring the original back; asks first"),
    bind(Action::Cancel, &[KeyCode::Char('x')], "x", "cancel", "stop the job and keep the file as it is; asks first"),
    bind(Action::Refresh, &[KeyCode::Char('r')], "r", "refresh", "read everything anew"),
    bind(Action::Back, &[KeyCode::Esc], "Esc", "", "back; in the queue: no search and no filter any more"),
];

const fn bind(
    action: Action,
    keys: &'static [KeyCode],
    shown: &'static str,
    word: &'static str,
    help: &'static str,
) -> Binding {
    Binding { action, keys, shown, word, help }
}

/// What the key does outside of a text that is being written.
pub(crate) fn action(key: KeyEvent) -> Option<Action> {
    if is_interrupt(key) {
        return Some(Action::Quit);
    }
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return None;
    }
    BINDINGS.iter().find(|binding| binding.keys.contains(&key.code)).map(|binding| binding.action)
}

/// Ctrl-C, which the terminal hands over as a key.
pub(crate) fn is_interrupt(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c')
}

/// The table as the documentation shows it.
#[cfg(test)]
pub(super) fn markdown() -> String {
    let mut out = "| key | does |\n|---|---|\n".to_owned();
    for binding in BINDINGS {
        let keys: Vec<String> = binding.shown.split(' ').map(|key| format!("`{key}`")).collect();
        out += &format!("| {} | {} |\n", keys.join(" "), binding.help);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_and_every_key_is_found() {
        let keys: Vec<&KeyCode> = BINDINGS.iter().flat_map(|binding| binding.keys).collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{key:?}");
        }
        for binding in BINDINGS {
            for key in binding.keys {
                assert_eq!(action(KeyEvent::new(*key, KeyModifiers::NONE)), Some(binding.action), "{key:?}");
            }
        }
    }

    #[test]
    fn ctrl_c_quits_and_other_chords_do_nothing() {
        let chord = |key: char| action(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL));
        assert_eq!((chord('c'), chord('x')), (Some(Action::Quit), None));
    }
}
