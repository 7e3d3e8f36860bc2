//! The page in the documentation: what of it is made from the screen is the same as what the screen shows.
//!
//! `INSTA_UPDATE=always` writes what differs, as it does with the snapshots.

use std::fs;
use std::path::Path;

use super::*;

/// Compares, or writes, what stands in the page between `<!-- NAME -->` and `<!-- end of NAME -->`.
pub(in crate::screen) fn holds(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/screen.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let from = page.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let to = from + page[from..].find(&end).unwrap_or_else(|| panic!("no {end}"));
    if &page[from..to] == text {
        return;
    }
    assert_eq!(
        std::env::var("INSTA_UPDATE").ok().as_deref(),
        Some("always"),
        "docs/screen.md has drifted at {name}: run this test with INSTA_UPDATE=always"
    );
    fs::write(&path, format!("{}{text}{}", &page[..from], &page[to..])).unwrap();
}

#[test]
fn its_pictures_are_what_the_screen_draws() {
    // One test for all: they write the same file.
    let fenced = |model: &Model| format!("```text\n{}```\n", picture(model));
    let begun = model(80, 24);
    holds("queue", &fenced(&begun));
    let mut details = model(80, 24);
    press(&mut details, "<enter>");
    holds("details", &fenced(&details));
    let mut away = model(80, 24);
    update(&mut away, Message::Page(Err("no endpoints available for service \"av1-operator\"".to_owned())));
    update(&mut away, Message::Tick(NOW + 75));
    holds("away", &fenced(&away));
    holds("keys", &crate::screen::keys::markdown());
}
