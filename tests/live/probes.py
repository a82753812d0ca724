"""Cheap probes of what no document says. Each asks one question of AWS, and what it makes is removed.

A sandbox may lack a managed node group, a queue in front of the function, or a bus of another account. The probe looks
at it if it is there. If not, the answer is a sentence that says what is missing.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from account import Account
from made import code_of, words_of
from patience import NotInTime, Stopwatch, until
from subject import IAM_LIMIT, TAG, Subject, session_client

# How long a new policy of a role may take until EKS acts by it.
POLICY_LIMIT = 60

PASSED_TO_EKS = "Is an EC2_LINUX entry's creation allowed to a caller who may pass its role to eks.amazonaws.com only?"
PASSED_TO_EC2 = "And to a caller who may pass it to ec2.amazonaws.com only?"
GONE_WITH_KEYS = "Has a request to delete an entry that is gone the condition keys of an entry?"
TAGS_AT_ONCE = "Are tags given at creation on the entry at once?"
DATES = "How exact are the dates of a role and of an entry?"
ORDER = "Are groups given back in the order in which they were sent?"
ASSOCIATED_TWICE = "Does associating a policy again with the same scope move modifiedAt?"
TWO_AT_ONCE = "Are two associations at once both kept?"
DELETED_STILL_SHOWN = "For how long do reads still show a deleted entry?"
ANOTHER_ARN = "Has an entry that is created again another ARN?"
OLD_SESSION = "Does STS still accept a session of a deleted role?"
NODE_GROUP_TAGS = "Which tags has the entry that EKS made for a managed node group?"
REDRIVE = "May the operator's role redrive events to the queue?"
FOREIGN_BUS = "Does an event bus of another account get the reports?"


def ask_about_an_entry(scratch: Subject, seen):
    """Questions about an entry that is made for them, and is deleted and created again on the way."""
    scratch.create_role()
    scratch.create_entry()
    seen.ask(TAGS_AT_ONCE, lambda: tags_at_once(scratch))
    seen.ask(DATES, lambda: exactness(scratch))
    seen.ask(ORDER, lambda: order(scratch))
    seen.ask(ASSOCIATED_TWICE, lambda: associated_twice(scratch))
    seen.ask(TWO_AT_ONCE, lambda: two_at_once(scratch))
    seen.ask(DELETED_STILL_SHOWN, lambda: deleted_still_shown(scratch))
    seen.ask(ANOTHER_ARN, lambda: another_arn(scratch))


def tags_at_once(scratch: Subject) -> str:
    told, wanted = scratch.entry.get("tags", {}), scratch.wanted["tags"]
    shown = (scratch.read_entry() or {}).get("tags", {})
    in_answer, in_read = ("yes" if tags == wanted else "no" for tags in (told, shown))
    return f"in the answer to the creation: {in_answer}; in a read: {in_read}"


def exactness(scratch: Subject) -> str:
    role, entry = scratch.role["CreateDate"].microsecond, scratch.entry["createdAt"].microsecond
    return f"the role's has {role} microseconds, the entry's {entry}"


def order(scratch: Subject) -> str:
    sent, shown = scratch.wanted["groups"], (scratch.read_entry() or {}).get("kubernetesGroups")
    return "yes" if shown == sent else f"no: {shown}"


def _policy(scratch: Subject, name: str) -> dict:
    # A namespace that there is not: what is granted gives nothing.
    scope = {"type": "namespace", "namespaces": [scratch.wanted["tags"][TAG]]}
    return scratch.key() | {"policyArn": scratch.account.policy_arn(name), "accessScope": scope}


def associated_twice(scratch: Subject) -> str:
    associate = scratch.account.eks.associate_access_policy

    def attempt():
        try:
            return associate(**_policy(scratch, "AmazonEKSViewPolicy"))["associatedAccessPolicy"]
        except ClientError as problem:
            if code_of(problem) == "ResourceNotFoundException":
                return None
            raise

    first = until("EKS's knowledge of the entry", IAM_LIMIT, attempt)
    time.sleep(1.1)
    second = associate(**_policy(scratch, "AmazonEKSViewPolicy"))["associatedAccessPolicy"]
    moved = {name: "moves" if first[name] != second[name] else "stays" for name in ("modifiedAt", "associatedAt")}
    return f"modifiedAt {moved['modifiedAt']}, associatedAt {moved['associatedAt']}"


def two_at_once(scratch: Subject) -> str:
    """Two policies associated at the same moment: either may be refused, or lost."""
    names = ("AmazonEKSEditPolicy", "AmazonEKSAdminPolicy")

    def associate(name: str) -> str:
        try:
            scratch.account.eks.associate_access_policy(**_policy(scratch, name))
            return "accepted"
        except ClientError as problem:
            return words_of(problem)

    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(associate, names))
    kept = [name for name in names if scratch.account.policy_arn(name) in scratch.read_policies()]
    return f"answered {' and '.join(answers)}; {len(kept)} of 2 are listed"


def deleted_still_shown(scratch: Subject) -> str:
    scratch.account.eks.delete_access_entry(**scratch.key())
    watch, last = Stopwatch(), 0.0

    def attempt():
        nonlocal last
        if scratch.read_entry() is None:
            return True
        last = watch.seconds
        return None

    until("a read without the deleted entry", IAM_LIMIT, attempt)
    return f"last shown after {last:.1f} s" if last else "not at all"


def another_arn(scratch: Subject) -> str:
    old = scratch.entry["accessEntryArn"]

    def attempt():
        try:
            return scratch.account.eks.create_access_entry(**scratch.creation())["accessEntry"]
        except ClientError as problem:
            # The deletion has not settled yet.
            if code_of(problem) == "ResourceInUseException":
                return None
            raise

    new = until("the creation after a deletion", IAM_LIMIT, attempt)["accessEntryArn"]
    return "yes" if new != old else f"no: it is {old} again"


def passing(account: Account, probe: Subject, eks, seen):
    """The creation of a node's entry by a caller who may pass the role to one service only, and a conditional deletion.

    `eks` acts as `probe`, whose policy is replaced. A read that only the new policy allows tells when EKS acts by it.
    """
    cluster_arn = account.eks.describe_cluster(name=account.cluster)["cluster"]["arn"]
    entries = cluster_arn.replace(":cluster/", ":access-entry/") + "/*"

    def allow(action: str, resource: str, **condition) -> dict:
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        return statement | ({"Condition": {"StringEquals": condition}} if condition else {})

    def created_if_passed_to(service: str, marker: str, look) -> str:
        names = [f"{service}.amazonaws.com", f"{service}.{account.suffix}"]
        statements = [
            allow("eks:CreateAccessEntry", cluster_arn, **{"eks:accessEntryType": "EC2_LINUX"}),
            allow("iam:PassRole", probe.arn, **{"iam:PassedToService": sorted(set(names))}),
            allow("eks:DeleteAccessEntry", entries, **{"eks:accessEntryType": "EC2_LINUX"}),
            allow(marker, "*"),
        ]
        probe.put_policy({"Version": "2012-10-17", "Statement": statements})

        def attempt():
            try:
                look()
                return True
            except ClientError:
                return None

        until("a caller who may pass the role", POLICY_LIMIT, attempt)

        def create():
            try:
                eks.create_access_entry(**probe.key(), type="EC2_LINUX")
            except ClientError as problem:
                # EKS does not know the role yet.
                return None if "invalid principal" in str(problem) else f"no: {words_of(problem)}"
            account.eks.delete_access_entry(**probe.key())
            return "yes"

        return until("EKS's knowledge of the role", IAM_LIMIT, create)

    def deletion_of_nothing() -> str:
        try:
            eks.delete_access_entry(**probe.key())
            return "not seen: there was an entry"
        except ClientError as problem:
            refused = code_of(problem) in ("AccessDeniedException", "AccessDenied")
            return f"{'no' if refused else 'yes, or they are not asked for'}: {words_of(problem)}"

    seen.ask(PASSED_TO_EKS, lambda: created_if_passed_to("eks", "eks:ListClusters", eks.list_clusters))
    describe = lambda: eks.describe_cluster(name=account.cluster)  # noqa: E731
    seen.ask(PASSED_TO_EC2, lambda: created_if_passed_to("ec2", "eks:DescribeCluster", describe))
    seen.ask(GONE_WITH_KEYS, deletion_of_nothing)


def old_session(account: Account, credentials: dict) -> str:
    """Credentials that were made for a role which has been deleted since."""
    try:
        session_client("sts", credentials, account.region).get_caller_identity()
        return "yes"
    except ClientError as problem:
        return f"no: {code_of(problem)}"


def node_group_tags(account: Account) -> str:
    """Looks at an existing node group's entry, and changes nothing."""
    names = account.eks.list_nodegroups(clusterName=account.cluster)["nodegroups"]
    if not names:
        return "not asked: the cluster has no managed node group"
    group = account.eks.describe_nodegroup(clusterName=account.cluster, nodegroupName=names[0])["nodegroup"]
    try:
        entry = account.eks.describe_access_entry(clusterName=account.cluster, principalArn=group["nodeRole"])
    except ClientError as problem:
        if code_of(problem) == "ResourceNotFoundException":
            return f"not asked: the role of the node group {names[0]} has no entry"
        raise
    return f"{entry['accessEntry'].get('tags') or 'none'} (node group {names[0]})"


