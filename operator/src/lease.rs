//! The leader's lease: one operator acts at a time. Every write carries the resourceVersion that was read, has a time limit,
//! and losing the lease ends the process. Whether a lease has run out is told by how long it has not changed on this
//! machine's own clock, never by comparing clocks of two machines.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::api::{ApiError, timed};

/// Which lease, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct LeaseTerms {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) identity: String,
    /// How long it lasts without renewal.
    pub(crate) duration: Duration,
}

/// Why leadership ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseLost {
    /// Somebody else took it.
    #[error("lease {name}: {holder} holds it now")]
    Taken { name: String, holder: String },
    /// It could not be renewed in time.
    #[error("lease {name}: not renewed for {seconds} s, last error: {error}")]
    NotRenewed { name: String, seconds: u64, error: String },
}

/// What to do about a lease that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Nobody holds it, or it ran out, or it is ours: write it.
    Take,
    /// Somebody else holds it.
    Wait,
}

/// A lease as last seen, and since when it has not changed.
#[derive(Debug, Clone)]
struct Sighting {
    version: Option<String>,
    since: Instant,
}

/// Pure: may `identity` write `lease`?
fn decide(lease: &Lease, identity: &str, unchanged_for: Duration) -> Step {
    let spec = lease.spec.clone().unwrap_or_default();
    let lasts = Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
    match spec.holder_identity.as_deref() {
        None | Some("") => Step::Take,
        Some(holder) if holder == identity => Step::Take,
        Some(_) if unchanged_for >= lasts => Step::Take,
        Some(_) => Step::Wait,
    }
}

/// Pure: the lease to write over `lease`.
fn taken(mut lease: Lease, terms: &LeaseTerms, now: jiff::Timestamp) -> Lease {
    let before = lease.spec.unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(terms.identity.as_str());
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(terms.identity.clone()),
        lease_duration_seconds: Some(i32::try_from(terms.duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: if ours { before.acquire_time } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!ours)),
        ..LeaseSpec::default()
    });
    lease
}

/// The lease, held by this process.
pub(crate) struct Held {
    api: Api<Lease>,
    terms: LeaseTerms,
    lease: Lease,
    /// Before the call that last wrote the lease: it lasts from no later.
    renewed: Instant,
}

