//! Kinds of characters that the rules of texts speak of, by Unicode 17.
//!
//! They are ranges, and few: these checks are in every function.

/// What shows nothing and is passed over when text is drawn: Unicode's Default_Ignorable_Code_Point. Two
/// texts that differ in them look the same.
pub const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// What changes the direction of the text after it: Unicode's Bidi_Control.
pub const BIDI_CONTROL: [(char, char); 4] = [
    ('\u{61c}', '\u{61c}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2066}', '\u{2069}'),
];

/// A pattern of braille without a dot: a symbol to Unicode, and a blank to who looks at it.
pub const BLANK_BRAILLE: char = '\u{2800}';

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    // Most text is before the first range.
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&c))
}

/// Whether a character shows nothing.
pub fn is_invisible(c: char) -> bool {
    is_in(&INVISIBLE, c)
}

/// Whether a character changes the direction of text.
pub fn is_bidi_control(c: char) -> bool {
    is_in(&BIDI_CONTROL, c)
}

/// Whether a text with this character is not one line that any screen and any log can show: a control
/// character, or the end of a line or paragraph.
pub fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether there is something to see.
pub fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !is_invisible(c) && c != BLANK_BRAILLE
}
