//! Manifests as text, and the few fields of them that a deployment decides.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::{Problem, Result};

/// The repository in the image names of generated manifests.
const REPOSITORY: &str = "dev.local/zerocart/";

/// The documents of a YAML text.
///
/// # Errors
///
/// When it is no YAML. `name` is the text's name in the message.
pub fn parse(name: &str, text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| Problem::new(format!("{name} is no YAML")).because(error))?;
    Ok(documents.into_iter().filter(Value::is_object).collect())
}

/// The documents of a file.
///
/// # Errors
///
/// When it cannot be read, or is no YAML.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    parse(&path.display().to_string(), &text(path)?)
}

/// The text of a file.
///
/// # Errors
///
/// When it cannot be read.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| Problem::new(format!("{} cannot be read", path.display())).because(error))
}

/// The object of this kind and name among them.
///
/// # Errors
///
/// When there is none.
pub fn find<'a>(objects: &'a mut [Value], kind: &str, name: &str) -> Result<&'a mut Value> {
    let mut found = objects.iter_mut();
    let found = found.find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
    found.ok_or_else(|| Problem::new(format!("the manifests have no {kind} {name}")))
}

/// Puts the images that were built in place of those that the manifests name, by the name of the program.
///
/// # Errors
///
/// When a manifest names a program that was not built.
pub fn use_images(objects: &mut [Value], images: &BTreeMap<String, String>) -> Result<()> {
    for object in objects {
        use_images_in(object, images)?;
    }
    Ok(())
}

fn use_images_in(value: &mut Value, images: &BTreeMap<String, String>) -> Result<()> {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), &value) {
                    ("image", Value::String(image)) => {
                        if let Some(name) = image.strip_prefix(REPOSITORY) {
                            let name = name.split([':', '@']).next().unwrap_or(name);
                            let built = images.get(name).ok_or_else(|| {
                                Problem::new(format!("there is no image of {name}"))
                            })?;
                            *value = built.clone().into();
                        }
                    }
                    _ => use_images_in(value, images)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => {
            let mut values = values.iter_mut();
            values.try_for_each(|value| use_images_in(value, images))
        }
        _ => Ok(()),
    }
}

/// A short hash of a text: a part of a name that changes with it.
pub fn hash(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.take(6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_those_that_were_built() {
        let text = "kind: A\nspec: {containers: [{image: dev.local/zerocart/get-cart:0.1.0}]}\n---\n\
                    kind: B\nspec: {image: docker.io/library/postgres:17}\n---\n";
        let images = BTreeMap::from([("get-cart".to_owned(), "r/get-cart:1f".to_owned())]);
        let mut objects = parse("x", text).unwrap();
        use_images(&mut objects, &images).unwrap();
        assert_eq!(
            objects[0]["spec"]["containers"][0]["image"],
            "r/get-cart:1f"
        );
        assert_eq!(objects[1]["spec"]["image"], "docker.io/library/postgres:17");
        let mut objects = parse("x", text).unwrap();
        let problem = use_images(&mut objects, &BTreeMap::new()).unwrap_err();
        assert_eq!(problem.what(), "there is no image of get-cart");
    }
}
