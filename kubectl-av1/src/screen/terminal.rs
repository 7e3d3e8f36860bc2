//! The terminal: taken, drawn on, and given back as it was found, whatever ends the screen.
//!
//! May: change the terminal's modes, read keys. Must never: decide what is shown.

use std::io::{self, BufWriter, Stdout, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{Event, read};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc;

use super::draw;
use super::model::{Message, Model};
use super::update::update;

/// Bytes of a frame that are written at once.
const BUFFER: usize = 1 << 16;

/// Whether the terminal is ours; a panic on any thread gives it back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, while it is ours.
pub(super) struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Terminal {
    /// Takes it.
    pub(super) fn take() -> io::Result<Self> {
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(stdout(), EnterAlternateScreen, Hide))
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, stdout()))));
        match taken {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws a frame, unless a panic elsewhere has given the terminal back already.
    pub(super) fn draw(&mut self, model: &mut Model) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.inner.draw(|frame| {
            let area = frame.area();
            update(model, Message::Resize(area.width, area.height));
            model.settle();
            draw::screen(model, frame.buffer_mut());
        })?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // With the terminal gone there is nothing to give back.
        let _ = disable_raw_mode();
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            told(panic);
        }));
    });
}

/// Reads keys on a thread of its own until nobody wants them or there are none any more.
pub(super) fn read_keys(sender: mpsc::Sender<io::Result<Event>>) -> io::Result<()> {
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let event = read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(())
}
