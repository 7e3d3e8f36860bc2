//! The swap as a table: from what each name holds now to the one next step. The first run and every run after a crash follow
//! the same table, so that it does not matter where the last one ended.
//!
//! Four names matter: the file's own, the copy beside it (`part`), a second name of the original beside it (`side`, unused by
//! an exchange, which leaves the original under the copy's name), and the original's place in the trash.

use av1_crds::library::SwapMethod;

/// What a name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The planned original.
    Original,
    /// The verified output.
    Output,
    /// Something else: another program's.
    Other,
    /// There is nothing of that name.
    Nothing,
}

/// What every name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// The file's own name.
    pub name: Holds,
    /// The copy beside it.
    pub part: Holds,
    /// The original's second name beside it.
    pub side: Holds,
    /// The original's place in the trash.
    pub trash: Holds,
    /// Whether own name and `side` are two names of one file.
    pub side_is_name: bool,
}

/// Where the original waits for the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Under the copy's name.
    Part,
    /// Under its second name.
    Side,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Swap own name and `part` at one instant; done again, it takes a wrong exchange back.
    Exchange,
    /// Give the file at the own name its second name `side`.
    Link,
    /// Rename `part` over the own name, which holds the same file as `side`.
    RenameOver,
    /// Rename the own name to `side`, which is free.
    RenameAway,
    /// Rename `part` to the own name, which is free.
    RenameIn,
    /// Rename `side` back to the own name, which is free.
    RenameBack,
    /// Rename the own name back to `part`, which is free.
    RenameOut,
    /// Move the original into the trash.
    Stow(From),
    /// Remove the original's name beside the file: the trash holds it whole.
    DropKept(From),
    /// Remove `side`, which is a second name of what the own name holds.
    DropSide,
    /// Remove the copy: it will not be needed.
    DropPart,
    /// The output is in place and the original in the trash.
    Done,
    /// The copy has gone and the original is in place: begin again.
    StartOver,
    /// Another program changed the file; what it made stays. `original_in_trash` when the original was out already.
    Changed {
        /// Whether the original is in the trash.
        original_in_trash: bool,
    },
    /// Cannot tell: everything stays as it is, and a person must look.
    Park(&'static str),
}

const LOST: &str = "the encoded file is in place, but its original is neither beside it nor in the trash";
const TAKEN: &str = "the original's place in the trash holds another file";
const ODD: &str = "the names beside the file hold what no step of a swap leaves";

/// The next step of a swap by `method`.
#[must_use]
pub fn next(method: SwapMethod, names: &Names) -> Step {
    if names.trash == Holds::Other {
        return Step::Park(TAKEN);
    }
    match method {
        SwapMethod::Exchange => exchange(names),
        SwapMethod::Link => link(names),
        SwapMethod::TwoRenames => two_renames(names),
    }
}

fn exchange(names: &Names) -> Step {
    use Holds::{Nothing, Original, Other, Output};
    match (names.name, names.part, names.trash) {
        (Original, Output, Nothing) | (Output, Other, Nothing) => Step::Exchange,
        (_, Original, Nothing) if names.name != Original => Step::Stow(From::Part),
        (_, Original, Original) if names.name != Original => Step::DropKept(From::Part),
        _ => settled(names),
    }
}

fn link(names: &Names) -> Step {
    use Holds::{Nothing, Original, Other, Output};
    match (names.name, names.part, names.side, names.trash) {
        (Original, Output, Nothing, Nothing) => Step::Link,
        (Original, Output, Original, Nothing) if names.side_is_name => Step::RenameOver,
        (Original, Nothing, Original, Nothing) | (Other, Output | Nothing, Other, Nothing) if names.side_is_name => {
            Step::DropSide
        }
        (Output | Other | Nothing, Output | Nothing, Original, Nothing)
            if names.name != Output || names.part == Nothing =>
        {
            Step::Stow(From::Side)
        }
        (_, Output | Nothing, Original, Original) if names.name != Original => Step::DropKept(From::Side),
        (.., Nothing, _) => settled(names),
        _ => Step::Park(ODD),
    }
}

fn two_renames(names: &Names) -> Step {
    use Holds::{Nothing, Original, Other, Output};
    match (names.name, names.part, names.side, names.trash) {
        (Original, Output, Nothing, Nothing) => Step::RenameAway,
        (Nothing, Output, Original, Nothing) => Step::RenameIn,
        (Nothing, Nothing, Original, Nothing) | (Nothing, Output | Nothing, Other, Nothing) => Step::RenameBack,
        (Output, Nothing, Other, Nothing) => Step::RenameOut,
        (Output, Nothing, Original, Nothing) | (Other, Output | Nothing, Original, Nothing) => Step::Stow(From::Side),
        (_, Output | Nothing, Original, Original) if names.name != Original => Step::DropKept(From::Side),
        (.., Nothing, _) => settled(names),
        _ => Step::Park(ODD),
    }
}

