//! What each key does.

use super::*;
use crate::screen::model::{Filter, Kind, Notice, Over, Sort, Wish};
use crate::view::Tone;

fn chosen(model: &Model) -> &str {
    model.job().map_or("", |job| job.path.split(' ').next().unwrap_or_default())
}

#[test]
fn arrows_and_letters_move_the_choice_and_stop_at_the_ends() {
    let mut model = model(80, 24);
    let last = model.jobs.shown() - 1;
    for (keys, at) in [
        ("", 0),
        ("k", 0),
        ("j", 1),
        ("<down>", 2),
        ("<up>", 1),
        ("G", last),
        ("j", last),
        ("g", 0),
        ("<end>", last),
        ("<home>", 0),
    ] {
        press(&mut model, keys);
        assert_eq!(model.cursor, at, "{keys}");
    }
    let page = model.areas().rows() - 1;
    press(&mut model, "<pgdn>");
    assert_eq!(model.cursor, page.min(last));
    press(&mut model, "<pgup>");
    assert_eq!(model.cursor, 0);
}

#[test]
fn the_choice_stays_with_its_job_when_the_order_changes() {
    let mut model = model(80, 24);
    press(&mut model, "jj");
    assert_eq!(chosen(&model), "Alien");
    press(&mut model, "s");
    assert_eq!((model.jobs.sort, chosen(&model)), (Sort::Savings, "Alien"));
    update(&mut model, Message::Jobs(Change::Gone(Key { namespace: "media".into(), name: "films-alien-11bc".into() })));
    model.settle();
    assert!(model.job().is_some());
}

#[test]
fn nothing_is_chosen_until_the_user_chooses() {
    let mut model = model(80, 24);
    update(&mut model, Message::Jobs(Change::Put(Box::new(job("a", "A first one.mkv", json!({"phase": "Encoding"}))))));
    model.settle();
    assert_eq!((model.cursor, chosen(&model)), (0, "A"), "the first, whichever it is");
}

#[test]
fn f_and_s_go_round() {
    let mut model = model(80, 24);
    let filters: Vec<Filter> = (0..7)
        .map(|_| {
            press(&mut model, "f");
            model.jobs.filter
        })
        .collect();
    assert_eq!(filters[..5], Filter::ALL[1..]);
    assert_eq!(filters[5..], [Filter::All, Filter::Pending]);
    let sorts: Vec<Sort> = (0..4)
        .map(|_| {
            press(&mut model, "s");
            model.jobs.sort
        })
        .collect();
    assert_eq!(sorts, [Sort::Savings, Sort::Date, Sort::Size, Sort::Status]);
}

#[test]
fn a_search_is_written_kept_and_cleared() {
    let mut model = model(80, 24);
    press(&mut model, "/qx<back><back>FARGO");
    assert_eq!((model.over.clone(), model.jobs.shown()), (Over::Search, 1));
    press(&mut model, "<enter>");
    assert_eq!((model.over.clone(), model.jobs.search()), (Over::Nothing, "fargo"));
    press(&mut model, "<esc>");
    assert_eq!((model.jobs.search(), model.jobs.shown()), ("", model.jobs.len()));
    press(&mut model, "/fargo<esc>");
    assert_eq!((model.over.clone(), model.jobs.search()), (Over::Nothing, ""));
}

#[test]
fn enter_opens_the_details_in_which_one_can_scroll() {
    let mut model = model(80, 24);
    press(&mut model, "<enter>");
    assert_eq!(model.details, Some(0));
    press(&mut model, "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj");
    let end = model.details.unwrap();
    press(&mut model, "<end>");
    assert_eq!(model.details, Some(end));
    press(&mut model, "gf");
    assert_eq!((model.details, model.jobs.filter), (Some(0), Filter::All), "filters are for the queue");
    press(&mut model, "<esc>");
    assert_eq!((model.details, model.cursor), (None, 0));
}

#[test]
fn a_namespace_is_written_and_everything_begins_anew() {
    let mut model = model(80, 24);
    assert_eq!(press(&mut model, "nvideo<enter>"), Effect::Restart);
    assert_eq!((model.namespace.as_deref(), model.jobs.len(), model.loaded), (Some("video"), 0, false));
    assert_eq!(press(&mut model, "nother<esc>"), Effect::Nothing);
    assert_eq!(model.namespace.as_deref(), Some("video"));
    assert_eq!(press(&mut model, "n<enter>"), Effect::Restart);
    assert_eq!(model.namespace, None);
}

