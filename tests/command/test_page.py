"""`scan --output html`: one file, opened in Chromium as a person opens it.

The account is `local_aws`; the page is what the command wrote. What the fake does not have (node groups that stand still, a
ledger's last look) is put into the data of such a page, which its policy does not bind."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

import page_browser
from running import LocalAws

ACCOUNT = "111122223333"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "example"}
# Names that would run, load, end or hide something if they were anything but text.
HOSTILE = [
    "</script><script>window.canary=1</script>",
    "<img src=x onerror=window.canary=1>",
    "<!--<script>",
    "\"'`${window.canary=1}",
    "=cmd()",
    "admin\u202enimda",
    "line\u2028end",
]
USER, PARTNER = f"arn:aws:iam::{ACCOUNT}:user/staff/alice", "arn:aws:iam::444455556666:role/partner"
BLOCK = re.compile(r'(?<=<script type="application/json" id="data">).*?(?=</script>)', re.DOTALL)
WIDE, PHONE = 1280, 375


class Account:
    """What the tests put into an account, with the API's own calls."""

    def __init__(self, aws: LocalAws):
        self.aws = aws

    def client(self, service: str, region: str = "us-east-1"):
        return boto3.client(service, region_name=region, endpoint_url=self.aws.http, **KEYS)

    def role(self, name: str) -> str:
        return self.aws.do("recreate", role=name)["arn"]

    def entry(self, cluster: str, region: str, principal: str, policies=(), **members):
        eks = self.client("eks", region)
        eks.create_access_entry(clusterName=cluster, principalArn=principal, **members)
        for name, *namespaces in policies:
            scope = {"type": "namespace", "namespaces": namespaces} if namespaces else {"type": "cluster"}
            eks.associate_access_policy(
                clusterName=cluster, principalArn=principal, policyArn=POLICY + name, accessScope=scope
            )

    def scan(self, output: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.aws.http,
            "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
        }
        command = [os.environ["COMMAND"], "scan", "--output", output]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert ran.returncode in (0, 1, 2) and not ran.stderr, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def account():
    """Two stale entries, one of which would be held, an orphaned one, and such that let somebody in."""
    with LocalAws() as aws:
        aws.do("world", regions=2, clusters=2, entries=3, matches=1)
        account = Account(aws)
        deployer, viewer, hostile, gone = map(account.role, ["deployer", "viewer", "hostile", "gone"])
        account.entry("cluster-0001", "eu-west-1", deployer, [("AmazonEKSClusterAdminPolicy",)], kubernetesGroups=["ops"])
        account.entry("cluster-0001", "eu-west-1", viewer, [("AmazonEKSViewPolicy", "shop", "pay-*")])
        account.entry("cluster-0000", "us-east-1", viewer, [("AmazonEKSEditPolicy",)])
        account.entry("cluster-0000", "us-east-1", hostile, kubernetesGroups=HOSTILE, username=HOSTILE[0])
        account.entry("cluster-0000", "us-east-1", gone)
        for principal in [USER, PARTNER]:
            aws.do("principal", arn=principal)
            account.entry("cluster-0000", "us-east-1", principal, [("AmazonEKSAdminPolicy",)])
        # IAM's dates have seconds only.
        time.sleep(1.1)
        account.role("node")
        account.role("deployer")
        account.client("iam").delete_role(RoleName="gone")
        yield account


@pytest.fixture(scope="module")
def report(account) -> dict:
    return json.loads(account.scan("json"))


@pytest.fixture(scope="module")
def written(account) -> str:
    return account.scan("html")


@pytest.fixture(scope="module")
def browser():
    with page_browser.running() as running:
        if running is None and os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{page_browser.NOT_RUN} (CI requires it.)")
        if running is None:
            pytest.skip(page_browser.NOT_RUN)
        yield running