def redrive(account: Account, operator: str, sqs) -> str:
    """Lets the operator's role start a redrive of the queue of undelivered events, which is empty most of the time."""
    if not operator:
        return "not asked: OPERATOR names no role"
    name = account.function_name
    try:
        queue = sqs.get_queue_url(QueueName=f"{name}-events")["QueueUrl"]
    except ClientError as problem:
        if "NonExistentQueue" in code_of(problem):
            return "not asked: the stack has no queue of events (BatchWindowSeconds is 0)"
        raise
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    session = account.sts.assume_role(RoleArn=operator, RoleSessionName="access-entry-guard-live-test")["Credentials"]
    theirs = session_client("sqs", session, account.function_region)
    source = arn.removesuffix("-events") + "-undelivered-events"
    try:
        theirs.start_message_move_task(SourceArn=source, DestinationArn=arn)
    except ClientError as problem:
        return f"no: {words_of(problem)}"

    def attempt():
        task = theirs.list_message_move_tasks(SourceArn=source, MaxResults=1)["Results"][0]
        return None if task["Status"] == "RUNNING" else task

    try:
        task = until("the redrive's end", POLICY_LIMIT, attempt)
    except NotInTime as slow:
        return f"it was started: {slow}"
    why = f", {task['FailureReason']}" if "FailureReason" in task else ""
    return f"yes: {task['Status']}, {task.get('ApproximateNumberOfMessagesMoved', 0)} moved{why}"


def foreign_bus(account: Account, functions, cloudwatch) -> str:
    """Looks at the deployed destination and at Lambda's count of failed deliveries, and changes nothing."""
    which = {"FunctionName": account.function_name, "Qualifier": "events"}
    try:
        config = functions.get_function_event_invoke_config(**which)
    except ClientError as problem:
        if code_of(problem) == "ResourceNotFoundException":
            return "not asked: the alias events has no destination"
        raise
    destination = config.get("DestinationConfig", {}).get("OnSuccess", {}).get("Destination", "")
    parts = destination.split(":")
    if len(parts) < 6 or parts[2] != "events" or parts[4] == account.id:
        return "not asked: ReportDestinationArn is no event bus of another account"

    def total(metric: str) -> float:
        now = time.time()
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": account.function_name}],
            StartTime=now - 86400,
            EndTime=now,
            Period=86400,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    failed, invoked = total("DestinationDeliveryFailures"), total("Invocations")
    return (
        f"{destination} is configured; in the last day {failed:.0f} deliveries failed, with {invoked:.0f} invocations"
    )