#[test]
fn what_changes_a_job_asks_first_and_only_y_is_a_yes() {
    for (keys, wish) in [("p", Wish::Pause), ("u", Wish::Undo), ("x", Wish::Cancel)] {
        let mut model = model(80, 24);
        assert_eq!(press(&mut model, keys), Effect::Nothing);
        assert!(matches!(&model.over, Over::Confirm(ask) if ask.wish == wish && ask.key.name == "films-heat-3f9a"));
        for no in ["n", "<esc>", "<enter>", "q", "x"] {
            let mut model = self::model(80, 24);
            press(&mut model, keys);
            assert_eq!((press(&mut model, no), &model.over), (Effect::Nothing, &Over::Nothing), "{keys}{no}");
        }
        let effect = press(&mut model, "y");
        assert!(matches!(&effect, Effect::Do(ask) if ask.wish == wish), "{effect:?}");
    }
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    let mut model = model(80, 24);
    for (keys, action) in [("p", "pause"), ("x", "cancel")] {
        press(&mut model, &format!("/gattaca<enter>{keys}"));
        assert_eq!(model.over, Over::Nothing);
        let said = &model.notice.as_ref().unwrap().text;
        assert_eq!(said, &format!("films-gattaca-5c2e has ended already (Succeeded): nothing to {action}"));
        press(&mut model, "<esc>");
    }
    press(&mut model, "/gattaca<enter>u");
    assert!(matches!(&model.over, Over::Confirm(ask) if ask.wish == Wish::Undo));
    press(&mut model, "n<esc>/no such file<enter>x");
    assert_eq!(model.notice.as_ref().unwrap().text, "No job is chosen.");
}

#[test]
fn a_paused_job_is_let_go_on() {
    let mut model = empty(80, 24);
    let paused = Job { suspended: true, ..job("films-a", "a.mkv", json!({"phase": "Paused"})) };
    list(&mut model, vec![paused]);
    press(&mut model, "p");
    assert!(matches!(&model.over, Over::Confirm(ask) if ask.wish == Wish::Resume));
}

#[test]
fn the_answer_stands_in_the_footer_until_the_next_key() {
    let mut model = model(80, 24);
    let refused = "not allowed to change EncodeJob films-a: no rights; ask whoever runs the cluster for that right";
    update(&mut model, Message::Answer(Err(refused.to_owned())));
    assert_eq!(model.notice, Some(Notice { text: refused.to_owned(), tone: Tone::Bad }));
    assert!(picture(&model).contains("\nnot allowed to change EncodeJob films-a"), "{}", picture(&model));
    press(&mut model, "j");
    assert_eq!(model.notice, None);
}

#[test]
fn help_refresh_and_quit() {
    let mut model = model(80, 24);
    press(&mut model, "?");
    assert_eq!(model.over, Over::Help);
    press(&mut model, "j");
    assert_eq!((&model.over, model.cursor), (&Over::Help, 0));
    press(&mut model, "?");
    assert_eq!(model.over, Over::Nothing);
    assert_eq!(press(&mut model, "r"), Effect::Restart);
    assert_eq!(press(&mut model, "?q"), Effect::Quit);
    assert_eq!(press(&mut model, "<esc>q"), Effect::Quit);
    assert_eq!(press(&mut model, "/q"), Effect::Nothing, "a letter of the search");
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(key(&mut model, interrupt), Effect::Quit);
}

#[test]
fn a_watch_that_was_lost_lives_again_when_it_tells_something() {
    let mut model = model(80, 24);
    let (jobs, libraries) = (model.jobs.len(), model.libraries.len());
    update(&mut model, Message::Lost(Kind::Libraries, "no answer".to_owned()));
    update(&mut model, Message::Libraries(Change::Begin));
    update(&mut model, Message::Jobs(Change::Begin));
    assert_eq!(model.problems(), ["no answer"]);
    assert_eq!((model.jobs.len(), model.libraries.len()), (jobs, libraries), "what was last seen stays");
    update(&mut model, Message::Libraries(Change::End));
    assert!(model.problems().is_empty() && model.libraries.is_empty());
}

#[test]
fn an_object_that_cannot_be_read_is_named_until_it_can() {
    let mut model = model(80, 24);
    let key = Key { namespace: "media".to_owned(), name: "films-a".to_owned() };
    update(&mut model, Message::Jobs(Change::Unreadable(key, "unknown variant `Odd`".to_owned())));
    assert_eq!(model.problems(), ["This version cannot read 1 object, films-a is the first: unknown variant `Odd`"]);
    update(&mut model, Message::Jobs(Change::Put(Box::new(job("films-a", "a.mkv", json!({}))))));
    assert!(model.problems().is_empty());
}

#[test]
fn the_operator_comes_back_and_its_absence_is_forgotten() {
    let mut model = model(80, 24);
    update(&mut model, Message::Page(Err("away".to_owned())));
    update(&mut model, Message::Tick(NOW + 60));
    update(&mut model, Message::Page(Err("still away".to_owned())));
    assert!(
        model.problems()[0].starts_with("The operator is away for 1m 0s, figures are from the API: still away"),
        "{:?}",
        model.problems()
    );
    let heat = model.jobs.iter().find(|job| job.key.name == "films-heat-3f9a").unwrap();
    assert_eq!(model.figures(heat).frames_per_second, Some(11.8), "from the API");
    update(&mut model, Message::Page(Ok(page())));
    assert!(model.problems().is_empty());
}
