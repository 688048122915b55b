//! Writes tokens as text: with as little white space as the lexer allows, as people write, or with unusual white space and comments between any
//! two tokens.

use super::Rng;

enum Style {
    Tight,
    Plain,
    Wild,
}

pub fn join(rng: &mut Rng, tokens: &[String]) -> String {
    let style = match rng.weighted(&[35, 45, 20]) {
        0 => Style::Tight,
        1 => Style::Plain,
        _ => Style::Wild,
    };
    let mut text = String::new();
    if matches!(style, Style::Wild) && rng.chance(20) {
        text.push_str(gap(rng, false));
    }
    let mut bracket = false;
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 {
            let glue = !would_merge(&text, token);
            match style {
                Style::Tight if glue => {}
                Style::Plain
                    if glue
                        && (text.ends_with(['(', '[', '{'])
                            || token.starts_with([')', ']', '}', ',', '(', '{', '['])) => {}
                Style::Tight | Style::Plain => text.push(' '),
                Style::Wild if glue && rng.chance(40) => {}
                // A range is lexed without comments up to its first number (lexDurationExpr).
                Style::Wild => text.push_str(gap(rng, bracket)),
            }
        }
        match token.as_str() {
            "[" => bracket = true,
            "]" => bracket = false,
            _ => {}
        }
        text.push_str(token);
    }
    if matches!(style, Style::Wild) && rng.chance(20) {
        text.push_str(rng.pick(&[" ", "\n", "\t\r\n", "# end", " # end\n"]));
    }
    text
}

fn gap(rng: &mut Rng, plain: bool) -> &'static str {
    if !plain && rng.chance(12) {
        return rng.pick(&["# comment\n", " # it's \"{[(\n", "#\r", "\n#\n#\n", " # é\n\t"]);
    }
    rng.pick(&[" ", " ", "  ", "\n", "\t", "\r\n", " \n\t "])
}

/// Whether two tokens without a space between them would be read as other tokens.
fn would_merge(before: &str, token: &str) -> bool {
    let (Some(last), Some(first)) = (before.chars().next_back(), token.chars().next()) else {
        return false;
    };
    let wordy = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.') || !c.is_ascii();
    (wordy(last) && wordy(first)) || (matches!(last, '=' | '!' | '<' | '>') && matches!(first, '=' | '~' | '/'))
}
