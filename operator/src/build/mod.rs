//! Objects that the operator makes, as values: pods of the agent's roles, Jobs, the catalog's Deployment and Service,
//! EncodeJobs. Pure: no client, no clock, no environment.

mod catalog;
mod encode;
mod names;
mod pod;
mod prepare;
mod purge;
mod settle;
mod sidecars;
mod size;
mod survey;

pub(crate) use catalog::{catalog_deployment, catalog_service};
pub(crate) use encode::encode_job;
pub(crate) use names::{
    batch_name, catalog_name, digest, free_job_name, job_names, prepare_name, purge_name, sidecars_name, survey_name,
};
pub(crate) use pod::{PodOptions, User};
pub(crate) use prepare::prepare_job;
pub(crate) use purge::purge_job;
pub(crate) use settle::writer_job;
pub(crate) use sidecars::sidecars_job;
pub(crate) use size::{HOST_LABEL, NodeFacts, Placing, Relief, SizeError, only_node, place};
pub(crate) use survey::survey_job;

/// Roles of the agent, as in labels, names and arguments.
pub(crate) mod role {
    pub(crate) const PREPARE: &str = "prepare";
    pub(crate) const SURVEY: &str = "survey";
    pub(crate) const CATALOG: &str = "catalog";
    pub(crate) const WORKDIR: &str = "workdir";
    pub(crate) const ENCODE: &str = "encode";
    pub(crate) const SETTLE: &str = "settle";
    pub(crate) const MARK: &str = "mark";
    pub(crate) const RESTORE: &str = "restore";
    pub(crate) const PURGE: &str = "purge";
    pub(crate) const SIDECARS: &str = "sidecars";
    /// Roles of a job's pods that may write to the library: never stopped, waited for.
    pub(crate) const WRITERS: [&str; 3] = [SETTLE, MARK, RESTORE];
}

#[cfg(test)]
mod tests;
