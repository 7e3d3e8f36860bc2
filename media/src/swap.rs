//! The swap as a table: from what each name holds now to the one next step. The first run and every run after a crash follow
//! the same table, so that it does not matter where the last one ended.
//!
//! A swap puts a new file at the name of an old one and keeps the old one: settling puts the verified output in the place of the
//! original, restoring the original in the place of the output. Four names matter: the file's own, the new file beside it
//! (`part`), a second name of the old one beside it (`side`, unused by an exchange, which leaves the old file under `part`),
//! and the place where the old one is kept (`kept`, as a rule in the trash). A new file that gets a name of its own goes by
//! another table: see [`apart`].

pub mod apart;

use av1_crds::library::SwapMethod;

/// What a name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The file that was at the name when the swap was planned.
    Old,
    /// The file that is to be there.
    New,
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
    /// The new file's name beside it.
    pub part: Holds,
    /// The old file's second name beside it.
    pub side: Holds,
    /// The place where the old file is kept.
    pub kept: Holds,
    /// Whether own name and `side` are two names of one file.
    pub side_is_name: bool,
}

/// How a swap is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// How names are changed.
    pub method: SwapMethod,
    /// Whether the new file is a copy that can be made again. One that cannot goes back to where it came from instead.
    pub spare: bool,
}

impl Manner {
    /// What becomes of a new file that is not needed.
    fn away(self) -> Step {
        if self.spare { Step::DropPart } else { Step::PutBack }
    }
}

/// Where the old file waits to be stowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Under the new file's name.
    Part,
    /// Under its second name.
    Side,
    /// Under its own name, when the new file has another one.
    Name,
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
    /// Rename the own name to `part`, which is free: back to where it was, or aside before it goes.
    RenameOut,
    /// Move the old file to where it is kept.
    Stow(From),
    /// Remove the old file's name beside the new one: it is kept whole.
    DropKept(From),
    /// Remove `side`, which is a second name of what the own name holds.
    DropSide,
    /// Remove `part`: it is a copy that will not be needed.
    DropPart,
    /// Move `part` back to where it came from.
    PutBack,
    /// Give the new file the name that it is to have, which is free.
    Place,
    /// Take that name away from it again: rename it to `part`, which is free.
    Withdraw,
    /// Move what is kept back to its own name, which is free.
    Unstow,
    /// The new file is in place, the old one kept.
    Done,
    /// The new file is not beside the old one, which is in place: begin again.
    StartOver,
    /// Another program changed the file; what it made stays.
    Changed {
        /// Whether the old file is kept: it was out already.
        old_is_kept: bool,
    },
    /// The name that the new file was to have holds another program's file, which stays.
    Taken,
    /// Cannot tell: everything stays as it is, and a person must look.
    Park(&'static str),
}

const LOST: &str = "the new file is in place, but the old one is neither beside it nor where it is kept";
const TAKEN: &str = "the place where the old file is kept holds another one";
const ODD: &str = "the names beside the file hold what no step of a swap leaves";

/// The next step of a swap.
#[must_use]
pub fn next(manner: Manner, names: &Names) -> Step {
    if names.kept == Holds::Other {
        return Step::Park(TAKEN);
    }
    match manner.method {
        SwapMethod::Exchange => exchange(manner, names),
        SwapMethod::Link => link(manner, names),
        SwapMethod::TwoRenames => two_renames(manner, names),
    }
}

fn exchange(manner: Manner, names: &Names) -> Step {
    use Holds::{New, Nothing, Old, Other};
    match (names.name, names.part, names.kept) {
        (Old, New, Nothing) | (New, Other, Nothing) => Step::Exchange,
        (_, Old, Nothing) if names.name != Old => Step::Stow(From::Part),
        (_, Old, Old) if names.name != Old => Step::DropKept(From::Part),
        _ => settled(manner, names),
    }
}

fn link(manner: Manner, names: &Names) -> Step {
    use Holds::{New, Nothing, Old, Other};
    match (names.name, names.part, names.side, names.kept) {
        (Old, New, Nothing, Nothing) => Step::Link,
        (Old, New, Old, Nothing) if names.side_is_name => Step::RenameOver,
        (Old, Nothing, Old, Nothing) | (Other, New | Nothing, Other, Nothing) if names.side_is_name => Step::DropSide,
        (New | Other | Nothing, New | Nothing, Old, Nothing) if names.name != New || names.part == Nothing => {
            Step::Stow(From::Side)
        }
        (_, New | Nothing, Old, Old) if names.name != Old => Step::DropKept(From::Side),
        (.., Nothing, _) => settled(manner, names),
        _ => Step::Park(ODD),
    }
}

fn two_renames(manner: Manner, names: &Names) -> Step {
    use Holds::{New, Nothing, Old, Other};
    match (names.name, names.part, names.side, names.kept) {
        (Old, New, Nothing, Nothing) => Step::RenameAway,
        (Nothing, New, Old, Nothing) => Step::RenameIn,
        (Nothing, Nothing, Old, Nothing) | (Nothing, New | Nothing, Other, Nothing) => Step::RenameBack,
        (New, Nothing, Other, Nothing) => Step::RenameOut,
        (New, Nothing, Old, Nothing) | (Other, New | Nothing, Old, Nothing) => Step::Stow(From::Side),
        (_, New | Nothing, Old, Old) if names.name != Old => Step::DropKept(From::Side),
        (.., Nothing, _) => settled(manner, names),
        _ => Step::Park(ODD),
    }
}