/// States in which nothing of ours but the copy is left beside the file.
fn settled(names: &Names) -> Step {
    use Holds::{Nothing, Original, Other, Output};
    match (names.name, names.part, names.trash) {
        (Output, Nothing, Original) => Step::Done,
        (Output, Nothing, Nothing) => Step::Park(LOST),
        (Original, Nothing, Nothing) => Step::StartOver,
        (Original | Other | Nothing, Output, Original) | (Other | Nothing, Output, Nothing) => Step::DropPart,
        (Original | Other | Nothing, Nothing, Original) => Step::Changed { original_in_trash: true },
        (Other | Nothing, Nothing, Nothing) => Step::Changed { original_in_trash: false },
        _ => Step::Park(ODD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Holds; 4] = [Holds::Original, Holds::Output, Holds::Other, Holds::Nothing];
    const METHODS: [SwapMethod; 3] = [SwapMethod::Exchange, SwapMethod::Link, SwapMethod::TwoRenames];

    /// What the file system does for a step; none when the step ends the swap.
    fn apply(step: Step, n: Names) -> Option<Names> {
        let after = match step {
            Step::Exchange => Names { name: n.part, part: n.name, ..n },
            Step::Link => Names { side: n.name, side_is_name: true, ..n },
            Step::RenameOver => Names { name: n.part, part: Holds::Nothing, side_is_name: false, ..n },
            Step::RenameAway => Names { name: Holds::Nothing, side: n.name, ..n },
            Step::RenameIn => Names { name: n.part, part: Holds::Nothing, ..n },
            Step::RenameBack => Names { name: n.side, side: Holds::Nothing, ..n },
            Step::RenameOut => Names { name: Holds::Nothing, part: n.name, ..n },
            Step::Stow(From::Part) => Names { trash: n.part, part: Holds::Nothing, ..n },
            Step::Stow(From::Side) => Names { trash: n.side, side: Holds::Nothing, ..n },
            Step::DropKept(From::Part) | Step::DropPart => Names { part: Holds::Nothing, ..n },
            Step::DropKept(From::Side) | Step::DropSide => Names { side: Holds::Nothing, side_is_name: false, ..n },
            Step::Done | Step::StartOver | Step::Changed { .. } | Step::Park(_) => return None,
        };
        Some(after)
    }

    fn states() -> impl Iterator<Item = Names> {
        ALL.into_iter()
            .flat_map(|name| ALL.into_iter().flat_map(move |part| ALL.into_iter().map(move |side| (name, part, side))))
            .flat_map(|(name, part, side)| {
                ALL.into_iter().flat_map(move |trash| {
                    let one_file = name == side && name != Holds::Nothing;
                    [false, true].into_iter().filter(move |same| !same || one_file).map(move |side_is_name| Names {
                        name,
                        part,
                        side,
                        trash,
                        side_is_name,
                    })
                })
            })
    }

    fn count(n: &Names, what: Holds) -> usize {
        let side = if n.side_is_name { Holds::Nothing } else { n.side };
        [n.name, n.part, side, n.trash].into_iter().filter(|h| *h == what).count()
    }

    #[test]
    fn no_step_from_any_state_loses_the_last_original_or_another_programs_file() {
        for method in METHODS {
            for before in states() {
                let step = next(method, &before);
                let Some(after) = apply(step, before) else {
                    continue;
                };
                assert!(
                    count(&before, Holds::Original) == 0 || count(&after, Holds::Original) > 0,
                    "{method:?} {before:?} {step:?}"
                );
                assert!(count(&after, Holds::Other) >= count(&before, Holds::Other), "{method:?} {before:?} {step:?}");
            }
        }
    }

    #[test]
    fn every_state_comes_to_an_end() {
        for method in METHODS {
            for state in states() {
                let mut now = state;
                let mut steps = 0;
                while let Some(after) = apply(next(method, &now), now) {
                    now = after;
                    steps += 1;
                    assert!(steps < 10, "{method:?} {state:?} goes round");
                }
            }
        }
    }

    #[test]
    fn a_swap_passes_no_state_without_a_whole_file_at_the_name_but_for_two_renames() {
        for method in METHODS {
            let mut now = Names {
                name: Holds::Original,
                part: Holds::Output,
                side: Holds::Nothing,
                trash: Holds::Nothing,
                side_is_name: false,
            };
            while let Some(after) = apply(next(method, &now), now) {
                now = after;
                let gap = method == SwapMethod::TwoRenames && now.side == Holds::Original;
                assert!(matches!(now.name, Holds::Original | Holds::Output) || gap, "{method:?} {now:?}");
            }
            assert_eq!((now.name, now.trash, next(method, &now)), (Holds::Output, Holds::Original, Step::Done));
        }
    }

    #[test]
    fn a_file_that_came_between_is_put_back_at_its_name() {
        let exchanged = Names {
            name: Holds::Output,
            part: Holds::Other,
            side: Holds::Nothing,
            trash: Holds::Nothing,
            side_is_name: false,
        };
        let renamed = Names {
            name: Holds::Output,
            part: Holds::Nothing,
            side: Holds::Other,
            trash: Holds::Nothing,
            side_is_name: false,
        };
        let linked = Names {
            name: Holds::Other,
            part: Holds::Output,
            side: Holds::Other,
            trash: Holds::Nothing,
            side_is_name: true,
        };
        for (method, mut now) in
            [(SwapMethod::Exchange, exchanged), (SwapMethod::TwoRenames, renamed), (SwapMethod::Link, linked)]
        {
            while let Some(after) = apply(next(method, &now), now) {
                now = after;
            }
            assert_eq!(
                (now.name, next(method, &now)),
                (Holds::Other, Step::Changed { original_in_trash: false }),
                "{method:?}"
            );
        }
    }
}
