//! The structure of the code, held by its `use` lines: no circle among the top-level modules, and nothing pure imports from
//! anything with I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The files without a clock, an environment, randomness or I/O: top-level modules, and the decision inside the repair.
const PURE: [&str; 28] = [
    "blind_spot",
    "case",
    "commands",
    "config",
    "creators",
    "deployed",
    "event",
    "fault",
    "guardrail",
    "impact",
    "limits",
    "metrics",
    "model",
    "outcome",
    "pattern",
    "report",
    "row",
    "sighting",
    "trust",
    "verdict",
    "explain::asked",
    "explain::causes",
    "explain::facts",
    "explain::uses",
    "repair::compare",
    "repair::decide",
    "repair::first",
    "repair::step",
];

/// A file's modules: its top-level one, and the one inside it.
fn modules_of(path: &Path) -> Vec<String> {
    let parts = path.with_extension("");
    parts.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

/// Every file below `src` but the tests, with what it imports from the crate: `module` or `module::inner`.
fn imports() -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    let mut imports = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !["tests", "explore"].contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !["tests", "main"].contains(&name.as_str()) {
                let modules = modules_of(path.strip_prefix(&source).unwrap());
                let text = std::fs::read_to_string(&path).unwrap();
                imports.insert(modules.clone(), imports_in(&text, &modules));
            }
        }
    }
    assert!(imports.len() > 40, "the sources are read");
    imports
}

fn imports_in(text: &str, modules: &[String]) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found: BTreeSet<String> = path_heads(&code, "crate::").into_iter().collect();
    // `super::x` inside a folder is a sibling; in a file directly below a top-level module it is that module's child.
    if modules.len() == 2 {
        found.extend(path_heads(&code, "super::").into_iter().map(|name| format!("{}::{name}", modules[0])));
    }
    found
}

/// What stands directly behind a prefix: one name, or the names in its braces.
fn path_heads(code: &str, prefix: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.match_indices(prefix)
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            if let Some(list) = rest.strip_prefix('{') {
                return list.split('}').next().unwrap_or_default().split(',').map(|it| name(it.trim())).collect();
            }
            let head = name(rest);
            let inner = rest[head.len()..].strip_prefix("::").map(name).unwrap_or_default();
            vec![if inner.starts_with(char::is_lowercase) { format!("{head}::{inner}") } else { head }]
        })
        .collect()
}

#[test]
fn there_is_no_circle_among_the_top_level_modules() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (modules, imported) in imports() {
        let tops = imported.iter().map(|name| name.split("::").next().unwrap_or_default().to_owned());
        arrows.entry(modules[0].clone()).or_default().extend(tops.filter(|name| *name != modules[0]));
    }
    // Whatever imports nothing that is left is taken away; what remains is a circle.
    loop {
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        let before = arrows.len();
        arrows.retain(|_, imported| imported.iter().any(|name| left.contains(name)));
        if arrows.len() == before {
            break;
        }
    }
    assert!(arrows.is_empty(), "modules in a circle: {arrows:#?}");
}

#[test]
fn nothing_pure_imports_from_anything_with_io() {
    let is_pure = |modules: &[String]| {
        PURE.contains(&modules[0].as_str())
            || modules.len() > 1 && PURE.contains(&format!("{}::{}", modules[0], modules[1]).as_str())
    };
    let tops: BTreeSet<String> = imports().into_keys().map(|modules| modules[0].clone()).collect();
    let mut seen = 0;
    for (modules, imported) in imports().into_iter().filter(|(modules, _)| is_pure(modules)) {
        seen += 1;
        for name in imported {
            let parts: Vec<String> = name.split("::").map(str::to_owned).collect();
            let is_inside = parts[0] == modules[0] && PURE.contains(&modules[0].as_str());
            let is_a_module = tops.contains(&parts[0]) && !parts.last().unwrap().starts_with(char::is_uppercase);
            assert!(is_inside || !is_a_module || is_pure(&parts), "{} imports {name}", modules.join("::"));
        }
    }
    assert!(seen >= PURE.len(), "{seen} pure files");
}

/// A test's name in the crate's documents: at least four words in backticks.
fn tests_named_in(text: &str) -> impl Iterator<Item = &str> {
    let is_name =
        |word: &&str| word.matches('_').count() >= 3 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    text.split('`').filter(is_name)
}

#[test]
fn every_test_that_the_crates_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut folders = vec![root.join("src"), root.join("tests/scenarios")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let documents = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let missing: Vec<&str> =
        tests_named_in(&documents).filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(tests_named_in(&documents).count() >= 4 && missing.is_empty(), "{missing:?}");
}
