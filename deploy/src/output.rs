//! The generator's output: whole files, and regions of files that are otherwise written by hand.

/// A generated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The path below the project's folder, with `/`.
    pub path: String,
    /// The region's name; none for a whole file.
    pub region: Option<String>,
    /// The text, with a line feed at its end.
    pub text: String,
}

/// A file that has no such region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} has no lines `generated: {region}` and `end of generated: {region}`")]
pub struct Splice {
    /// The file.
    pub path: String,
    /// The region that it lacks.
    pub region: String,
}

impl Output {
    /// A whole file.
    pub fn file(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            region: None,
            text: text.into(),
        }
    }

    /// A region of a file: what is between the lines that contain `generated: NAME` and
    /// `end of generated: NAME`.
    pub fn region(
        path: impl Into<String>,
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            region: Some(name.into()),
            text: text.into(),
        }
    }

    /// The file as it must be, where it is `current` now.
    ///
    /// # Errors
    ///
    /// [`Splice`], when the file does not exist or lacks the region.
    pub fn apply(&self, current: Option<&str>) -> Result<String, Splice> {
        let Some(region) = &self.region else {
            return Ok(self.text.clone());
        };
        let missing = || Splice {
            path: self.path.clone(),
            region: region.clone(),
        };
        let current = current.ok_or_else(missing)?;
        let (begin, end) = (
            format!("generated: {region}"),
            format!("end of generated: {region}"),
        );
        let (mut made, mut inside, mut found) = (String::new(), false, false);
        for line in current.split_inclusive('\n') {
            let is_end = line.contains(&end);
            if is_end && inside {
                made.push_str(&self.text);
                inside = false;
                found = true;
            }
            if !inside {
                made.push_str(line);
            }
            if !is_end && line.contains(&begin) && !found {
                inside = true;
            }
        }
        if found && !inside {
            Ok(made)
        } else {
            Err(missing())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_replaced_and_the_rest_stays() {
        let output = Output::region("a.md", "names", "x\ny\n");
        let file = |inside: &str| {
            format!(
                "before\n# generated: names, by hand never\n{inside}# end of generated: names\nafter\n"
            )
        };
        assert_eq!(output.apply(Some(&file("old\n"))).unwrap(), file("x\ny\n"));
        assert_eq!(output.apply(Some(&file(""))).unwrap(), file("x\ny\n"));
        for lacking in [
            "",
            "# generated: names\n",
            "# end of generated: names\n",
            "# generated: other\n# end of generated: other\n",
        ] {
            assert!(output.apply(Some(lacking)).is_err(), "{lacking:?}");
        }
        assert!(output.apply(None).is_err());
        assert_eq!(Output::file("a", "b\n").apply(None).unwrap(), "b\n");
    }
}
