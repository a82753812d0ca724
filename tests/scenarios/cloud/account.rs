//! Account Management: the Regions and whether they are enabled.

use serde_json::{Value, json};

use super::paging;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::World;

/// The states that a Region can be in, and that a caller may filter by.
const STATES: [&str; 5] = ["ENABLED", "ENABLING", "DISABLING", "DISABLED", "ENABLED_BY_DEFAULT"];

/// Answers an operation of Account Management.
pub(super) fn answer(world: &mut World, operation: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    match operation {
        "ListRegions" => list_regions(world, parameters),
        _ => Err(Refusal::unknown_operation(operation)),
    }
    .map_err(|refusal| match refusal.code.as_str() {
        "InvalidParameterException" => Refusal::validation(refusal.message),
        _ => refusal,
    })
}

fn list_regions(world: &World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["AccountId", "MaxResults", "NextToken", "RegionOptStatusContains"])?;
    if parameters.get("AccountId").is_some() {
        let message = "User is not authorized to perform: account:ListRegions (for another account)";
        return Err(Refusal::new(403, "AccessDeniedException", message));
    }
    let size = parameters.number("MaxResults", 1, 50)?.unwrap_or(50);
    let wanted = parameters.texts("RegionOptStatusContains")?;
    if let Some(stranger) = wanted.iter().flatten().find(|status| !STATES.contains(&status.as_str())) {
        return Err(Refusal::validation(format!("unknown opt status: {stranger}")));
    }
    let regions: Vec<(String, Value)> = world
        .regions
        .iter()
        .filter(|(_, status)| wanted.as_ref().is_none_or(|wanted| wanted.contains(status)))
        .map(|(name, status)| (name.clone(), json!({ "RegionName": name, "RegionOptStatus": status })))
        .collect();
    let page =
        paging::page(&world.habits, "ListRegions", &regions, size, parameters.text_within("NextToken", 0, 1000)?)?;
    let mut reply = json!({ "Regions": page.items });
    if let Some(token) = page.token {
        reply["NextToken"] = token.into();
    }
    Ok(reply)
}
