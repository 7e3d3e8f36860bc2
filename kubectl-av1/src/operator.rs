//! The operator's metrics page: found by the label of its Service, read through the API server with the user's own rights.
//!
//! May: list Services, read that page. Must never: decide what its absence means.

use av1_crds::labels;

use crate::cluster::Cluster;
use crate::exposition::Page;

/// Where the page was found, so that it is not looked for each time.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    /// Namespace and name of each operator's Service.
    services: Vec<(String, String)>,
}

impl Operator {
    /// What the page says, or in a few words why it is away; then the Service is looked for again the next time.
    pub(crate) async fn page(&mut self, cluster: &Cluster) -> Result<Page, String> {
        let read = self.read(cluster).await;
        if read.is_err() {
            self.services.clear();
        }
        read
    }

    async fn read(&mut self, cluster: &Cluster) -> Result<Page, String> {
        if self.services.is_empty() {
            let selector = format!("{}=operator", labels::ROLE);
            let found = cluster.services(&selector).await.map_err(|error| error.to_string())?;
            self.services =
                found.into_iter().filter_map(|service| service.metadata.namespace.zip(service.metadata.name)).collect();
            if self.services.is_empty() {
                return Err("no Service of an operator in this cluster".to_owned());
            }
        }
        let mut page = Page::default();
        for (namespace, name) in &self.services {
            let text = cluster.page(namespace, &format!("{name}:metrics"), "metrics").await;
            page.extend(Page::read(&text.map_err(|error| error.to_string())?));
        }
        Ok(page)
    }
}