@pytest.fixture
def show(browser, written, tmp_path):
    """Opens the page, or one with other data, and notes whatever a page should not do."""
    contexts = []

    def opened(text: str = written, width: int = WIDE, **options):
        file: Path = tmp_path / f"page-{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        seen = SimpleNamespace(requests=[], problems=[], address=file.as_uri())
        context.on("request", lambda request: seen.requests.append(request.url))
        page.on("dialog", lambda dialog: (seen.problems.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: seen.problems.append(str(error)))
        page.on("console", lambda message: seen.problems.append(message.text))
        page.goto(seen.address)
        page.seen = seen
        return page

    yield opened
    for context in contexts:
        context.close()


def broken(report: dict) -> list[dict]:
    """All but the entries of principals that cannot become stale in this way."""
    return [entry for entry in report["entries"] if entry["principalArn"] not in (USER, PARTNER)]


def data_of(page_text: str) -> dict:
    return json.loads(BLOCK.search(page_text)[0])


def with_data(page_text: str, data: dict) -> str:
    block = json.dumps(data).replace("<", "\\u003c")
    return BLOCK.sub(lambda _: block, page_text)


def findings(page):
    return page.get_by_role("article")


def rows(page):
    """The rows of who reaches which cluster that show, without the heads."""
    table = page.get_by_role("table", name="Who reaches which cluster")
    return table.get_by_role("rowgroup").nth(1).get_by_role("row")


def open_all(page):
    closed = page.locator("details:not([open]) > summary")
    while closed.count():
        closed.first.click()


def column(page, label: str) -> list[str]:
    return [cell.inner_text().strip() for cell in rows(page).locator(f'[data-label="{label}"]').all()]


def test_the_page_says_whose_entries_when_and_how_many(show, report):
    page = show()
    head = page.get_by_role("banner")
    assert head.get_by_role("heading", level=1).inner_text() == "EKS access entries"
    assert re.search(rf"Account {ACCOUNT}, as AWS showed it at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC", head.inner_text())
    counts = {term.inner_text(): term.locator("xpath=../dd").inner_text() for term in head.locator("dt").all()}
    fresh = report["entriesExamined"] - len(report["entries"])
    assert counts == {
        "stale": "2", "orphaned": "1", "unclear": "0", "not seen": "0", "bound to their role": str(fresh),
        "not judged": "2", "clusters": "2", "Regions": "2",
    }  # fmt: skip
    assert "us-east-1, eu-west-1" in head.inner_text() or "eu-west-1, us-east-1" in head.inner_text()
    assert ACCOUNT in page.title()


def test_findings_come_first_then_who_reaches_which_cluster_then_what_was_not_seen(show):
    headings = [heading.inner_text() for heading in show().get_by_role("heading", level=2).all()]
    assert headings == ["Findings", "Who reaches which cluster", "Not seen"]


def test_a_finding_says_who_where_since_when_what_the_function_would_do_why_and_what_repairs_it(show, report):
    page = show()
    assert findings(page).count() == len(broken(report)) == 3
    for entry in broken(report):
        name = entry["principalArn"].rsplit("/")[-1]
        article = findings(page).filter(has=page.get_by_role("heading", name=f"{name} in {entry['clusterName']}"))
        text = article.inner_text()
        since = entry.get("roleCreatedAt", entry["createdAt"])[:19].replace("T", " ")
        for expected in [entry["principalArn"], entry["region"], entry["type"], entry["username"], entry["detail"], since]:
            assert expected in text, f"{expected} is missing in {text}"
        assert text.startswith(entry["verdict"].capitalize())
        assert article.get_by_text(re.compile("^The commands? that (repair|delete)")).count() == 1
        assert article.locator("details").last.locator("code").all_text_contents() == entry["commands"] != []


def test_what_is_held_shows_its_reasons_before_the_commands(show):
    page = show()
    held = findings(page).filter(has_text="wait for a person (privileged)")
    assert held.count() == 1
    summaries = held.locator("summary").all_inner_texts()
    assert summaries == [
        "Who may assume the role",
        "The command that shows who created the role",
        "The commands that repair it, once you know that the role is the right one",
    ]
    assert "AmazonEKSClusterAdminPolicy, whole cluster" in held.inner_text() and "Group ops" in held.inner_text()
    trust = json.loads(held.locator("details").first.locator("pre").text_content())
    assert trust["Statement"][0]["Action"] == "sts:AssumeRole"
    assert "aws cloudtrail lookup-events" in held.locator("details").nth(1).locator("code").text_content()
    assert not held.locator("details").last.locator("pre").is_visible(), "commands that grant are not offered at once"


def test_who_reaches_which_cluster_as_what_and_since_when(show, report):
    page = show()
    assert rows(page).count() == report["entriesExamined"] - len(broken(report))
    row = rows(page).filter(has_text="viewer").filter(has_text="cluster-0001").inner_text()
    for expected in ["eu-west-1", "STANDARD", "assumed-role/viewer/{{SessionName}}", "AmazonEKSViewPolicy, namespace shop, pay-*"]:
        assert expected in row
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", row)
    node = rows(page).filter(has_text="role-0000").first.inner_text()
    assert "EC2_LINUX" in node and "system:nodes" in node
    names = " ".join(column(page, "Principal"))
    assert "deployer" not in names and "gone" not in names, "a stale entry lets nobody in"


def test_a_user_and_another_accounts_role_are_listed_with_their_policies_and_why_they_are_not_judged(show):
    page = show()
    for principal, why in [(USER, "The principal is an IAM user."), (PARTNER, "The principal belongs to another account")]:
        row = rows(page).filter(has_text=principal).inner_text()
        assert why in row and "AmazonEKSAdminPolicy, whole cluster" in row


def test_what_stands_still_is_said_with_the_time_that_is_left(show, written):
    data = data_of(written)
    data["findings"][0]["impact"] = [
        {"kind": "nodegroup", "name": "workers", "status": "CREATING", "healthIssues": ["AccessDenied"], "minutesLeft": 12, "next": "joinsByItself"},
        {"kind": "fargateProfile", "name": "batch", "healthIssues": [], "next": "recreate"},
    ]  # fmt: skip
    text = findings(show(with_data(written, data))).first.inner_text()
    assert "Node group workers (CREATING). EKS gives up in about 12 minutes. Health issues: AccessDenied." in text
    assert "It recovers by itself after the repair." in text
    assert "Fargate profile batch. It has to be made again after the repair." in text


def test_an_inventory_adds_when_an_entry_was_last_verified(show, written):
    assert not show().get_by_role("columnheader", name="Last verified (UTC)").count()
    data = data_of(written)
    data["blindSpots"] = None
    for number, entry in enumerate(data["access"]):
        entry |= {"verifiedAt": f"2026-01-02T03:{number:02}:00Z", "known": "good"}
    page = show(with_data(written, data))
    assert "2026-01-02 03:01" in column(page, "Last verified (UTC)") and set(column(page, "State")) == {"good"}
    assert not page.get_by_role("heading", name="Not seen").count()


def test_the_deployed_functions_inventory_is_a_page_of_what_the_ledger_saw(show, aws, command):
    aws.do("world", regions=2, clusters=2, matches=2)
    aws.start_function()
    said = command("sweep")
    assert said.status == 0, said
    said = command("inventory", "--output", "html")
    assert said.status == 0, said

    page = show(said.out)

    assert "according to the ledger" in page.get_by_role("banner").inner_text() + page.inner_text("main")
    recorded = json.loads(command("inventory").out)["inventory"]
    verified = [entry["verifiedAt"][:16].replace("T", " ") for entry in recorded]
    assert verified and sorted(column(page, "Last verified (UTC)")) == sorted(verified)
    assert set(column(page, "State")) == {"good"}
    assert page.seen.problems == [] and page.seen.requests == [page.seen.address]


def test_policies_that_could_not_be_read_are_not_shown_as_none(account, show):
    account.aws.do("deny", operation="ListAssociatedAccessPolicies")
    try:
        page = show(account.scan("html"))
    finally:
        account.aws.do("allow", operation="ListAssociatedAccessPolicies")
    of_viewer = rows(page).filter(has_text="viewer").locator('[data-label="Access policies"]')
    assert set(of_viewer.all_inner_texts()) == {"could not be read"}
    assert "accessDenied" in page.get_by_role("table", name="Not seen").inner_text()


def test_a_filter_narrows_findings_and_rows_to_what_has_all_its_words(show):
    page = show()
    total = findings(page).count() + rows(page).count()
    box = page.get_by_label("Filter")
    shown = page.get_by_role("status").filter(has_text="entries")
    assert shown.inner_text() == f"{total} entries"
    box.fill("VIEWER")
    assert findings(page).count() == 0 and rows(page).count() == 2
    assert shown.inner_text() == f"2 of {total} entries"
    box.fill("viewer  eu-west-1")
    assert rows(page).count() == 1
    box.fill("clusteradmin")
    assert findings(page).count() == 1 and rows(page).count() == 0
    box.fill("no such thing")
    assert shown.inner_text() == f"0 of {total} entries"
    box.fill("")
    assert findings(page).count() + rows(page).count() == total


def test_a_column_head_sorts_both_ways_by_click_and_by_key_and_says_so(show):
    page = show()
    head = page.get_by_role("columnheader", name="Cluster")
    button = head.get_by_role("button")
    assert head.get_attribute("aria-sort") == "none"
    button.click()
    clusters = column(page, "Cluster")
    assert head.get_attribute("aria-sort") == "ascending" and clusters == sorted(clusters)
    assert clusters[0] != clusters[-1]
    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, "Cluster") == sorted(clusters, reverse=True)
    page.get_by_role("columnheader", name="Principal").get_by_role("button").press(" ")
    assert head.get_attribute("aria-sort") == "none"
    names = [name.split("\n")[0] for name in column(page, "Principal")]
    assert names == sorted(names)
    policies = page.get_by_role("columnheader", name="Access policies").get_by_role("button")
    for _ in range(2):
        policies.click()
        assert column(page, "Access policies")[-1].startswith("–"), "what is empty comes last both ways"


