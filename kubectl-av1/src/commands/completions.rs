//! `completions SHELL`: the script by which a shell completes this program's command line; and `__complete`, which kubectl asks through
//! the script that is made for it.

use clap::CommandFactory;
use clap_complete::Shell;
use kube::ResourceExt;

use super::print;
use crate::args::{Arguments, ClusterArguments, CompleteArguments, CompletionsArguments, Script};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::view::complete::{Names, answer, asked};

/// Name of the program on the PATH.
const PROGRAM: &str = "kubectl-av1";
/// What kubectl runs to complete the plugin's command line.
const FOR_KUBECTL: &str = "#!/bin/sh\n# Completes `kubectl av1`: save it as kubectl_complete-av1 on the PATH.\nexec kubectl-av1 __complete -- \"$@\"\n";

pub(crate) fn run(arguments: &CompletionsArguments) -> Result<(), Error> {
    print(&script(arguments.shell))
}

fn script(script: Script) -> String {
    let shell = match script {
        Script::Bash => Shell::Bash,
        Script::Elvish => Shell::Elvish,
        Script::Fish => Shell::Fish,
        Script::PowerShell => Shell::PowerShell,
        Script::Zsh => Shell::Zsh,
        Script::Kubectl => return FOR_KUBECTL.to_owned(),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Prints what may come next. A cluster that does not answer costs the names alone.
pub(crate) async fn complete(arguments: &CompleteArguments) -> Result<(), Error> {
    let wanted = asked(&Arguments::command(), &arguments.words);
    let mut names = Vec::new();
    if let Some(kinds) = wanted.names {
        let of = ClusterArguments {
            namespace: wanted.namespace.clone(),
            all_namespaces: false,
            context: wanted.context.clone(),
            kubeconfig: None,
        };
        names = found(&of, kinds).await.unwrap_or_default();
    }
    print(&answer(&wanted, &names))
}

async fn found(of: &ClusterArguments, kinds: Names) -> Result<Vec<String>, Error> {
    let cluster = Cluster::open(of).await?;
    let mut names = Vec::new();
    if kinds != Names::Jobs {
        names.extend(cluster.libraries().await?.items.iter().map(ResourceExt::name_any));
    }
    if kinds != Names::Libraries {
        names.extend(cluster.jobs().await?.items.iter().map(ResourceExt::name_any));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Script::Bash, Script::Elvish, Script::Fish, Script::PowerShell, Script::Zsh] {
            let text = script(shell);
            for word in ["kubectl-av1", "explain", "resume"] {
                assert!(text.contains(word), "{shell:?}: no {word}");
            }
        }
        assert!(script(Script::Bash).contains("Queued Encoding Paused"));
        assert!(script(Script::Kubectl).starts_with("#!/bin/sh\n"));
    }
}
