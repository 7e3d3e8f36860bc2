//! The table of a new file that gets a name of its own in the same folder: in another container, beside the original, or where
//! the old file is gone.
//!
//! The new file gets its name by a rename that fails when it is taken, or by a link, so nothing of another program is
//! overwritten. After a link the file has two names until `part` goes: what another program puts over the new one in that
//! instant, it puts over the file itself. The old file goes only when the new one is whole at its name. Where it has to be copied
//! to be kept, it is renamed to `part`, which is free by then, before it goes: the name itself is never unlinked, because another
//! program may have put its own file there while the copy was read.

use super::{From, Holds, LOST, Names, ODD, Step, TAKEN};

/// What becomes of the old file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old {
    /// It goes to where it is kept.
    Goes,
    /// It stays at its name.
    Stays,
    /// There is none.
    Absent,
}

/// What every name holds. `side` of [`Names`] is the name that the new file is to have, and `side_is_name` says whether it and
/// `part` are two names of one file.
pub type Apart = Names;

/// The next step; `spare` as in [`super::Manner`].
#[must_use]
pub fn next(old: Old, spare: bool, names: &Apart) -> Step {
    use Holds::{New, Nothing, Other};
    let away = if spare { Step::DropPart } else { Step::PutBack };
    let there = names.name == Holds::Old;
    match (names.side, names.part, names.kept) {
        // Another program's file came between and was taken along: it goes back.
        (New, Nothing, Other) if old == Old::Goes && names.name == Nothing => Step::Unstow,
        (.., Other) => Step::Park(TAKEN),
        (New, New, _) if names.side_is_name => Step::DropPart,
        (New, New, _) => away,
        (Other, New, _) => away,
        (Other, Nothing, Nothing) => Step::Taken,
        (Nothing, New, Nothing) if there || old == Old::Absent => Step::Place,
        (Nothing, New, _) => away,
        (Nothing, Nothing, Nothing) if there || old == Old::Absent => Step::StartOver,
        (Nothing | Other, Nothing, kept) => Step::Changed { old_is_kept: kept == Holds::Old },
        (New, Holds::Old, Holds::Old) if old == Old::Goes => Step::DropKept(From::Part),
        (New, Holds::Old, Nothing) if old == Old::Goes => Step::Stow(From::Part),
        // Another program's file came between and was set aside: it goes back.
        (New, Other, Holds::Old | Nothing) if old == Old::Goes && names.name == Nothing => Step::RenameIn,
        (New, Nothing, kept) => match (old, kept) {
            (Old::Stays | Old::Absent, _) => Step::Done,
            (Old::Goes, Holds::Old) if there => Step::RenameOut,
            (Old::Goes, Holds::Old) => Step::Done,
            (Old::Goes, _) if there => Step::Stow(From::Name),
            // What another program put at the old name was not encoded.
            (Old::Goes, _) if names.name == Other => Step::Withdraw,
            (Old::Goes, _) => Step::Park(LOST),
        },
        _ => Step::Park(ODD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Holds; 4] = [Holds::Old, Holds::New, Holds::Other, Holds::Nothing];
    const POLICIES: [Old; 3] = [Old::Goes, Old::Stays, Old::Absent];

    fn apply(step: Step, n: Apart) -> Option<Apart> {
        let after = match step {
            Step::Place => Apart { side: n.part, side_is_name: true, ..n },
            Step::DropPart | Step::PutBack | Step::DropKept(From::Part) => {
                Apart { part: Holds::Nothing, side_is_name: false, ..n }
            }
            Step::Withdraw => Apart { part: n.side, side: Holds::Nothing, ..n },
            Step::Stow(From::Name) => Apart { kept: n.name, name: Holds::Nothing, ..n },
            Step::Unstow => Apart { name: n.kept, kept: Holds::Nothing, ..n },
            Step::Stow(From::Part) => Apart { kept: n.part, part: Holds::Nothing, ..n },
            Step::RenameOut => Apart { part: n.name, name: Holds::Nothing, ..n },
            Step::RenameIn => Apart { name: n.part, part: Holds::Nothing, ..n },
            Step::Done | Step::StartOver | Step::Changed { .. } | Step::Taken | Step::Park(_) => return None,
            step => panic!("{step:?} is of the other table"),
        };
        Some(after)
    }

    fn states() -> impl Iterator<Item = Apart> {
        let four = ALL.into_iter().flat_map(|a| ALL.into_iter().map(move |b| (a, b)));
        let all =
            four.clone().flat_map(move |(name, part)| four.clone().map(move |(side, kept)| (name, part, side, kept)));
        all.flat_map(|(name, part, side, kept)| {
            let one_file = part == side && part != Holds::Nothing;
            [false, true].into_iter().filter(move |same| !same || one_file).map(move |side_is_name| Apart {
                name,
                part,
                side,
                kept,
                side_is_name,
            })
        })
    }

    fn count(n: &Apart, what: Holds) -> usize {
        let part = if n.side_is_name { Holds::Nothing } else { n.part };
        [n.name, part, n.side, n.kept].into_iter().filter(|h| *h == what).count()
    }

    #[test]
    fn no_step_from_any_state_loses_a_file_that_cannot_be_made_again() {
        for (old, spare) in POLICIES.into_iter().flat_map(|old| [(old, true), (old, false)]) {
            for before in states() {
                let step = next(old, spare, &before);
                let Some(after) = apply(step, before) else {
                    continue;
                };
                let told = format!("{old:?} {spare} {before:?} {step:?}");
                let survives = |what| count(&before, what) == 0 || count(&after, what) > 0;
                assert!(survives(Holds::Old), "{told}");
                assert!(count(&after, Holds::Other) >= count(&before, Holds::Other), "{told}");
                let put_back = step == Step::PutBack && before.part == Holds::New;
                assert!(spare || survives(Holds::New) || put_back, "{told}");
            }
        }
    }

    #[test]
    fn every_state_comes_to_an_end() {
        for (old, spare) in POLICIES.into_iter().flat_map(|old| [(old, true), (old, false)]) {
            for state in states() {
                let mut now = state;
                let mut steps = 0;
                while let Some(after) = apply(next(old, spare, &now), now) {
                    now = after;
                    steps += 1;
                    assert!(steps < 10, "{old:?} {spare} {state:?} goes round");
                }
            }
        }
    }

    #[test]
    fn the_old_file_goes_only_when_the_new_one_is_whole_at_its_name() {
        for (old, end) in [(Old::Goes, (Holds::Nothing, Holds::Old)), (Old::Stays, (Holds::Old, Holds::Nothing))] {
            let mut now = Apart {
                name: Holds::Old,
                part: Holds::New,
                side: Holds::Nothing,
                kept: Holds::Nothing,
                side_is_name: false,
            };
            while let Some(after) = apply(next(old, true, &now), now) {
                now = after;
                assert!(now.name == Holds::Old || now.side == Holds::New && now.part == Holds::Nothing, "{now:?}");
            }
            assert_eq!((next(old, true, &now), now.side, (now.name, now.kept)), (Step::Done, Holds::New, end));
        }
    }

    /// To another file system the old file is copied, and stays at its name until the next steps.
    fn copied(name: Holds) -> Apart {
        Apart { name, part: Holds::Nothing, side: Holds::New, kept: Holds::Old, side_is_name: false }
    }

    #[test]
    fn an_old_file_that_was_copied_is_looked_at_under_our_own_name_before_it_goes() {
        let mut now = copied(Holds::Old);
        let mut steps = Vec::new();
        while let Some(after) = apply(next(Old::Goes, true, &now), now) {
            steps.push(next(Old::Goes, true, &now));
            now = after;
        }
        assert_eq!(steps, [Step::RenameOut, Step::DropKept(From::Part)]);
        assert_eq!((next(Old::Goes, true, &now), now), (Step::Done, copied(Holds::Nothing)));
    }

    #[test]
    fn a_file_that_was_put_at_the_name_while_the_copy_was_read_goes_back_there() {
        // It came between the look and the rename.
        let aside = Apart { part: Holds::Other, ..copied(Holds::Nothing) };
        assert_eq!(next(Old::Goes, true, &aside), Step::RenameIn);
        assert_eq!(next(Old::Goes, true, &apply(Step::RenameIn, aside).unwrap()), Step::Done);
        assert!(matches!(next(Old::Goes, true, &Apart { name: Holds::Other, ..aside }), Step::Park(_)));
    }

    #[test]
    fn a_taken_name_and_a_file_that_came_between_are_left_to_their_program() {
        let base = Apart {
            name: Holds::Old,
            part: Holds::New,
            side: Holds::Nothing,
            kept: Holds::Nothing,
            side_is_name: false,
        };
        let run = |old, mut now| {
            while let Some(after) = apply(next(old, true, &now), now) {
                now = after;
            }
            (now, next(old, true, &now))
        };
        let (now, end) = run(Old::Goes, Apart { side: Holds::Other, ..base });
        assert_eq!((now.side, now.name, end), (Holds::Other, Holds::Old, Step::Taken));
        let stowed = Apart { name: Holds::Nothing, part: Holds::Nothing, side: Holds::New, kept: Holds::Other, ..base };
        let (now, end) = run(Old::Goes, stowed);
        assert_eq!((now.name, now.side, end), (Holds::Other, Holds::Nothing, Step::Changed { old_is_kept: false }));
    }
}
