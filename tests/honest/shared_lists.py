"""Shared scenarios of what the function reads besides single entries, and of its ledger: lists and their pages, roles,
Regions, rows."""

from botocore.exceptions import ClientError

from samples import CLUSTER, TABLE, VIEW
from shared import FOUR, ONE, ROLES, THREE, TWO, Entries, outcome, scenario

# --- lists and their pages --------------------------------------------------------------------------------------------


def _pages(call, shown: str, **parameters) -> list[int]:
    """How many items each page has."""
    sizes, more = [], {}
    while len(sizes) < 10:
        page = call(**parameters, maxResults=2, **more)
        sizes.append(len(page[shown]))
        if not page.get("nextToken"):
            break
        more = {"nextToken": page["nextToken"]}
    return sizes


@scenario("four entries in pages of two")
def _(site):
    entries = Entries(site)
    for arn in (ONE, TWO, THREE, FOUR):
        entries.made(arn)
    call = entries.eks.list_access_entries
    return str(_pages(call, "accessEntries", clusterName=CLUSTER))


@scenario("three policies in pages of two")
def _(site):
    entries = Entries(site)
    entries.made()
    for name in ("View", "Edit", "Admin"):
        entries.associate(policy=VIEW.replace("View", name))
    call = entries.eks.list_associated_access_policies
    return str(_pages(call, "associatedAccessPolicies", clusterName=CLUSTER, principalArn=ONE))


@scenario("entries listed by a policy")
def _(site):
    entries = Entries(site)
    for arn in (ONE, TWO):
        entries.made(arn)
    entries.associate(TWO)
    listed = entries.eks.list_access_entries(clusterName=CLUSTER, associatedPolicyArn=VIEW)
    return " ".join(arn.rsplit("/", 1)[1] for arn in listed["accessEntries"])


@scenario("lists with a page size of 0, of 101, and a made-up token")
def _(site):
    call = site.client("eks").list_access_entries
    bad = ({"maxResults": 0}, {"maxResults": 101}, {"nextToken": "made-up"})
    return ", ".join(outcome(call, clusterName=CLUSTER, **parameters) for parameters in bad)


# --- roles, Regions, the ledger ---------------------------------------------------------------------------------------


@scenario("a role that does not exist")
def _(site):
    return outcome(site.client("iam").get_role, RoleName="gone")


@scenario("a role's name in another case")
def _(site):
    return outcome(site.client("iam").get_role, RoleName=ROLES[0].upper())


@scenario("a role's name with a character that no name has")
def _(site):
    return outcome(site.client("iam").get_role, RoleName="a b")


@scenario("a role recreated: same ARN, another ID, and its entry stays")
def _(site):
    entries, iam = Entries(site), site.client("iam")
    made = entries.made()
    before = iam.get_role(RoleName=ROLES[0])["Role"]
    site.recreate(ROLES[0])
    after = iam.get_role(RoleName=ROLES[0])["Role"]
    stays = entries.shown()["accessEntryArn"] == made["accessEntryArn"]
    return f"{before['Arn'] == after['Arn']}, {before['RoleId'] != after['RoleId']}, {stays}"


@scenario("a role's ID begins with AROA and has 21 characters")
def _(site):
    role_id = site.client("iam").get_role(RoleName=ROLES[0])["Role"]["RoleId"]
    return f"{role_id[:4]} {len(role_id)}"


@scenario("roles in pages of two: pages, more to come after the first")
def _(site):
    iam = site.client("iam")
    first = iam.list_roles(MaxItems=2)
    second = iam.list_roles(MaxItems=1, Marker=first["Marker"]) if first["IsTruncated"] else None
    return f"{len(first['Roles'])}, {first['IsTruncated']}, {second and len(second['Roles'])}"


@scenario("lists of roles with a size of 0, and a prefix that is no path")
def _(site):
    call = site.client("iam").list_roles
    return f"{outcome(call, MaxItems=0)}, {outcome(call, PathPrefix='team')}"


@scenario("Regions by a status that does not exist")
def _(site):
    return outcome(site.client("account").list_regions, RegionOptStatusContains=["SOMETIMES"])


@scenario("Regions in pages of two: the first")
def _(site):
    page = site.client("account").list_regions(MaxResults=2)
    return f"{len(page['Regions'])}, more: {'NextToken' in page}"


ROW = {"principalArn": {"S": ONE}, "cluster": {"S": "eu-west-1#prod"}}
ABSENT = {"ConditionExpression": "attribute_not_exists(principalArn)"}


@scenario("a row written on condition that it is absent, twice")
def _(site):
    put = site.client("dynamodb").put_item
    return ", ".join(outcome(put, TableName=TABLE, Item=ROW, **ABSENT) for _ in range(2))


@scenario("a failed condition returns the row where asked to")
def _(site):
    dynamodb = site.client("dynamodb")
    dynamodb.put_item(TableName=TABLE, Item=ROW)
    try:
        dynamodb.put_item(TableName=TABLE, Item=ROW, **ABSENT, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    except ClientError as error:
        return str(error.response.get("Item") == ROW)
    return "accepted"


for _sentence, _members in {
    "a reserved word as a name": {"ConditionExpression": "attribute_not_exists(state)"},
    "a placeholder that is not used": {**ABSENT, "ExpressionAttributeNames": {"#x": "x"}},
    "a placeholder that is not defined": {"ConditionExpression": "attribute_not_exists(#x)"},
    "an empty key": {"Item": {**ROW, "cluster": {"S": ""}}},
    "a key of another type": {"Item": {**ROW, "cluster": {"N": "1"}}},
    "a row without its sort key": {"Item": {"principalArn": {"S": ONE}}},
    "ReturnValues=ALL_NEW": {"ReturnValues": "ALL_NEW"},
}.items():

    @scenario("row: " + _sentence)
    def _(site, members=_members):
        return outcome(site.client("dynamodb").put_item, **{"TableName": TABLE, "Item": ROW, **members})


@scenario("an update of a key")
def _(site):
    update = {"UpdateExpression": "SET #c = :c", "ExpressionAttributeNames": {"#c": "cluster"}}
    values = {"ExpressionAttributeValues": {":c": {"S": "x"}}}
    return outcome(site.client("dynamodb").update_item, TableName=TABLE, Key=ROW, **update, **values)


@scenario("a query without a condition on the partition key")
def _(site):
    query = {"KeyConditionExpression": "#c = :c", "ExpressionAttributeNames": {"#c": "cluster"}}
    values = {"ExpressionAttributeValues": {":c": {"S": "x"}}}
    return outcome(site.client("dynamodb").query, TableName=TABLE, **query, **values)


@scenario("three rows in pages of two, read by a query")
def _(site):
    dynamodb = site.client("dynamodb")
    for n in range(3):
        dynamodb.put_item(TableName=TABLE, Item={**ROW, "cluster": {"S": f"eu-west-1#{n}"}})
    query = {"KeyConditionExpression": "principalArn = :p", "ExpressionAttributeValues": {":p": {"S": ONE}}, "Limit": 2}
    first = dynamodb.query(TableName=TABLE, **query)
    second = dynamodb.query(TableName=TABLE, **query, ExclusiveStartKey=first["LastEvaluatedKey"])
    return f"{first['Count']}, {second['Count']}, more: {'LastEvaluatedKey' in second}"


@scenario("a table that does not exist")
def _(site):
    return outcome(site.client("dynamodb").get_item, TableName="gone", Key=ROW)
