"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  // Whatever comes from AWS is a string here, and strings become text and nothing else.
  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== undefined && child !== ""));
    return made;
  }

  const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
  const lastPart = (arn) => arn.slice(Math.max(arn.lastIndexOf("/"), arn.lastIndexOf(":")) + 1) || arn;

  // Long names may be broken where a reader would break them.
  const breakable = (text) => text.split(/(?<=[/:@])|(?=\{\{)/).flatMap((part) => [element("wbr", {}), part]).slice(1);

  function when(text, toTheMinute) {
    const part = (from, to) => element("span", { class: "whole" }, text.slice(from, to));
    return element("time", { datetime: text }, part(0, 10), " ", part(11, toTheMinute ? 16 : 19));
  }

  // How long before the page was made.
  function age(text) {
    const minutes = Math.floor((Date.parse(data.madeAt) - Date.parse(text)) / 60000);
    if (!(minutes >= 0)) return "";
    if (minutes === 0) return "less than a minute";
    if (minutes < 120) return count(minutes, "minute", "minutes");
    return minutes < 2880 ? count(Math.floor(minutes / 60), "hour", "hours") : count(Math.floor(minutes / 1440), "day", "days");
  }

  function policyText(policy) {
    const scope = policy.accessScope;
    const reach = scope.type === "cluster" ? "whole cluster" : `${scope.type} ${(scope.namespaces || []).join(", ")}`;
    return [lastPart(policy.policyArn), reach];
  }

  function policyList(policies) {
    const item = (policy) => {
      const [name, reach] = policyText(policy);
      return element("li", {}, name, element("span", { class: "quiet" }, `, ${reach}`));
    };
    return element("ul", {}, policies.map(item));
  }

  const list = (texts) => element("ul", {}, texts.map((text) => element("li", {}, ...breakable(text))));

  // The words that the filter looks for in an entry.
  function wordsOf(entry) {
    const impact = (entry.impact || []).map((it) => [it.kind, it.name, it.status]);
    const policies = (entry.accessPolicies || []).map(policyText);
    const own = [
      entry.principalArn, entry.clusterName, entry.region, entry.type, entry.username, entry.verdict, VERDICTS[entry.verdict],
      entry.outcome, entry.reason, entry.roleId, entry.note, entry.known, entry.kubernetesGroups, policies, impact,
    ];
    return own.flat(3).filter(Boolean).join("\n").toLowerCase();
  }

  // Findings

  const VERDICTS = { stale: "Stale", missing: "Missing", orphaned: "Orphaned", undecided: "Unclear" };
  const WOULD = {
    wouldRepair: "repair it", held: "wait for a person", reported: "report it and leave it", wouldRemove: "remove it",
    none: "do nothing",
  };
  const KINDS = { nodegroup: "Node group", fargateProfile: "Fargate profile", autoMode: "Auto Mode", capability: "Capability" };
  const NEXT = {
    joinsByItself: "It recovers by itself after the repair.",
    recreate: "It has to be made again after the repair.",
  };

  function impactText(it) {
    const state = it.status ? ` (${it.status})` : "";
    const left = it.minutesLeft === undefined ? "" : ` EKS gives up in about ${count(it.minutesLeft, "minute", "minutes")}.`;
    const issues = (it.healthIssues || []).length ? ` Health issues: ${it.healthIssues.join(", ")}.` : "";
    const name = [KINDS[it.kind] || it.kind, it.name].filter(Boolean).join(" ");
    return `${name}${state}.${left}${issues} ${NEXT[it.next] || ""}`.trim();
  }

  function since(entry) {
    if (entry.verdict === "stale" && entry.roleCreatedAt) {
      const before = age(entry.roleCreatedAt);
      return [when(entry.roleCreatedAt), " UTC, when the present role was created", before && ` (${before} before this page)`];
    }
    return undefined;
  }

  function grants(entry) {
    const parts = [];
    if (entry.type) parts.push(element("li", {}, `Type ${entry.type}`));
    if (entry.username) parts.push(element("li", {}, "User name ", element("span", { class: "code" }, ...breakable(entry.username))));
    for (const group of entry.kubernetesGroups || []) {
      parts.push(element("li", {}, "Group ", element("span", { class: "code" }, group)));
    }
    for (const policy of entry.accessPolicies || []) parts.push(element("li", {}, policyText(policy).join(", ")));
    if (!entry.accessPolicies) parts.push(element("li", {}, "Its access policies could not be read"));
    return element("ul", {}, parts);
  }

  function role(entry) {
    if (!entry.roleId) return undefined;
    const made = entry.roleCreatedAt && !since(entry) ? [", created ", when(entry.roleCreatedAt), " UTC"] : undefined;
    const by = entry.roleCreatedBy && `, created by ${entry.roleCreatedBy}`;
    return [element("span", { class: "code" }, entry.roleId), made, by].flat();
  }

  function would(entry) {
    const reason = entry.reason ? ` (${entry.reason})` : "";
    const what = element("strong", {}, `${WOULD[entry.outcome] || entry.outcome}${reason}.`);
    return [what, entry.detail && ` ${entry.detail}`];
  }

  function facts(rows) {
    const filled = rows.filter(([, what]) => what !== undefined);
    return element("dl", { class: "facts" }, filled.map(([name, what]) => [
      element("dt", {}, name), element("dd", {}, ...[what].flat()),
    ]).flat());
  }

  function copying(lines, block) {
    const said = element("span", { class: "quiet small", role: "status" });
    const button = element("button", { type: "button" }, lines.length === 1 ? "Copy" : `Copy all ${lines.length}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(`${lines.join("\n")}\n`);
        said.textContent = "Copied.";
      } catch {
        getSelection().selectAllChildren(block);
        said.textContent = "Selected. Copy it with the keyboard.";
      }
    });
    return element("div", { class: "copying" }, button, said);
  }

  function folded(summary, lines, { open = false, canCopy = true } = {}) {
    const codes = lines.map((line) => element("code", {}, line));
    const block = element("pre", {}, canCopy ? codes.flatMap((code, at) => (at ? ["\n", code] : [code])) : element("code", {}, lines.join("\n")));
    return element("details", { open }, element("summary", {}, summary),
      element("div", { class: "shell" }, canCopy ? copying(lines, block) : undefined, block));
  }

  function finding(entry, number, isOneOfFew) {
    const isHeld = entry.outcome === "held";
    const impact = (entry.impact || []).map(impactText);
    const title = element("h3", { id: `finding-${number}` },
      element("span", { class: "verdict" }, VERDICTS[entry.verdict] || entry.verdict), lastPart(entry.principalArn),
      element("span", { class: "place" }, ` in ${entry.clusterName}, `, element("span", { class: "whole" }, entry.region)));
    const folds = [];
    if (entry.trustPolicy) folds.push(folded("Who may assume the role", entry.trustPolicy, { canCopy: false }));
    if (entry.whoCreated) folds.push(folded("The command that shows who created the role", [entry.whoCreated]));
    if ((entry.commands || []).length) {
      const summary = isHeld ? "The commands that repair it, once you know that the role is the right one"
        : entry.verdict === "orphaned" ? "The command that deletes it, if the role is not to come back" : "The commands that repair it";
      folds.push(folded(summary, entry.commands, { open: isOneOfFew && !isHeld }));
    }
    return element("article", { class: `finding ${VERDICTS[entry.verdict] ? entry.verdict : ""}`, "aria-labelledby": `finding-${number}` },
      title,
      element("p", { class: "code quiet any" }, ...breakable(entry.principalArn)),
      element("p", { class: "meaning" }, entry.meaning),
      facts([
        ["Since", since(entry)],
        ["Stops", impact.length ? list(impact) : undefined],
        ["The function would", would(entry)],
        ["Present role", role(entry)],
        ["Entry created", entry.createdAt && [when(entry.createdAt), " UTC"]],
        ["Entry grants", grants(entry)],
      ]),
      folds);
  }

  // Lists

  const none = () => [element("span", { class: "quiet", "aria-hidden": "true" }, "–"), element("span", { class: "unseen" }, "none")];
  const words = (texts) => ({ sort: texts.join(" "), show: texts.length ? list(texts) : none(), isNothing: !texts.length });
  const word = (text = "") => ({ sort: text, show: text ? breakable(text) : none(), isNothing: !text, isShort: text.length <= 24 });
  const moment = (text) => ({ sort: text ? Date.parse(text) : "", show: text ? when(text, true) : none(), isNothing: !text });

  function policies(entry) {
    if (!entry.accessPolicies) return { sort: "", show: element("span", { class: "quiet" }, "could not be read") };
    if (!entry.accessPolicies.length) return { sort: "", show: none(), isNothing: true };
    return { sort: entry.accessPolicies.map((it) => policyText(it).join(" ")).join(" "), show: policyList(entry.accessPolicies) };
  }

  function principal(entry) {
    const [, , , , account, resource = ""] = entry.principalArn.split(":");
    const name = lastPart(entry.principalArn);
    const parts = [element("div", { class: name.length <= 24 ? "name whole" : "name" }, name)];
    // The name says it all of a role of this account without a path.
    if (account !== data.account || !/^role\/[^/]+$/.test(resource)) {
      parts.push(element("div", { class: "quiet" }, ...breakable(entry.principalArn)));
    }
    if (entry.note) parts.push(element("div", {}, entry.note));
    return { sort: name, show: parts };
  }

  const has = (member) => data.access.some((entry) => entry[member] !== undefined);
  const ACCESS = [
    { label: "Principal", class: "lead", of: principal },
    { label: "Cluster", of: (entry) => word(entry.clusterName) },
    { label: "Region", of: (entry) => word(entry.region) },
    { label: "Type", of: (entry) => word(entry.type) },
    { label: "User name", of: (entry) => word(entry.username) },
    { label: "Groups", of: (entry) => words(entry.kubernetesGroups || []) },
    { label: "Access policies", of: policies },
    has("createdAt") && { label: "Since (UTC)", of: (entry) => moment(entry.createdAt) },
    has("known") && { label: "State", of: (entry) => word(entry.known) },
    has("verifiedAt") && { label: "Last verified (UTC)", of: (entry) => moment(entry.verifiedAt) },
  ].filter(Boolean);
  const BLIND = [
    { label: "Region", of: (spot) => word(spot.region) },
    { label: "Cluster", of: (spot) => word(spot.clusterName || "the whole Region") },
    { label: "Why", of: (spot) => word(spot.reason) },
    { label: "What AWS said", of: (spot) => word(spot.detail) },
  ];

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // What is empty comes last in both directions.
  function compare(a, b, direction) {
    if (a === "" || b === "") return (a === "") - (b === "");
    return direction * (typeof a === "number" ? a - b : collator.compare(a, b));
  }

  // Roles are said for browsers that take them from rows that are laid out as cards.
  function table(columns, items, heading, canSort) {
    const body = element("tbody", { role: "rowgroup" });
    const rows = items.map((item) => {
      const cells = columns.map((column) => column.of(item));
      const shown = cells.map((cell, at) => {
        const classes = [columns[at].class, cell.isNothing && "nothing", cell.isShort && "whole"].filter(Boolean).join(" ");
        return element("td", { role: "cell", "data-label": columns[at].label, class: classes || undefined }, element("div", {}, ...[cell.show].flat()));
      });
      return { item, sort: cells.map((cell) => cell.sort), line: element("tr", { role: "row" }, shown) };
    });
    body.append(...rows.map((row) => row.line));
    const heads = columns.map((column, at) => {
      if (!canSort) return element("th", { role: "columnheader", scope: "col" }, column.label);
      const button = element("button", { type: "button" }, column.label);
      const head = element("th", { role: "columnheader", scope: "col", "aria-sort": "none" }, button);
      button.addEventListener("click", () => {
        const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
        rows.sort((a, b) => compare(a.sort[at], b.sort[at], direction));
        body.append(...rows.map((row) => row.line));
      });
      return head;
    });
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, heads));
    return { rows, made: element("table", { role: "table", class: canSort ? undefined : "plain", "aria-labelledby": heading }, head, body) };
  }

  function section(id, heading, ...parts) {
    return element("section", { "aria-labelledby": id }, element("h2", { id, tabindex: "-1" }, heading), ...parts);
  }

  // The page

  const KINDS_OF_COUNT = { stale: "stale", orphaned: "orphaned", unclear: "unclear", "not seen": "unseen-part" };

  function head() {
    const counts = data.counts.map(({ label, number }) =>
      element("div", { class: number ? KINDS_OF_COUNT[label] : undefined }, element("dt", {}, label), element("dd", {}, number.toLocaleString("en"))));
    return element("header", { class: "head" },
      element("h1", {}, data.title),
      element("p", {}, `Account ${data.account}, as AWS showed it at `, when(data.madeAt), " UTC"),
      data.scope.map((sentence) => element("p", { class: "quiet small" }, sentence)),
      element("dl", { class: "counts" }, counts));
  }

  const isBlind = (data.blindSpots || []).length > 0;
  const nothing = isBlind ? "In what could be seen, nothing is stale, orphaned or unclear." : "Nothing is stale, orphaned or unclear.";
  const findings = data.findings.map((entry, number) => ({ item: entry, line: finding(entry, number, data.findings.length <= 3) }));
  const access = table(ACCESS, data.access, "access", true);
  const filtered = [...findings, ...access.rows].map(({ item, line }) => ({ line, words: wordsOf(item) }));

  const input = element("input", {
    type: "search", id: "filter", autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: "role, cluster, Region, group, policy",
  });
  const shown = element("output", { class: "quiet small", for: "filter" });
  function filter() {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const { line, words } of filtered) {
      const isWanted = wanted.every((text) => words.includes(text));
      line.classList.toggle("filtered", !isWanted);
      left += isWanted;
    }
    shown.textContent = wanted.length ? `${left.toLocaleString("en")} of ${count(filtered.length, "entry", "entries")}` : count(filtered.length, "entry", "entries");
  }
  input.addEventListener("input", filter);
  filter();

  document.title = `${data.title}, account ${data.account}`;
  const page = document.getElementById("page");
  page.before(head());
  page.append(
    element("div", { class: "filter", role: "search" }, element("label", { for: "filter" }, "Filter"), input, shown),
    section("findings", "Findings", findings.length ? findings.map(({ line }) => line) : element("p", {}, nothing)),
    section("access", "Who reaches which cluster", data.access.length ? access.made : element("p", {}, "No entry is bound to its principal.")));
  if (data.blindSpots) {
    page.append(section("blind-spots", "Not seen",
      isBlind ? table(BLIND, data.blindSpots, "blind-spots", false).made : element("p", {}, "Everything that was asked for was seen.")));
  }
  page.append(element("p", { class: "quiet small foot" }, `Made by access-entry-guard ${data.version}. Nothing was changed in the account.`));

  // On paper everything is open, also in browsers whose style cannot say so.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const it of closed) it.open = true;
  });
  addEventListener("afterprint", () => {
    for (const it of closed) it.open = false;
  });
})();
