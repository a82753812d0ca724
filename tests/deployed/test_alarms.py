"""Which alarm goes off at what, and that it is told to whoever subscribed.

The emulator differs from CloudWatch: it publishes no metrics of Lambda and SQS, carries out no filter on a log, and judges
an alarm by all datapoints of its whole time and of every dimension at once, missing ones left out. So the guard's own
metrics come from a real sweep where they can, a test publishes the others, and dimensions are looked at by themselves.
"""

import json
import time

import pytest

from stack import NAMESPACE, Stack
from world import ADMIN_POLICY, PEOPLE, Cluster, create_role, recreate_role

REGION = "us-east-1"

# By the end of its name: namespace and metric that the alarm is about. All go off above 0, but for the missed sweep.
ALARMS = {
    "validation-errors": (NAMESPACE, "AccessEntryValidationErrors"),
    "newly-held": (NAMESPACE, "AccessEntriesHeld"),
    "held": (NAMESPACE, "AccessEntriesWaiting"),
    "repair-failures": (NAMESPACE, "AccessEntryRepairFailures"),
    "unresolved": (NAMESPACE, "AccessEntriesUnresolved"),
    "event-path-silent": (NAMESPACE, "EventPathSilent"),
    "sweep-missed": (NAMESPACE, "SweepsCompleted"),
    "blind-spots": (NAMESPACE, "BlindSpotsLasting"),
    "errors": ("AWS/Lambda", "Errors"),
    "throttles": ("AWS/Lambda", "Throttles"),
    "destination-failures": ("AWS/Lambda", "DestinationDeliveryFailures"),
    "failed-invocations": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    "undelivered-events": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
}
SET_OFF_BY_THE_SWEEP = {
    ALARMS[name] for name in ("validation-errors", "newly-held", "held", "unresolved", "sweep-missed")
}
# Those that show what the last sweep of everything found.
STATES = {"held", "unresolved", "event-path-silent", "blind-spots"}


@pytest.fixture(scope="module")
def stack(emulator):
    return Stack(emulator).deploy(SettleSeconds="0", Regions=REGION)


@pytest.fixture(scope="module")
def sweep(emulator, stack) -> dict:
    """A sweep of a cluster in which an administrator's role was created again: its entry has to wait for a person."""
    cluster = Cluster(emulator, "prod", REGION)
    role = create_role(emulator, "admin", PEOPLE)
    cluster.allow(role, {ADMIN_POLICY: {"type": "cluster"}}, type="STANDARD")
    recreate_role(emulator, role, PEOPLE)
    return stack.invoke({"command": "sweep"})


def alarms(emulator) -> dict[str, dict]:
    found = emulator.client("cloudwatch").describe_alarms(AlarmNamePrefix="access-entry-guard-")["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix("access-entry-guard-"): alarm for alarm in found}


def publish(emulator, alarm: dict, value: float):
    datum = {"MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": value}
    emulator.client("cloudwatch").put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])


def test_a_sweep_that_leaves_an_entry_to_a_person_sets_off_what_says_so_and_nothing_else(emulator, stack, sweep):
    assert [entry["outcome"] for entry in sweep["entries"]] == ["held"]

    states = {name: alarm["StateValue"] for name, alarm in alarms(emulator).items()}

    on = {name for name, state in states.items() if state == "ALARM"}
    assert on == {"validation-errors", "newly-held", "held", "unresolved"}
    assert states["sweep-missed"] == states["repair-failures"] == "OK"


def test_every_alarm_is_about_the_metric_of_its_name(emulator, stack):
    about = {name: (alarm["Namespace"], alarm["MetricName"]) for name, alarm in alarms(emulator).items()}

    assert about == ALARMS


def test_alarms_on_services_watch_this_function_and_these_queues(emulator, stack):
    def watched(name: str) -> dict[str, str]:
        return {d["Name"]: d["Value"] for d in alarms(emulator)[name]["Dimensions"]}

    for name in ("errors", "throttles", "destination-failures"):
        assert watched(name) == {"FunctionName": "access-entry-guard"}
    queues = {"failed-invocations": "FailedInvocationsQueueUrl", "undelivered-events": "UndeliveredEventsQueueUrl"}
    for name, output in queues.items():
        assert watched(name) == {"QueueName": stack.outputs[output].rsplit("/")[-1]}


