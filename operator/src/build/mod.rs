//! Objects that the operator makes, as values: pods of the agent's roles, Jobs, the catalog's Deployment and Service,
//! EncodeJobs. Pure: no client, no clock, no environment.

mod catalog;
mod encode;
mod names;
mod pod;
mod prepare;
mod settle;
mod size;

pub(crate) use catalog::{catalog_deployment, catalog_service};
pub(crate) use encode::encode_job;
pub(crate) use names::{batch_name, catalog_name, free_job_name, job_names, prepare_name};
pub(crate) use pod::{PodOptions, User};
pub(crate) use prepare::prepare_job;
pub(crate) use settle::settle_job;
pub(crate) use size::{NodeFacts, PodSize, pod_size};

/// Roles of the agent, as in labels, names and arguments.
pub(crate) mod role {
    pub(crate) const PREPARE: &str = "prepare";
    pub(crate) const CATALOG: &str = "catalog";
    pub(crate) const WORKDIR: &str = "workdir";
    pub(crate) const ENCODE: &str = "encode";
    pub(crate) const SETTLE: &str = "settle";
}

#[cfg(test)]
mod tests;
