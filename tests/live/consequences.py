"""What the answer to each question means to a user, and the item of `tests/what-aws-does.md` that it is about."""

import probes

CONSEQUENCES = {
    "How long is a new role an invalid principal?": "A repair waits that long while the entry is away. [AWS-12]",
    "How long is a new entry not found by associations?": (
        "A repair waits that long before it gives policies back. [AWS-11]"
    ),
    "What is a rehearsal answered?": (
        "Anything but ResourceInUseException holds every entry. Nothing is deleted then. [AWS-26]"
    ),
    "And one by a caller without any permission?": (
        "ResourceInUseException: a rehearsal does not prove the permission. One entry may then be caught, and the"
        " breaker stops the rest. [AWS-25]"
    ),
    "And one of type EC2_LINUX, where the role has an entry already?": (
        "ResourceInUseException: a rehearsal does not prove iam:PassRole. One node entry may then be caught. [AWS-25]"
    ),
    probes.PASSED_TO_EC2: "If not, the function's policy is wrong: every node entry is held. [AWS-23]",
    probes.PASSED_TO_EKS: "If so, a policy for eks.amazonaws.com would do too. The function's allows both. [AWS-23]",
    probes.GONE_WITH_KEYS: "Either is safe: the function's conditions end with IfExists. [AWS-43]",
    "Does UpdateAccessEntry bind an entry again?": (
        "If so, an owner's update cures a stale entry. The function then replaces an entry that is good, with the"
        " same access. [AWS-3]"
    ),
    "What is ListAssociatedAccessPolicies of an EC2_LINUX entry answered?": (
        "Either is safe: the function does not ask. [AWS-34]"
    ),
    "How long after its deletion is an entry's creation refused?": (
        "A repair waits that long while the entry is away. [AWS-13]"
    ),
    probes.TAGS_AT_ONCE: (
        "If not, a repaired entry lacks its tags at first; an ignore tag would be missed as long. [AWS-39]"
    ),
    probes.DATES: "Whole seconds of the role: an entry of the role's own second counts as good. [AWS-5]",
    probes.ORDER: "Either is safe: the function compares groups and namespaces as sets. [AWS-81]",
    probes.ASSOCIATED_TWICE: (
        "Either is safe if only a list read before decides whether an association is new. [AWS-36]"
    ),
    probes.TWO_AT_ONCE: "If one is lost, a repair that runs beside an owner's change can miss a policy. [AWS-37]",
    probes.DELETED_STILL_SHOWN: (
        "The function does not take a read right after its deletion for an owner's entry. [AWS-15]"
    ),
    probes.ANOTHER_ARN: "If not, a record of the ledger could count for a later entry. [AWS-6]",
    probes.OLD_SESSION: "Either is safe: the proof uses new sessions. EKS refuses the old ones. [AWS-71]",
    probes.NODE_GROUP_TAGS: (
        "If there is a tag that begins with aws:eks:, entries of managed node groups are held: nobody may set it "
        "again. [AWS-41]"
    ),
    probes.REDRIVE: "If not, hand each event to the function as the runbook says. [AWS-63]",
    probes.FOREIGN_BUS: "If deliveries fail, use a bus of the own account with a rule to the other one. [AWS-65]",
    "How much younger than the role is its new entry?": "For so long the role was locked out. [AWS-1]",
    "How long after the role's recreation did its events reach the function?": "Repairs begin no earlier. [AWS-53]",
}


def consequence_of(question: str) -> str:
    if question.endswith("answered without iam:PassRole?"):
        return "If accepted, entries of this type need no iam:PassRole. If denied, they do; the policy has it. [AWS-24]"
    if question == "What is a missing iam:PassRole answered?":
        return "It could not be asked. [AWS-24]"
    return CONSEQUENCES[question]
