//! The comments of a `.proto` file, by what they stand at.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;

/// The comments of one file.
pub(crate) struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    /// Those of `file`; none when it was compiled without them.
    pub(crate) fn of(file: &FileDescriptor) -> Self {
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let locations = info.map_or(&[][..], |info| &info.location);
        let comments = locations.iter().filter_map(|location| {
            let comment = paragraphs(location.leading_comments.as_deref()?);
            Some((location.path.clone(), comment))
        });
        Self(comments.collect())
    }

    /// The comment above what stands at `path`.
    pub(crate) fn at(&self, path: &[i32]) -> String {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

/// Lines that belong together as one line: where they are broken is a matter of the file's width.
fn paragraphs(comment: &str) -> String {
    let mut out = String::new();
    let mut fresh = true;
    for line in comment.lines().map(str::trim) {
        if line.is_empty() {
            fresh = true;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if fresh { "\n\n" } else { " " });
        }
        out.push_str(line);
        fresh = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_paragraphs_kept() {
        assert_eq!(paragraphs(" One\n two.\n\n Three.\n"), "One two.\n\nThree.");
        assert_eq!(paragraphs(""), "");
    }
}
