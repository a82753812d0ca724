//! Account Management: which Regions are enabled.

use aws_sdk_account::types::RegionOptStatus;

use super::Reads;
use crate::aws::fault::fault_of;
use crate::fault::Fault;
use crate::model::Region;

impl Reads {
    /// The Regions enabled for the account: opt status `ENABLED` or `ENABLED_BY_DEFAULT`, in alphabetical order.
    ///
    /// # Errors
    /// Any [`Fault`]. Account Management does not exist in every partition.
    pub async fn list_enabled_regions(&self) -> Result<Vec<Region>, Fault> {
        const OPERATION: &str = "ListRegions";
        let mut regions = Vec::new();
        let mut token = None;
        loop {
            let page = self
                .account
                .list_regions()
                .region_opt_status_contains(RegionOptStatus::Enabled)
                .region_opt_status_contains(RegionOptStatus::EnabledByDefault)
                .max_results(50)
                .set_next_token(token)
                .send()
                .await
                .map_err(|e| fault_of(OPERATION, &e))?;
            regions.extend(
                page.regions
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|region| {
                        matches!(
                            region.region_opt_status,
                            Some(RegionOptStatus::Enabled | RegionOptStatus::EnabledByDefault)
                        )
                    })
                    .filter_map(|region| region.region_name)
                    .map(Region),
            );
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                regions.sort();
                return Ok(regions);
            }
        }
    }
}
