//! The last line of a terminal: what is under way, and for how long. Other lines go above it.

use std::{
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::base::time::show_duration;

const FRAMES: [&str; 8] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠇"];
const EVERY: Duration = Duration::from_millis(100);
/// What ends sooner than this is not worth a line of its own.
const PATIENCE: Duration = Duration::from_millis(200);

/// The live line. Dropping it wipes it.
pub struct Live {
    shown: Arc<Mutex<Shown>>,
    over: Arc<AtomicBool>,
}

#[derive(Default)]
struct Shown {
    /// What is under way, and since when.
    what: Option<(String, Instant)>,
    /// The line stands on the terminal now.
    drawn: bool,
}

impl Live {
    /// A line that a thread of its own keeps up to date.
    pub fn start() -> Self {
        let live = Self { shown: Arc::default(), over: Arc::default() };
        let (shown, over) = (Arc::clone(&live.shown), Arc::clone(&live.over));
        std::thread::spawn(move || {
            for frame in FRAMES.iter().cycle() {
                std::thread::sleep(EVERY);
                if over.load(Ordering::SeqCst) {
                    return;
                }
                draw(&mut lock(&shown), frame);
            }
        });
        live
    }

    /// What is under way from now on; `None` when nothing is.
    pub fn set(&self, what: Option<String>) {
        let mut shown = lock(&self.shown);
        let same = shown.what.as_ref().map(|(text, _)| text) == what.as_ref();
        if !same {
            shown.what = what.map(|text| (text, Instant::now()));
        }
        if shown.what.is_none() {
            wipe(&mut shown);
        }
    }

    /// Prints above the line.
    pub fn above(&self, print: impl FnOnce()) {
        let mut shown = lock(&self.shown);
        wipe(&mut shown);
        print();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        wipe(&mut lock(&self.shown));
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw(shown: &mut Shown, frame: &str) {
    let Some((text, since)) = &shown.what else { return };
    let took = since.elapsed();
    if took < PATIENCE {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "\r\x1b[K{frame} {text}  {}", show_duration(took));
    let _ = stdout.flush();
    shown.drawn = true;
}

fn wipe(shown: &mut Shown) {
    if std::mem::take(&mut shown.drawn) {
        let mut stdout = std::io::stdout().lock();
        let _ = write!(stdout, "\r\x1b[K");
        let _ = stdout.flush();
    }
}
