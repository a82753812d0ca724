//! Paused time: every wait is exact, none is real.

use std::time::Duration;

use futures::future::{FutureExt, join, join_all};

use super::*;

/// How long a request is in flight.
const LATENCY: Duration = Duration::from_millis(20);

/// Sends a request that is answered like this.
async fn send(turns: &Turns, priority: Priority, most_at_once: usize, answer: Answer) {
    let turn = turns.turn(turns.line_up(priority), most_at_once).await;
    tokio::time::sleep(LATENCY).await;
    turn.answered(answer);
}

/// Sends so many at once, all served; how long it took.
async fn send_many(turns: &Turns, count: usize, most_at_once: usize) -> Duration {
    let start = Instant::now();
    join_all((0..count).map(|_| send(turns, Priority::Survey, most_at_once, Answer::Served))).await;
    start.elapsed()
}

/// After so many refusals in a row, one a second may leave on average.
async fn slow_down(turns: &Turns) {
    for _ in 0..100 {
        send(turns, Priority::Survey, 8, Answer::Refused).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_the_limit_of_the_one_who_asks() {
    let turns = Turns::new();
    assert_eq!(send_many(&turns, 80, 8).await, LATENCY * 10);
    assert_eq!(send_many(&turns, 20, 2).await, LATENCY * 10);
    let both = Instant::now();
    join(send_many(&turns, 40, 8), send_many(&turns, 10, 2)).await;
    assert!(both.elapsed() <= LATENCY * 10, "{:?}", both.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_leaves_first_and_those_alike_in_the_order_of_their_coming() {
    let turns = Turns::new();
    let left = Mutex::new(Vec::new());
    let ask = |name: &'static str, priority| {
        let (turns, left) = (&turns, &left);
        async move {
            let turn = turns.turn(turns.line_up(priority), 1).await;
            left.lock().unwrap().push(name);
            tokio::time::sleep(LATENCY).await;
            turn.answered(Answer::Served);
        }
    };
    join_all([
        ask("in flight", Priority::Impact),
        ask("impact", Priority::Impact),
        ask("survey 1", Priority::Survey),
        ask("survey 2", Priority::Survey),
        ask("repair", Priority::Repair),
        ask("restoration 1", Priority::Restoration),
        ask("restoration 2", Priority::Restoration),
    ])
    .await;
    let order = ["in flight", "restoration 1", "restoration 2", "repair", "survey 1", "survey 2", "impact"];
    assert_eq!(*left.lock().unwrap(), order);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_while_the_first_waits_for_the_limiter_goes_before_it_if_it_is_more_urgent() {
    let turns = Turns::new();
    slow_down(&turns).await;
    let survey = async {
        send(&turns, Priority::Survey, 8, Answer::Refused).await;
        Instant::now()
    };
    let restoration = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        send(&turns, Priority::Restoration, 8, Answer::Refused).await;
        Instant::now()
    };
    let (survey, restoration) = join(survey, restoration).await;
    assert!(restoration < survey);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_keeps_its_place() {
    let turns = Turns::new();
    let place = turns.line_up(Priority::Survey);
    let turn = turns.turn(place, 1).await;
    let others = send_many(&turns, 10, 1);
    let again = async {
        turn.answered(Answer::Refused);
        let again = Instant::now();
        drop(turns.turn(place, 1).await);
        again.elapsed()
    };
    let (_, waited) = join(others, again).await;
    assert!(waited <= LATENCY, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_waiting_holds_up_nobody() {
    let turns = Turns::new();
    let in_flight = turns.turn(turns.line_up(Priority::Survey), 1).await;
    let impatient = tokio::time::timeout(LATENCY, send(&turns, Priority::Restoration, 1, Answer::Served));
    let (gave_up, ()) = join(impatient, async {
        tokio::time::sleep(LATENCY * 2).await;
        drop(in_flight);
    })
    .await;
    assert!(gave_up.is_err());
    assert_eq!(send_many(&turns, 1, 1).await, LATENCY);
    // One that was woken and is dropped before it acts wakes the next.
    let in_flight = turns.turn(turns.line_up(Priority::Survey), 1).await;
    let mut woken = Box::pin(turns.turn(turns.line_up(Priority::Survey), 1));
    let mut next = Box::pin(turns.turn(turns.line_up(Priority::Survey), 1));
    assert!((&mut woken).now_or_never().is_none() && (&mut next).now_or_never().is_none());
    drop(in_flight);
    drop(woken);
    drop(tokio::time::timeout(LATENCY, next).await.expect("the next one's turn"));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_makes_room_and_teaches_nothing() {
    let turns = Turns::new();
    for _ in 0..100 {
        drop(turns.turn(turns.line_up(Priority::Survey), 1).await);
    }
    assert_eq!(send_many(&turns, 100, 1).await, LATENCY * 100);
}

#[tokio::test(start_paused = true)]
async fn what_one_learned_of_the_limits_another_knows() {
    let turns = Turns::new();
    slow_down(&turns).await;
    let took = send_many(&turns, 4, 4).await;
    assert!(took >= LATENCY * 10, "{took:?}");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(send_many(&turns, 8, 8).await, LATENCY, "forgotten");
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_told_when_a_more_urgent_one_has_no_room_and_not_before() {
    let turns = Turns::new();
    let hanging = async {
        let turn = turns.turn(turns.line_up(Priority::Impact), 1).await;
        turns.needed().await;
        drop(turn);
        Instant::now()
    };
    let others = async {
        tokio::time::sleep(LATENCY).await;
        send(&turns, Priority::Repair, 2, Answer::Served).await;
        tokio::time::sleep(LATENCY).await;
        send(&turns, Priority::Repair, 1, Answer::Served).await;
        Instant::now()
    };
    let start = Instant::now();
    let (given_up, served) = join(hanging, others).await;
    assert_eq!((given_up - start, served - start), (LATENCY * 3, LATENCY * 4));
}

#[tokio::test(start_paused = true)]
async fn a_region_that_refuses_holds_requests_back_until_it_is_forgotten() {
    let turns = Turns::new();
    assert!(!turns.holds_back());
    slow_down(&turns).await;
    assert!(turns.holds_back());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!turns.holds_back());
}
