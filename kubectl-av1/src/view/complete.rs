//! What may come next on an unfinished command line, in the way that kubectl asks its plugins. Pure.

use clap::{Arg, Command};

use super::text::printable;

/// Names that only the cluster knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Libraries,
    Jobs,
    /// Either.
    Both,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What the unfinished word begins with.
    start: String,
    /// Words with what they mean.
    words: Vec<(String, String)>,
    pub(crate) names: Option<Names>,
    pub(crate) namespace: Option<String>,
    pub(crate) context: Option<String>,
}

/// What the line `words` asks for, whose last word is unfinished.
pub(crate) fn asked(root: &Command, words: &[String]) -> Wanted {
    // Only then subcommands know the options of every command.
    let mut root = root.clone();
    root.build();
    let (start, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut wanted = Wanted { start: start.to_owned(), ..Wanted::default() };
    let (mut command, mut positions, mut value_of) = (&root, 0, None::<&Arg>);
    for word in before {
        if let Some(option) = value_of.take() {
            match option.get_id().as_str() {
                "namespace" => wanted.namespace = Some(word.clone()),
                "context" => wanted.context = Some(word.clone()),
                _ => {}
            }
        } else if word.starts_with('-') && word.len() > 1 {
            value_of = option(command, word).filter(|option| option.get_action().takes_values());
        } else if let Some(inner) = command.find_subcommand(word) {
            (command, positions) = (inner, 0);
        } else {
            positions += 1;
        }
    }
    let meaning = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    if let Some(option) = value_of {
        wanted.value(option, command);
    } else if start.starts_with('-') {
        let options = command.get_arguments().filter(|option| !option.is_hide_set());
        let named =
            options.filter_map(|option| Some((format!("--{}", option.get_long()?), meaning(option.get_help()))));
        wanted.words = named.collect();
    } else if command.has_subcommands() {
        let commands = command.get_subcommands().filter(|inner| !inner.is_hide_set());
        wanted.words = commands.map(|inner| (inner.get_name().to_owned(), meaning(inner.get_about()))).collect();
    } else if let Some(next) = command.get_positionals().nth(positions) {
        wanted.value(next, command);
    }
    wanted
}

/// The option that a word names, when its value is the next word.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|option| match word.strip_prefix("--") {
        Some(long) => option.get_long() == Some(long),
        None => option.get_short().is_some_and(|short| word.strip_prefix('-') == Some(short.to_string().as_str())),
    })
}

impl Wanted {
    fn value(&mut self, of: &Arg, command: &Command) {
        let values = of.get_possible_values();
        let meaning =
            |value: &clap::builder::PossibleValue| value.get_help().map(ToString::to_string).unwrap_or_default();
        self.words = values.iter().map(|value| (value.get_name().to_owned(), meaning(value))).collect();
        self.names = match (of.get_id().as_str(), command.get_name()) {
            ("library", _) => Some(Names::Libraries),
            ("name", "pause" | "resume" | "undo" | "skip" | "cancel" | "retry") => Some(Names::Both),
            ("job", _) => Some(Names::Jobs),
            _ => None,
        };
    }
}

/// The lines for kubectl: words with what they mean, then that files are no answer.
pub(crate) fn answer(wanted: &Wanted, names: &[String]) -> String {
    let words = wanted.words.iter().map(|(word, meaning)| match meaning.is_empty() {
        true => word.clone(),
        false => format!("{word}\t{}", printable(meaning)),
    });
    let fitting = words.chain(names.iter().cloned()).filter(|line| line.starts_with(&wanted.start));
    let mut out: String = fitting.map(|line| line + "\n").collect();
    out.push_str(":4\n");
    out
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Arguments;

    fn ask(words: &[&str]) -> (Vec<String>, Wanted) {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let wanted = asked(&Arguments::command(), &words);
        let lines = answer(&wanted, &[]).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        (lines, wanted)
    }

    #[test]
    fn commands_options_and_values_are_completed_from_the_command_line_itself() {
        assert_eq!(ask(&["pa"]).0, ["pause", ":4"]);
        assert!(ask(&[""]).0.contains(&"doctor".to_owned()) && !ask(&[""]).0.contains(&"__complete".to_owned()));
        assert_eq!(ask(&["jobs", "--so"]).0, ["--sort", ":4"]);
        assert_eq!(ask(&["jobs", "--phase", "Re"]).0, ["Restoring", "Rejected", "Restored", ":4"]);
        assert_eq!(ask(&["jobs", "-o", ""]).0, ["table", "wide", "json", "yaml", ":4"]);
        assert!(ask(&["status", "--name"]).0.contains(&"--namespace".to_owned()));
    }

    #[test]
    fn names_are_asked_of_the_cluster_where_a_name_comes_next() {
        let names = |words: &[&str]| ask(words).1.names;
        assert_eq!(names(&["explain", ""]), Some(Names::Libraries));
        assert_eq!(names(&["pause", "--wait", "fi"]), Some(Names::Both));
        assert_eq!(names(&["jobs", "--library", ""]), Some(Names::Libraries));
        assert_eq!(names(&["explain", "films", ""]), None);
        let (_, wanted) = ask(&["-n", "media", "plan", "--context", "home", "fi"]);
        assert_eq!((wanted.namespace.as_deref(), wanted.context.as_deref()), (Some("media"), Some("home")));
        assert_eq!(answer(&wanted, &["films".into(), "series".into()]), "films\n:4\n");
    }
}
