//! The cluster's nodes, listed now and then for all libraries, and what any library's surveys found. May: list nodes.
//! Must never: decide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::library::{PlacementStatus, SurveyedNode};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client};

use crate::api::{ApiError, timed};
use crate::build::NodeFacts;

/// A list of nodes is read again after this time.
const AGE: Duration = Duration::from_secs(30);

/// Nodes and surveys, as last seen. A memory only: what it holds can be found again.
#[derive(Default)]
pub(crate) struct Nodes {
    listed: tokio::sync::Mutex<Option<(Instant, Arc<[NodeFacts]>)>>,
    surveyed: Mutex<HashMap<String, SurveyedNode>>,
}

impl Nodes {
    /// The nodes, at most [`AGE`] old.
    ///
    /// # Errors
    /// [`ApiError`] when they cannot be listed.
    pub(crate) async fn list(&self, client: &Client) -> Result<Arc<[NodeFacts]>, ApiError> {
        self.list_within(AGE, client).await
    }

    /// The nodes, at most `age` old. Who comes while they are listed waits for that list.
    ///
    /// # Errors
    /// [`ApiError`] when they cannot be listed.
    pub(crate) async fn list_within(&self, age: Duration, client: &Client) -> Result<Arc<[NodeFacts]>, ApiError> {
        let mut kept = self.listed.lock().await;
        if let Some((at, nodes)) = kept.as_ref()
            && at.elapsed() < age
        {
            return Ok(nodes.clone());
        }
        let api: Api<Node> = Api::all(client.clone());
        let list = timed("list Nodes", api.list(&ListParams::default())).await?;
        let nodes: Arc<[NodeFacts]> = list.iter().map(NodeFacts::of).collect();
        let mut surveyed = self.surveyed.lock().unwrap_or_else(PoisonError::into_inner);
        surveyed.retain(|name, _| nodes.iter().any(|node| node.name() == name));
        drop(surveyed);
        *kept = Some((Instant::now(), nodes.clone()));
        Ok(nodes)
    }

    /// What all libraries found, once `placement`, what one of them has on record, is among it.
    pub(crate) fn shared(&self, placement: Option<&PlacementStatus>) -> Vec<SurveyedNode> {
        let mut surveyed = self.surveyed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = placement.into_iter().flat_map(|p| &p.nodes).filter(|node| node.survey.is_some());
        for node in found {
            surveyed.insert(node.name.clone(), node.clone());
        }
        surveyed.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::NodeSurvey;

    use super::*;

    #[test]
    fn what_one_library_found_another_need_not_look_for() {
        let nodes = Nodes::default();
        let node = |name: &str, survey| SurveyedNode { name: name.into(), survey, ..SurveyedNode::default() };
        let found = node("a", Some(NodeSurvey::default()));
        let placement = PlacementStatus { nodes: vec![found.clone(), node("b", None)], ..PlacementStatus::default() };
        assert_eq!(nodes.shared(Some(&placement)), std::slice::from_ref(&found));
        assert_eq!(nodes.shared(None), [found]);
    }
}
