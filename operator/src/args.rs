//! Command line and environment of the operator. May: describe flags. Must never: act on them.

use std::net::SocketAddr;

use clap::Parser;

/// Turns libraries of video files into AV1: reconciles MediaLibrary and EncodeJob.
#[derive(Debug, Clone, Parser)]
#[command(name = "av1-operator", version)]
pub(crate) struct Args {
    /// Image of the agent's pods.
    #[arg(long, env = "ENCODER_IMAGE", required_unless_present = "release_jobs")]
    pub(crate) encoder_image: Option<String>,
    /// Take the finalizer off all EncodeJobs and end; for uninstalling, the operator may still run.
    #[arg(long)]
    pub(crate) release_jobs: bool,
    /// When the agent's image is pulled: Always, IfNotPresent or Never.
    #[arg(long, env = "IMAGE_PULL_POLICY", default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) image_pull_policy: String,
    /// Secret, in each library's namespace, that the agent's image is pulled with.
    #[arg(long, env = "IMAGE_PULL_SECRET")]
    pub(crate) image_pull_secret: Option<String>,
    /// Prefix below which hostPath volumes are allowed; may be given several times.
    #[arg(long = "allow-host-path", env = "ALLOW_HOST_PATHS", value_delimiter = ',')]
    pub(crate) allow_host_paths: Vec<String>,
    /// Host that may be told of files by replacement.notify, `*.example.com` for all below it; may be given several times.
    /// Default: any host.
    #[arg(long = "allow-notify-host", env = "ALLOW_NOTIFY_HOSTS", value_delimiter = ',')]
    pub(crate) allow_notify_hosts: Vec<String>,
    /// Settings of every library that does not write them itself, as JSON with the sections encode, streams, verify, sizeGate and
    /// replacement of a MediaLibrary's spec.
    #[arg(long, env = "LIBRARY_DEFAULTS", default_value = "")]
    pub(crate) library_defaults: String,
    /// Allow pods to run as user 0.
    #[arg(long, env = "ALLOW_ROOT", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) allow_root: bool,
    /// Seconds that an encode pod may take to save its work when it is stopped.
    #[arg(long, env = "GRACE_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(i64).range(10..=3600))]
    pub(crate) grace_seconds: i64,
    /// The one namespace to look at; all when empty.
    #[arg(long, env = "WATCH_NAMESPACE", default_value = "")]
    pub(crate) watch_namespace: String,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "METRICS_LISTEN", default_value = "[::]:8080")]
    pub(crate) metrics_listen: SocketAddr,
    /// Namespace of the lease.
    #[arg(long, env = "LEASE_NAMESPACE", default_value = "default")]
    pub(crate) lease_namespace: String,
    /// Name of the lease.
    #[arg(long, env = "LEASE_NAME", default_value = "av1-operator")]
    pub(crate) lease_name: String,
    /// Who holds the lease: the pod's name. Default: the host's name and the process id.
    #[arg(long, env = "POD_NAME", default_value = "")]
    pub(crate) lease_identity: String,
    /// Seconds without renewal after which another replica takes over.
    #[arg(long, env = "LEASE_DURATION_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(10..=600))]
    pub(crate) lease_duration_seconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_image_is_needed_to_work_and_not_to_uninstall() {
        assert!(Args::try_parse_from(["av1-operator"]).is_err());
        assert!(Args::try_parse_from(["av1-operator", "--encoder-image=x"]).is_ok_and(|args| !args.release_jobs));
        assert!(Args::try_parse_from(["av1-operator", "--release-jobs"]).is_ok_and(|args| args.release_jobs));
    }
}
