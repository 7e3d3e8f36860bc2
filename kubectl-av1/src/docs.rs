//! docs/commands.md: made from the command line's own words and the table of exit codes. `KUBECTL_AV1_DOCS=write` writes it; else the
//! test fails when the page is another.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::args::Arguments;
use crate::error::EXIT_CODES;

const HEAD: &str = "# kubectl av1

<!-- Made from the command line by `KUBECTL_AV1_DOCS=write cargo test -p kubectl-av1 docs`. Do not edit. -->

`kubectl-av1` on the PATH is the plugin `kubectl av1`. It acts with the rights of whoever asks: to read takes get, list and watch on
`medialibraries` and `encodejobs` of `av1.media`, and get on `services/proxy` for what the catalog and the operator tell; to change
something takes patch on the same kinds, and create on `encodejobs`. Everything that only reads works while the operator is away.

`top` and `doctor` find the operator by its Service, which takes list on `services` in all namespaces. `top` lists and watches `events`
besides. `doctor` lists `nodes`, gets `customresourcedefinitions` of `apiextensions.k8s.io`, and in the operator's namespace
`deployments` of `apps` and `leases` of `coordination.k8s.io`. What of these is not allowed is said, and the rest goes on without it.

Tables are for people; `-o json` and `-o yaml` are for scripts, and their fields stay. Remarks and errors go to stderr. Colours come on a
terminal alone, and never with `NO_COLOR` set. What a change of a job leads to: [wishes.md](wishes.md).
";

fn page() -> String {
    let mut root = Arguments::command();
    root.build();
    let mut out = HEAD.to_owned();
    let shared: Vec<&Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).collect();
    out += "\n## Options of every command\n\n";
    table(&mut out, &shared);
    out += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(out, "| {code} | {meaning} |");
    }
    let _ = writeln!(out, "| 128 + n | `top` was ended by signal n. |");
    for command in root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        section(&mut out, command);
    }
    out
}

fn section(out: &mut String, command: &Command) {
    let name = command.get_name();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| {
            !arg.is_global_set() && !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
        })
        .collect();
    let positionals = own.iter().filter(|arg| arg.is_positional()).map(|arg| format!(" {}", call(arg)));
    let title = format!("kubectl av1 {name}{}", positionals.collect::<String>());
    let _ = writeln!(out, "\n## {title}\n\n{}.", help(command.get_about()));
    if !own.is_empty() {
        out.push('\n');
        table(out, &own);
    }
    if let Some(after) = command.get_after_help() {
        let after = after.to_string();
        let (examples, rest) = after.split_once("\n\n").unwrap_or((after.as_str(), ""));
        let lines = examples.lines().skip(1).map(str::trim_start).collect::<Vec<_>>().join("\n");
        let _ = writeln!(out, "\n```\n{lines}\n```");
        if !rest.is_empty() {
            let _ = writeln!(out, "\n{rest}");
        }
    }
}

fn table(out: &mut String, arguments: &[&Arg]) {
    *out += "| argument | meaning |\n|---|---|\n";
    for arg in arguments {
        let mut meaning = help(arg.get_help());
        if !meaning.ends_with('.') {
            meaning.push('.');
        }
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|_| arg.get_action().takes_values())
            .map(|value| match value.get_help() {
                Some(about) => format!("`{}` ({})", value.get_name(), lower(&about.to_string())),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !values.is_empty() {
            let _ = write!(meaning, " One of {}.", values.join(", "));
        }
        let defaults: Vec<String> =
            arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        if !defaults.is_empty() && arg.get_action().takes_values() {
            let _ = write!(meaning, " Default: {}.", defaults.join(", "));
        }
        let _ = writeln!(out, "| {} | {} |", spelled(arg), meaning.replace('|', "\\|"));
    }
}

/// `-o`, `--output OUTPUT`, or the name of an argument without a dash.
fn spelled(arg: &Arg) -> String {
    if arg.is_positional() {
        return format!("`{}`", call(arg));
    }
    let value = if arg.get_action().takes_values() { format!(" {}", value_name(arg)) } else { String::new() };
    let names =
        [arg.get_short().map(|short| format!("`-{short}`")), arg.get_long().map(|long| format!("`--{long}{value}`"))];
    names.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn call(arg: &Arg) -> String {
    if arg.is_required_set() { value_name(arg) } else { format!("[{}]", value_name(arg)) }
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().as_str().to_uppercase(), ToString::to_string)
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// The first letter small, unless the word is a name.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    let is_name = text.split(' ').next().is_some_and(|word| word.chars().skip(1).any(char::is_uppercase));
    if is_name { text.to_owned() } else { first + letters.as_str() }
}

#[test]
fn docs_of_the_commands_are_those_of_the_command_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let page = page();
    if std::env::var_os("KUBECTL_AV1_DOCS").is_some_and(|value| value == "write") {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/commands.md is not what the command line says: run this test with KUBECTL_AV1_DOCS=write"
    );
}
