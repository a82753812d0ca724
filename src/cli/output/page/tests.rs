use serde_json::{Value, json};

use super::{Page, SCRIPT, STYLE, block, hash};

/// What an attacker may name a group, and what a careless one does.
const NAMES: [&str; 8] = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<![CDATA[",
    "&lt;/script&gt;",
    "line\u{2028}and paragraph\u{2029}",
    "\"'`\\\"",
    "{script}{data}{title}",
    "{{SessionName}}",
];

fn page_of(names: &[&str]) -> String {
    let page = Page {
        title: "EKS access entries",
        account: "111122223333".to_owned(),
        made_at: "2026-01-02T03:04:05Z".to_owned(),
        scope: Vec::new(),
        counts: vec![("stale", 1)],
        findings: Vec::new(),
        access: vec![json!({"kubernetesGroups": names})],
        blind_spots: Some(Vec::new()),
    };
    page.html()
}

/// What stands between two marks, where the first of them is for the first time.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(inside, _)| inside).unwrap_or_default()
}

/// The data block's text, as a browser finds its end.
fn data_in(page: &str) -> &str {
    between(page, r#"<script type="application/json" id="data">"#, "</script")
}

#[test]
fn no_name_ends_the_block_of_data_or_begins_anything_in_it() {
    let page = page_of(&NAMES);
    let data = data_in(&page);
    assert!(!data.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{data}");
    assert_eq!(page.matches("<script").count(), 2, "the data and the page's own");
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<!--"));
}

#[test]
fn every_name_arrives_as_it_is_or_with_what_hides_written_out() {
    let page = page_of(&NAMES);
    let data: Value = serde_json::from_str(data_in(&page)).expect("the data are JSON");
    let groups: Vec<&str> =
        data["access"][0]["kubernetesGroups"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for (name, group) in NAMES.iter().zip(groups) {
        assert_eq!(group, name.replace('\u{2028}', "\\u{2028}").replace('\u{2029}', "\\u{2029}"));
    }
}

#[test]
fn what_reorders_or_hides_text_is_written_out_wherever_it_stands() {
    let page = page_of(&["admin\u{202e}nimda", "zero\u{200b}width", "bell\u{7}"]);
    for written in [r"admin\\u{202e}nimda", r"zero\\u{200b}width", r"bell\\u{7}"] {
        assert!(page.contains(written), "{written}");
    }
    assert!(!page.contains(['\u{202e}', '\u{200b}', '\u{7}']));
}

#[test]
fn a_separator_is_escaped_even_if_nobody_wrote_it_out_before() {
    assert_eq!(block(&json!("<\u{2028}\u{2029}&>")), r#""\u003c\u2028\u2029\u0026\u003e""#);
}

#[test]
fn the_policy_names_the_hashes_of_the_style_and_the_script_as_they_stand_in_the_page() {
    let page = page_of(&NAMES);
    let policy = between(&page, r#"http-equiv="Content-Security-Policy" content=""#, "\"");
    let (style, script) = (between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>"));
    assert_eq!((style, script), (STYLE, SCRIPT));
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script)
    );
    assert_eq!(policy, expected);
    // The SHA-256 of the empty text.
    assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn the_page_has_no_way_to_the_outside() {
    let page = page_of(&NAMES).to_lowercase();
    let own = page.replace(&data_in(&page).to_owned(), "");
    for way in [
        "http:",
        "https:",
        "src=",
        "href=",
        "url(",
        "@import",
        "fetch(",
        "xmlhttprequest",
        "innerhtml",
        "style=",
        "onclick=",
    ] {
        assert!(!own.contains(way), "{way}");
    }
}