@pytest.mark.parametrize("metric", sorted(set(ALARMS.values()) - SET_OFF_BY_THE_SWEEP))
def test_an_alarm_goes_off_above_zero_and_not_at_zero(emulator, stack, sweep, metric):
    names = [name for name, about in ALARMS.items() if about == metric]
    alarm = alarms(emulator)[names[0]]

    publish(emulator, alarm, 0)
    at_zero = {stack.alarm_state(name) for name in names}
    publish(emulator, alarm, 1)
    above = {stack.alarm_state(name) for name in names}

    assert (at_zero, above) == ({"OK"}, {"ALARM"})


def test_a_day_without_a_sweep_is_told_and_an_installation_is_not(emulator, stack):
    """The emulator does not evaluate missing data: a model of CloudWatch's documented rules does."""
    alarm = alarms(emulator)["sweep-missed"]
    every_day, once = [1 if hour % 24 == 0 else None for hour in range(96)], [1] + [None] * 95

    assert told(alarm, [None] * 96) == [], "nobody is paged at the installation, nor before the first sweep"
    assert told(alarm, every_day) == []
    (hour,) = told(alarm, once)
    assert 24 < hour <= 30, "about 26 hours"
    assert len(told(alarm, once + every_day + once)) == 2, "once for each gap, however long it is"


# How many periods more than its own CloudWatch looks at, if data are missing ("How alarm state is evaluated when data is
# missing": "a larger number"; for 3 periods its example has 5). The exact number is not documented.
EVALUATION_RANGE = 2


def told(alarm: dict, hours: list[float | None]) -> list[int]:
    """The hours after which the alarm changes into a state that notifies, by CloudWatch's rules for missing data."""
    state, hours_told = "INSUFFICIENT_DATA", []
    for hour in range(len(hours)):
        after = state_after(alarm, hours[max(0, hour + 1 - alarm["EvaluationPeriods"] - EVALUATION_RANGE) : hour + 1])
        if (after or state) != state:
            state = after
            notifies = {"ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions", "OK": "OKActions"}[state]
            hours_told += [hour] if alarm[notifies] else []
    return hours_told


def state_after(alarm: dict, seen: list[float | None]) -> str:
    """The state by the data of the evaluation range. Missing periods count only if there are too few real ones."""
    assert alarm["TreatMissingData"] in ("missing", "breaching", "notBreaching")
    present = [value for value in seen if value is not None]
    if alarm["TreatMissingData"] == "missing" and not present:
        return "INSUFFICIENT_DATA"
    beyond = {"LessThanThreshold": lambda v: v < alarm["Threshold"], "GreaterThanThreshold": lambda v: v > alarm["Threshold"]}
    breaching = [beyond[alarm["ComparisonOperator"]](value) for value in present][-alarm["EvaluationPeriods"] :]
    filled = alarm["EvaluationPeriods"] - len(breaching)
    count = sum(breaching) + (filled if alarm["TreatMissingData"] == "breaching" else 0)
    return "ALARM" if count >= alarm["DatapointsToAlarm"] else "OK"


# What the invocations of a week publish, by the minute; those of an event are its own, no zeros of a state.
MINUTE, HOUR, DAY = 1, 60, 24 * 60
WEEK = 7 * DAY


def sweep_of_everything(**found: int) -> dict[str, int]:
    zeros = {"AccessEntriesUnresolved": 0, "AccessEntriesWaiting": 0, "EventPathSilent": 0, "BlindSpotsLasting": 0}
    names = {"unresolved": "AccessEntriesUnresolved", "waiting": "AccessEntriesWaiting", "blind": "BlindSpotsLasting"}
    return zeros | {"AccessEntriesHeld": found.get("waiting", 0)} | {names[name]: count for name, count in found.items()}


EVENT_THAT_HOLDS = {"AccessEntriesHeld": 1, "AccessEntriesWaiting": 1}
EVENT_OF_NOTHING = APPROVAL = NARROWED_SWEEP = {"AccessEntriesHeld": 0}


