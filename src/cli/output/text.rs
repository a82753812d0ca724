//! Foreign text on a terminal.

/// The text with everything that does not show itself written out as `\u{…}`: control characters, which could move the
/// cursor or set colours, and those that change the direction or the place of what is read.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same, line by line: what was a line stays one.
pub(crate) fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// Control characters, and those of Unicode's category "format" that reorder, join or hide what stands beside them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_does_not_show_itself_is_written_out() {
        assert_eq!(shown("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(shown("admin\u{202E}nimda\nx"), "admin\\u{202e}nimda\\u{a}x");
        assert_eq!(shown("Größe – 世界"), "Größe – 世界");
    }
}