def test_commands_are_copied_whole(show, report):
    page = show(permissions=["clipboard-read", "clipboard-write"])
    node = findings(page).filter(has=page.get_by_role("heading", name="node in"))
    details = node.locator("details").last
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    details.get_by_role("button").click()
    details.get_by_text("Copied.").wait_for()
    commands = next(entry["commands"] for entry in report["entries"] if entry["principalArn"].endswith("/node"))
    assert page.evaluate("navigator.clipboard.readText()") == "\n".join(commands) + "\n"


def test_without_a_clipboard_the_commands_are_selected(show):
    page = show()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    details = findings(page).filter(has=page.get_by_role("heading", name="node in")).locator("details").last
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    details.get_by_role("button").click()
    details.get_by_text("Copy it with the keyboard").wait_for()
    selected = page.evaluate("String(getSelection())")
    assert selected.count("aws eks") >= 2 and "Copy" not in selected


LUMINANCE = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
  const [r, g, b] = channels(color).map((value) => value / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (it) => {
  for (let at = it; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if ((channels(color)[3] ?? 1) === 1) return color;
  }
  return "rgb(255, 255, 255)";
};
"""
# The text that shows with less contrast than WCAG 2.2 asks for at level AA (1.4.3), whatever its size.
FAINT = f"""() => {{ {LUMINANCE}
  const faint = [];
  for (const it of document.querySelectorAll("header *, main *")) {{
    const hasText = [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !it.checkVisibility()) continue;
    const [a, b] = [luminance(getComputedStyle(it).color), luminance(behind(it))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${{it.outerHTML.slice(0, 80)}}: ${{contrast.toFixed(2)}}`);
  }}
  return faint;
}}"""
BACKGROUND = f"() => {{ {LUMINANCE} return luminance(behind(document.body)); }}"


def test_light_and_dark_follow_the_reader_and_both_have_enough_contrast(show):
    backgrounds = {}
    for scheme in ["light", "dark"]:
        page = show(color_scheme=scheme)
        open_all(page)
        backgrounds[scheme] = page.evaluate(BACKGROUND)
        assert page.evaluate(FAINT) == [], scheme
    assert backgrounds["light"] > 0.9 and backgrounds["dark"] < 0.05


def test_on_paper_everything_is_open_and_there_are_no_controls(show):
    page = show(color_scheme="dark")
    total = findings(page).count() + rows(page).count()
    page.get_by_label("Filter").fill("viewer")
    closed = page.locator("details:not([open])")
    assert closed.count() > 0
    page.emulate_media(media="print")
    assert findings(page).count() + rows(page).count() == total, "paper does not show that it was filtered"
    for code in page.locator("details pre").all():
        assert code.bounding_box()["height"] > 10
    assert not page.get_by_label("Filter").is_visible()
    assert not page.get_by_role("button", name="Copy").count()
    assert page.evaluate(BACKGROUND) == 1, "white, also for who reads in the dark"
    assert page.evaluate(FAINT) == []
    page.emulate_media(media="screen")
    opened = page.evaluate(
        """() => {
          dispatchEvent(new Event("beforeprint"));
          const closed = document.querySelectorAll("details:not([open])").length;
          dispatchEvent(new Event("afterprint"));
          return [closed, document.querySelectorAll("details:not([open])").length];
        }"""
    )
    assert opened == [0, closed.count()], "also in a browser whose style cannot open them"


@pytest.mark.parametrize("width", [320, PHONE, 640, 992, 1000, WIDE])
def test_nothing_scrolls_sideways(show, written, width):
    data = data_of(written)
    long = "a" * 200
    data["access"][0] |= {"clusterName": "c" * 100, "username": long, "kubernetesGroups": [long]}
    data["findings"][0] |= {"clusterName": "c" * 100, "username": long, "kubernetesGroups": [long]}
    page = show(with_data(written, data), width=width)
    open_all(page)
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


def test_on_a_phone_rows_are_cards_that_name_their_parts_and_still_a_table(show):
    page = show(width=PHONE)
    card = rows(page).filter(has_text="viewer").first
    cells = [cell.bounding_box() for cell in card.get_by_role("cell").all() if cell.is_visible()]
    assert len(cells) > 4
    assert all(above["y"] + above["height"] <= below["y"] + 1 for above, below in zip(cells, cells[1:], strict=False))
    label = card.locator('[data-label="Region"]').evaluate("it => getComputedStyle(it, '::before').content")
    assert label == '"Region"'
    # As Chromium tells it to a screen reader.
    told = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    roles = [node.get("role", {}).get("value") for node in told]
    assert roles.count("table") == 1 and roles.count("row") == rows(page).count() + 1
    page.get_by_role("columnheader", name="Region").get_by_role("button").click()
    regions = column(page, "Region")
    assert regions == sorted(regions)


def test_a_keyboard_reaches_everything_and_the_focus_shows(show):
    page = show()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "() => { const it = document.activeElement, style = getComputedStyle(it);"
            "  return [it.localName, it.localName === 'body' || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2)]; }"
        )
        assert outline[1], outline
        reached.add(outline[0])
    assert {"input", "summary", "button"} <= reached
    levels = [int(it.evaluate("it => it.localName[1]")) for it in page.get_by_role("heading").all()]
    assert levels[0] == 1 and all(below - above <= 1 for above, below in zip(levels, levels[1:], strict=False))


def test_hostile_names_are_text_and_do_nothing(show):
    page = show()
    cell = rows(page).filter(has_text="hostile")
    text = cell.inner_text()
    for name in HOSTILE:
        assert name.replace("\u202e", "\\u{202e}").replace("\u2028", "\\u{2028}") in text
    page.get_by_label("Filter").fill(HOSTILE[1])
    assert rows(page).count() == 1
    page.wait_for_timeout(200)
    assert page.evaluate("typeof canary") == "undefined"
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2
    assert page.seen.problems == []


def test_the_page_asks_for_nothing_but_itself(show):
    page = show()
    page.get_by_label("Filter").fill("viewer")
    for button in page.get_by_role("button").all():
        if button.is_visible():
            button.click()
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    assert page.seen.requests == [page.seen.address]
    assert page.seen.problems == []


def test_even_what_gets_in_can_load_and_run_nothing(show, written):
    """The policy holds by itself: elements and scripts that are really there."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        outside.settimeout(0.5)
        address = "http://127.0.0.1:{}/".format(outside.getsockname()[1])
        injected = written.replace(
            "</noscript>",
            f'</noscript><img src="{address}" onerror="window.canary=1"><script>window.canary=1</script>'
            f'<script src="{address}"></script><link rel="stylesheet" href="{address}"><iframe src="{address}"></iframe>'
            f'<style>main {{ display: none }}</style><form action="{address}"></form><base href="{address}">',
        )
        page = show(injected)
        assert page.evaluate("url => fetch(url).then(() => false, () => true)", address)
        page.evaluate("document.forms[0].submit()")
        with pytest.raises(TimeoutError):
            outside.accept()
        assert page.evaluate("typeof canary") == "undefined"
        assert page.get_by_role("main").is_visible()
        assert page.evaluate("document.baseURI") == page.seen.address


def test_without_scripts_the_page_says_what_it_needs(show):
    page = show(java_script_enabled=False)
    assert "This page needs JavaScript" in page.locator("body").inner_text()


def test_a_large_account_is_filtered_and_sorted_without_a_wait(show, written):
    data = data_of(written)
    entry = data["access"][0]
    data["access"] = [entry | {"clusterName": f"cluster-{number:04}"} for number in range(5000)]
    page = show(with_data(written, data))
    begun = time.monotonic()
    page.get_by_label("Filter").fill("cluster-0042")
    assert rows(page).count() == 1
    page.get_by_label("Filter").fill("")
    page.get_by_role("columnheader", name="Cluster").get_by_role("button").click()
    assert page.get_by_role("columnheader", name="Cluster").get_attribute("aria-sort") == "ascending"
    assert time.monotonic() - begun < 20, "on a busy machine; a second on an idle one"