/// States in which nothing of ours but the new file is left beside the name.
fn settled(manner: Manner, names: &Names) -> Step {
    use Holds::{New, Nothing, Old, Other};
    match (names.name, names.part, names.kept) {
        (New, Nothing, Old) => Step::Done,
        (New, Nothing, Nothing) => Step::Park(LOST),
        (Old, Nothing, Nothing) => Step::StartOver,
        (Old | Other | Nothing, New, Old) | (Other | Nothing, New, Nothing) => manner.away(),
        (Old | Other | Nothing, Nothing, Old) => Step::Changed { old_is_kept: true },
        (Other | Nothing, Nothing, Nothing) => Step::Changed { old_is_kept: false },
        _ => Step::Park(ODD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Holds; 4] = [Holds::Old, Holds::New, Holds::Other, Holds::Nothing];

    /// Every method, with a new file that can be made again and with one that cannot.
    fn manners() -> impl Iterator<Item = Manner> {
        [SwapMethod::Exchange, SwapMethod::Link, SwapMethod::TwoRenames]
            .into_iter()
            .flat_map(|method| [true, false].into_iter().map(move |spare| Manner { method, spare }))
    }

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
            Step::Stow(From::Part) => Names { kept: n.part, part: Holds::Nothing, ..n },
            Step::Stow(From::Side) => Names { kept: n.side, side: Holds::Nothing, ..n },
            Step::DropKept(From::Part) | Step::DropPart | Step::PutBack => Names { part: Holds::Nothing, ..n },
            Step::DropKept(From::Side) | Step::DropSide => Names { side: Holds::Nothing, side_is_name: false, ..n },
            Step::Done | Step::StartOver | Step::Changed { .. } | Step::Park(_) => return None,
            step => panic!("{step:?} is of the other table"),
        };
        Some(after)
    }

    fn states() -> impl Iterator<Item = Names> {
        ALL.into_iter()
            .flat_map(|name| ALL.into_iter().flat_map(move |part| ALL.into_iter().map(move |side| (name, part, side))))
            .flat_map(|(name, part, side)| {
                ALL.into_iter().flat_map(move |kept| {
                    let one_file = name == side && name != Holds::Nothing;
                    [false, true].into_iter().filter(move |same| !same || one_file).map(move |side_is_name| Names {
                        name,
                        part,
                        side,
                        kept,
                        side_is_name,
                    })
                })
            })
    }

    fn count(n: &Names, what: Holds) -> usize {
        let side = if n.side_is_name { Holds::Nothing } else { n.side };
        [n.name, n.part, side, n.kept].into_iter().filter(|h| *h == what).count()
    }

    #[test]
    fn no_step_from_any_state_loses_the_last_old_file_or_another_programs_or_a_new_one_that_cannot_be_made_again() {
        for manner in manners() {
            for before in states() {
                let step = next(manner, &before);
                let Some(after) = apply(step, before) else {
                    continue;
                };
                let told = format!("{manner:?} {before:?} {step:?}");
                let survives = |what| count(&before, what) == 0 || count(&after, what) > 0;
                assert!(survives(Holds::Old), "{told}");
                assert!(count(&after, Holds::Other) >= count(&before, Holds::Other), "{told}");
                let put_back = step == Step::PutBack && before.part == Holds::New;
                assert!(manner.spare || survives(Holds::New) || put_back, "{told}");
            }
        }
    }

    #[test]
    fn every_state_comes_to_an_end() {
        for manner in manners() {
            for state in states() {
                let mut now = state;
                let mut steps = 0;
                while let Some(after) = apply(next(manner, &now), now) {
                    now = after;
                    steps += 1;
                    assert!(steps < 10, "{manner:?} {state:?} goes round");
                }
            }
        }
    }

    #[test]
    fn a_swap_passes_no_state_without_a_whole_file_at_the_name_but_for_two_renames() {
        for manner in manners() {
            let mut now = Names {
                name: Holds::Old,
                part: Holds::New,
                side: Holds::Nothing,
                kept: Holds::Nothing,
                side_is_name: false,
            };
            while let Some(after) = apply(next(manner, &now), now) {
                now = after;
                let gap = manner.method == SwapMethod::TwoRenames && now.side == Holds::Old;
                assert!(matches!(now.name, Holds::Old | Holds::New) || gap, "{manner:?} {now:?}");
            }
            assert_eq!((now.name, now.kept, next(manner, &now)), (Holds::New, Holds::Old, Step::Done));
        }
    }

    #[test]
    fn a_file_that_came_between_is_put_back_at_its_name() {
        let exchanged = Names {
            name: Holds::New,
            part: Holds::Other,
            side: Holds::Nothing,
            kept: Holds::Nothing,
            side_is_name: false,
        };
        let renamed = Names {
            name: Holds::New,
            part: Holds::Nothing,
            side: Holds::Other,
            kept: Holds::Nothing,
            side_is_name: false,
        };
        let linked = Names {
            name: Holds::Other,
            part: Holds::New,
            side: Holds::Other,
            kept: Holds::Nothing,
            side_is_name: true,
        };
        for (method, mut now) in
            [(SwapMethod::Exchange, exchanged), (SwapMethod::TwoRenames, renamed), (SwapMethod::Link, linked)]
        {
            let manner = Manner { method, spare: true };
            while let Some(after) = apply(next(manner, &now), now) {
                now = after;
            }
            assert_eq!(
                (now.name, next(manner, &now)),
                (Holds::Other, Step::Changed { old_is_kept: false }),
                "{method:?}"
            );
        }
    }
}
