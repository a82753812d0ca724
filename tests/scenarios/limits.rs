//! EKS throttles: what its limits allow is used, and little is asked for in vain.

use crate::cloud::HOME_REGION;
use crate::stage::{REGION, Stage};

/// An event over so many clusters of a Region that serves `per_second`; the seconds it took, and the refusals.
async fn event_under_a_limit(clusters: u16, per_second: f64, burst: f64) -> (f64, usize) {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    for n in 1..clusters {
        stage.cloud.add_cluster(REGION, &format!("more-{n:03}"));
    }
    stage.cloud.clear_calls();
    stage.cloud.limit_eks(per_second, burst);
    let start = tokio::time::Instant::now();

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    let took = start.elapsed().as_secs_f64();
    assert_eq!(report["clusters"], clusters);
    assert_eq!(report["blindSpots"], serde_json::json!([]), "{per_second}/s");
    assert!(stage.admits("node"));
    let refused = stage.cloud.calls().iter().filter(|call| call.status.is_none()).count();
    (took, refused)
}

#[tokio::test(start_paused = true)]
async fn an_event_sees_every_cluster_of_a_region_that_throttles_and_uses_nine_tenths_of_what_it_allows() {
    for (clusters, per_second, burst) in [(200, 10.0, 10.0), (400, 20.0, 20.0), (900, 50.0, 100.0)] {
        let (took, refused) = event_under_a_limit(clusters, per_second, burst).await;
        let unlimited = event_under_a_limit(1, 1e9, 1e9).await.0;
        let ideal = (f64::from(clusters) - burst) / per_second;
        assert!(ideal / (took - unlimited) >= 0.9, "{clusters} at {per_second}/s: {took} s, ideal {ideal} s");
        let part = f64::from(u32::try_from(refused).unwrap()) / f64::from(clusters);
        assert!(part <= 0.25, "{clusters} at {per_second}/s: {refused} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_one_region_slows_down_no_other() {
    let stage = Stage::set();
    for n in 0..100 {
        stage.cloud.add_cluster(REGION, &format!("more-{n:03}"));
        stage.cloud.add_cluster(HOME_REGION, &format!("more-{n:03}"));
    }
    let role = stage.node("node").await;
    stage.cloud.clear_calls();
    stage.cloud.when_eks().in_region(REGION).times(30).throttle();
    stage.deliver(stage.created(&role)).await.unwrap();
    let last = |region: &str| {
        stage.cloud.calls().iter().rfind(|call| call.region == region && call.cluster.is_some()).unwrap().at
    };
    let first = stage.cloud.calls()[0].at;
    assert!((last(HOME_REGION) - first) * 2 < last(REGION) - first);
}