def on_during(alarm: dict, published: dict[int, dict[str, int]]) -> list[tuple[int, int]]:
    """From and to which minute the alarm is on, by CloudWatch's rules ("How alarm state is evaluated when data is missing",
    "Configuring how CloudWatch alarms treat missing data"): once a minute it looks at the last periods, and at some more if
    data are missing; with `ignore` it keeps its state if there are none."""
    minutes = alarm["Period"] // 60
    looks_back = minutes * (alarm["EvaluationPeriods"] + EVALUATION_RANGE * (alarm["EvaluationPeriods"] > 1))
    data = {at: values[alarm["MetricName"]] for at, values in published.items() if alarm["MetricName"] in values}
    is_on, spans = False, []
    for now in range(WEEK):
        buckets: dict[int, list[int]] = {}
        for at in (at for at in data if now - looks_back < at <= now):
            buckets.setdefault((now - at) // minutes, []).append(data[at])
        statistic = {"Maximum": max, "Sum": sum}[alarm["Statistic"]]
        beyond = [statistic(values) > alarm["Threshold"] for values in buckets.values()]
        if alarm["TreatMissingData"] == "ignore" and not beyond:
            after = is_on
        else:
            after = sum(beyond) >= alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
        if after and not is_on:
            spans.append((now, WEEK))
        elif is_on and not after:
            spans[-1] = (spans[-1][0], now)
        is_on = after
    return spans


def about(span: tuple[int, int]) -> tuple[int, int]:
    """Within two minutes, as it is promised."""
    return span[0] // 3, span[1] // 3


def test_what_waits_is_shown_until_a_sweep_of_everything_finds_nothing(emulator, stack):
    held = 2 * DAY + 9 * HOUR
    week = {day * DAY: sweep_of_everything() for day in range(7)} | {
        held: EVENT_THAT_HOLDS,
        held + 10: EVENT_OF_NOTHING,
        held + 20: NARROWED_SWEEP,
        3 * DAY: sweep_of_everything(waiting=1, unresolved=1),
        3 * DAY + 60: APPROVAL,
        3 * DAY + 90: sweep_of_everything(),
    }

    assert [about(span) for span in on_during(alarms(emulator)["held"], week)] == [about((held, 3 * DAY + 90))]
    ((came, went),) = on_during(alarms(emulator)["unresolved"], week)
    assert about((came, went)) == about((3 * DAY, 3 * DAY + 90))
    moments = on_during(alarms(emulator)["newly-held"], week)
    assert [came for came, _ in moments] == [held, 3 * DAY] and all(went - came <= 6 for came, went in moments)


def test_a_sweep_that_did_not_see_everything_switches_nothing_off(emulator, stack):
    # It publishes a state only above 0.
    incomplete = {"AccessEntriesHeld": 0, "BlindSpotsLasting": 0}
    week = {DAY: sweep_of_everything(waiting=1, unresolved=1), 2 * DAY: incomplete, 3 * DAY: sweep_of_everything()}

    for name in ("held", "unresolved"):
        assert [about(span) for span in on_during(alarms(emulator)[name], week)] == [about((DAY, 3 * DAY))]


def test_a_region_that_cannot_be_read_is_shown_from_the_first_sweep_to_the_one_that_reads_it(emulator, stack):
    week = {day * DAY: sweep_of_everything(blind=1 if day in (2, 3) else 0) for day in range(7)}

    spans = on_during(alarms(emulator)["blind-spots"], week)

    assert [about(span) for span in spans] == [about((2 * DAY, 4 * DAY))]


def test_every_other_alarm_is_silent_where_nothing_was_published(emulator, stack):
    missing = {name: alarm["TreatMissingData"] for name, alarm in alarms(emulator).items() if name != "sweep-missed"}

    assert {name for name, treated in missing.items() if treated == "ignore"} == STATES
    assert set(missing.values()) == {"notBreaching", "ignore"}


def test_who_subscribed_to_the_topic_is_told_what_to_do(emulator, stack):
    queue = emulator.client("sqs").create_queue(QueueName="on-call")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:111122223333:on-call"
    emulator.client("sns").subscribe(TopicArn=stack.outputs["AlarmTopic"], Protocol="sqs", Endpoint=arn)
    emulator.client("cloudwatch").set_alarm_state(
        AlarmName="access-entry-guard-sweep-missed", StateValue="ALARM", StateReason="a drill"
    )

    deadline = time.monotonic() + 10
    while not (received := emulator.client("sqs").receive_message(QueueUrl=queue)).get("Messages"):
        assert time.monotonic() < deadline, "nobody was told"

    told = json.loads(json.loads(received["Messages"][0]["Body"])["Message"])
    assert told["AlarmName"] == "access-entry-guard-sweep-missed"
    assert told["AlarmDescription"].startswith("For on-call. No sweep has ended for about 26 hours")
