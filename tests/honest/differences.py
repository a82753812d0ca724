"""Where the in-process AWS and the emulator are known to differ, which of the two does as documented, and what says so.

`right` is `in-process`, `emulator`, or `open` where AWS does not say. A difference that is not here, or is here and
gone, fails the test: the in-process AWS has drifted, or a newer emulator has learnt."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A difference that is no surprise."""

    scenario: str
    in_process: str
    emulator: str
    right: str
    why: str


KNOWN = [
    Known(
        "an entry with nothing set gets type, user name and groups",
        "STANDARD arn:aws:sts::111122223333:assumed-role/role-0000/{{SessionName}} []",
        "STANDARD  []",
        "in-process",
        "EKS User Guide: EKS generates a user name where none is given",
    ),
    Known(
        "a node entry gets a user name and groups",
        "system:node:{{EC2PrivateDNSName}} ['system:nodes']",
        " []",
        "in-process",
        "EKS User Guide: EKS sets both for node types",
    ),
    Known(
        "an entry's ARN is made of these parts",
        "arn:aws:eks:us-east-1:111122223333:access-entry/cluster-0000/role/111122223333/role-0000/*",
        "arn:aws:eks:us-east-1:111122223333:access-entry/cluster-0000/*",
        "in-process",
        "as EKS forms it: kind, account and name of the principal, then a UUID",
    ),
    Known(
        "a principal that does not exist",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS: 'The specified principalArn is invalid: invalid principal.'",
    ),
    Known(
        "a principal of another path",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS resolves the whole ARN: with another path it is another principal",
    ),
    Known(
        "a principal that is no ARN",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS: 'The principalArn parameter format is not valid'",
    ),
    Known(
        "a principal that is a session",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: the ARN of a role or user, not of an STS session",
    ),
    Known(
        "a principal that is a service-linked role",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: no entries for service-linked roles",
    ),
    Known(
        "creation: type EC2",
        "accepted",
        "InvalidParameterException",
        "in-process",
        "EKS API Reference lists the type",
    ),
    Known(
        "creation: type HYBRID_LINUX",
        "accepted",
        "InvalidParameterException",
        "in-process",
        "EKS API Reference lists the type",
    ),
    Known(
        "creation: type HYPERPOD_LINUX",
        "accepted",
        "InvalidParameterException",
        "in-process",
        "EKS API Reference lists the type",
    ),
    Known(
        "creation: groups for a node entry",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: only for type STANDARD",
    ),
    Known(
        "creation: a user name for a node entry",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: only for type STANDARD",
    ),
    Known(
        "creation: a user name that begins with system:",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: reserved prefix",
    ),
    Known(
        "creation: a user name that begins with eks:",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: reserved prefix",
    ),
    Known(
        "creation: a user name with a session's name and no colon before",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: a colon must stand before the session's name",
    ),
    Known(
        "creation: a group that begins with system:",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: reserved prefix",
    ),
    Known(
        "creation: an empty map of tags",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "service model: 1 to 50 tags",
    ),
    Known(
        "creation: 51 tags",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "service model: 1 to 50 tags",
    ),
    Known(
        "creation: a tag with AWS's prefix",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: the prefix aws: is reserved",
    ),
    Known(
        "creation: a tag with an empty key",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "service model: a key has 1 to 128 characters",
    ),
    Known(
        "an update to a user name that begins with system:",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: reserved prefix",
    ),
    Known(
        "a tag on an entry is shown by it",
        "accepted, {'a': 'b', 'c': 'd'}",
        "accepted, {'a': 'b'}",
        "in-process",
        "TagResource tags the entry, and DescribeAccessEntry shows its tags",
    ),
    Known(
        "a tag on a resource that does not exist",
        "NotFoundException",
        "InvalidParameterException",
        "in-process",
        "service model: TagResource knows NotFoundException, and not the other",
    ),
    Known(
        "association: a policy that does not exist",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: the ARN of an access policy of EKS",
    ),
    Known(
        "association: a policy of IAM",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS: 'The policyArn parameter format is not valid'",
    ),
    Known(
        "association: a policy that only AWS associates",
        "InvalidParameterException",
        "accepted",
        "in-process",
        "EKS User Guide: for AWS's own service-linked roles only",
    ),
    Known(
        "association: scope cluster with namespaces",
        "InvalidParameterException",
        "accepted",
        "open",
        "not documented; the emulator drops the namespaces",
    ),
    Known(
        "a node entry's policies, associated and listed",
        "InvalidParameterException, InvalidParameterException",
        "InvalidRequestException, accepted",
        "in-process",
        "EKS: 'This operation can only be performed on Access Entries with a type of \"STANDARD\".'",
    ),
    Known(
        "four entries in pages of two",
        "[2, 2]",
        "[2]",
        "in-process",
        "the emulator cuts the list and gives no token",
    ),
    Known(
        "three policies in pages of two",
        "[2, 1]",
        "[2]",
        "in-process",
        "the emulator cuts the list and gives no token",
    ),
    Known(
        "lists with a page size of 0, of 101, and a made-up token",
        "InvalidParameterException, InvalidParameterException, InvalidParameterException",
        "accepted, accepted, accepted",
        "in-process",
        "service model: 1 to 100; a token is one that EKS gave",
    ),
    Known(
        "a role's name in another case",
        "accepted",
        "NoSuchEntity",
        "open",
        "IAM: names are unique irrespective of case; how they are looked up is not documented",
    ),
    Known(
        "a role's name with a character that no name has",
        "ValidationError",
        "NoSuchEntity",
        "in-process",
        "service model: the pattern of role names",
    ),
    Known(
        "roles in pages of two: pages, more to come after the first",
        "2, True, 1",
        "5, False, None",
        "in-process",
        "the emulator does not page roles",
    ),
    Known(
        "lists of roles with a size of 0, and a prefix that is no path",
        "ValidationError, ValidationError",
        "accepted, accepted",
        "in-process",
        "service model: 1 to 1000, and a path begins with a slash",
    ),
    Known(
        "Regions by a status that does not exist",
        "ValidationException",
        "accepted",
        "in-process",
        "service model: the values of the enumeration",
    ),
    Known(
        "Regions in pages of two: the first",
        "2, more: True",
        "31, more: False",
        "in-process",
        "the emulator does not page Regions",
    ),
]
