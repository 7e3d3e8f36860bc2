//! What `doctor` prints: a line a check, and how many are ok. Pure.

use super::text::{count, printable, signed};
use super::{Palette, Tone};
use crate::checks::{Finding, State};

pub(crate) fn render(findings: &[Finding], palette: Palette) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut out = String::new();
    for finding in findings {
        let (word, tone) = match finding.state {
            State::Ok => ("ok", Tone::Good),
            State::Problem => ("FIX", Tone::Bad),
            State::Unknown => ("?", Tone::Busy),
        };
        let word = palette.paint(&format!("{word:<4}"), tone);
        let todo = finding.todo.as_ref().map_or_else(String::new, |todo| format!(": {}", printable(todo)));
        out += &format!("{word} {:<width$}  {}{todo}\n", finding.check, printable(&finding.found));
    }
    let number = |state| signed(findings.iter().filter(|f| f.state == state).count());
    let [ok, problems, unknown] = [State::Ok, State::Problem, State::Unknown].map(number);
    let mut parts = vec![format!("{ok} ok")];
    if problems > 0 {
        parts.push(format!("{problems} to put right"));
    }
    if unknown > 0 {
        parts.push(format!("{unknown} that cannot be told"));
    }
    out + &format!("{}: {}\n", count(ok + problems + unknown, "check"), parts.join(", "))
}