/// Waits until this process holds the lease.
pub(crate) async fn acquire(client: Client, terms: LeaseTerms) -> Held {
    let api: Api<Lease> = Api::namespaced(client, &terms.namespace);
    let mut seen: Option<Sighting> = None;
    let mut told = false;
    loop {
        let renewed = Instant::now();
        match try_acquire(&api, &terms, &mut seen).await {
            Ok(Some(lease)) => {
                tracing::info!(lease = terms.name, identity = terms.identity, "holds the lease");
                return Held { api, terms, lease, renewed };
            }
            Ok(None) if !told => {
                told = true;
                tracing::info!(lease = terms.name, "another operator holds the lease: waiting");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("{error}"),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn try_acquire(
    api: &Api<Lease>,
    terms: &LeaseTerms,
    seen: &mut Option<Sighting>,
) -> Result<Option<Lease>, ApiError> {
    let name = &terms.name;
    let Some(lease) = timed(format!("get Lease {name}"), api.get_opt(name)).await? else {
        let new = Lease { metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, spec: None };
        let new = taken(new, terms, jiff::Timestamp::now());
        return match timed(format!("create Lease {name}"), api.create(&PostParams::default(), &new)).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.is_already_exists() => Ok(None),
            Err(error) => Err(error),
        };
    };
    let sighting = match seen.take() {
        Some(s) if s.version == lease.metadata.resource_version => s,
        _ => Sighting { version: lease.metadata.resource_version.clone(), since: Instant::now() },
    };
    let step = decide(&lease, &terms.identity, sighting.since.elapsed());
    *seen = Some(sighting);
    if step == Step::Wait {
        return Ok(None);
    }
    let ours = taken(lease, terms, jiff::Timestamp::now());
    match timed(format!("update Lease {name}"), api.replace(name, &PostParams::default(), &ours)).await {
        Ok(lease) => Ok(Some(lease)),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Held {
    /// Renews the lease until it is lost; a write that fails is tried again until two thirds of the duration are over.
    pub(crate) async fn keep(&mut self) -> LeaseLost {
        let pause = self.terms.duration / 5;
        let deadline = self.terms.duration * 2 / 3;
        loop {
            tokio::time::sleep(pause).await;
            let left = deadline.saturating_sub(self.renewed.elapsed());
            let began = Instant::now();
            let error = match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(None)) => {
                    self.renewed = began;
                    continue;
                }
                Ok(Ok(Some(holder))) => {
                    return LeaseLost::Taken { name: self.terms.name.clone(), holder };
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            tracing::warn!(lease = self.terms.name, "cannot renew the lease: {error}");
            if self.renewed.elapsed() >= deadline {
                return LeaseLost::NotRenewed {
                    name: self.terms.name.clone(),
                    seconds: self.renewed.elapsed().as_secs(),
                    error,
                };
            }
        }
    }

    /// `Some(holder)` when somebody else has it.
    async fn renew(&mut self) -> Result<Option<String>, ApiError> {
        let name = self.terms.name.clone();
        let next = taken(self.lease.clone(), &self.terms, jiff::Timestamp::now());
        match timed(format!("update Lease {name}"), self.api.replace(&name, &PostParams::default(), &next)).await {
            Ok(lease) => {
                self.lease = lease;
                Ok(None)
            }
            Err(error) if error.is_conflict() => {
                let now = timed(format!("get Lease {name}"), self.api.get(&name)).await?;
                let holder = now.spec.as_ref().and_then(|s| s.holder_identity.clone()).unwrap_or_default();
                self.lease = now;
                Ok((holder != self.terms.identity).then_some(holder))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the lease back, so that a successor need not wait.
    pub(crate) async fn release(mut self) {
        if let Some(spec) = self.lease.spec.as_mut() {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
        }
        let name = self.terms.name.clone();
        if let Err(error) =
            timed(format!("release Lease {name}"), self.api.replace(&name, &PostParams::default(), &self.lease)).await
        {
            tracing::warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some("7".into()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(Into::into),
                lease_duration_seconds: Some(30),
                lease_transitions: Some(4),
                ..LeaseSpec::default()
            }),
        }
    }

    fn terms() -> LeaseTerms {
        LeaseTerms { namespace: "n".into(), name: "l".into(), identity: "me".into(), duration: Duration::from_secs(30) }
    }

    #[test]
    fn a_lease_is_taken_when_free_ours_or_unchanged_for_its_whole_duration_and_not_before() {
        let table = [
            (None, 0, Step::Take),
            (Some(""), 0, Step::Take),
            (Some("me"), 0, Step::Take),
            (Some("other"), 29, Step::Wait),
            (Some("other"), 30, Step::Take),
        ];
        for (holder, seconds, step) in table {
            assert_eq!(decide(&lease(holder), "me", Duration::from_secs(seconds)), step, "{holder:?} {seconds}");
        }
    }

    #[test]
    fn a_written_lease_carries_the_version_that_was_read_and_counts_transitions_only_when_the_holder_changes() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let mine = taken(lease(Some("other")), &terms(), now);
        assert_eq!(mine.metadata.resource_version.as_deref(), Some("7"));
        let spec = mine.spec.clone().unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("me"), Some(5)));
        let later: jiff::Timestamp = "2026-01-02T03:05:05Z".parse().unwrap();
        let again = taken(mine, &terms(), later).spec.unwrap();
        assert_eq!((again.acquire_time, again.lease_transitions), (Some(MicroTime(now)), Some(5)));
        assert_eq!(again.renew_time, Some(MicroTime(later)));
    }
}
