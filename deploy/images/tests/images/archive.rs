//! What is in an image and in an archive.

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use zerocart_images::{Architecture, Error, Repository, build, limit_bytes, write_archive};

use crate::{file, program, two};

/// The files of a tar.
fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

fn json(content: &[u8]) -> Value {
    serde_json::from_slice(content).unwrap()
}

/// The file at a digest.
fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let content = &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(descriptor["size"], content.len());
    let hash = ring::digest::digest(&ring::digest::SHA256, content);
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(digest, format!("sha256:{hash}"));
    content
}

#[test]
fn an_image_is_one_file_and_how_to_run_it() {
    let (folder, images) = (TempDir::new().unwrap(), two());
    let archive = file(&folder, "new/images.tar");
    write_archive(&images, &Repository::local(), &archive).unwrap();
    let files = files(&fs::read(&archive).unwrap());
    assert_eq!(
        json(&files["oci-layout"]),
        json!({"imageLayoutVersion": "1.0.0"})
    );

    let index = json(&files["index.json"]);
    let docker = json(&files["manifest.json"]);
    for (at, image) in images.iter().enumerate() {
        let reference = image.reference(&Repository::local());
        let entry = &index["manifests"][at];
        assert_eq!(entry["digest"], image.digest());
        assert_eq!(
            entry["platform"],
            json!({"architecture": "amd64", "os": "linux"})
        );
        assert_eq!(
            entry["annotations"],
            json!({
                "io.containerd.image.name": reference,
                "org.opencontainers.image.ref.name": reference,
            })
        );
        let manifest = json(blob(&files, entry));
        let (config, layer) = (&manifest["config"], &manifest["layers"][0]);
        let of = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            format!("blobs/{}", digest.replace(':', "/"))
        };
        assert_eq!(
            docker[at],
            json!({"Config": of(config), "RepoTags": [reference], "Layers": [of(layer)]})
        );
        // The tag is a hash of the configuration, and that names the layer.
        let digest = config["digest"].as_str().unwrap();
        assert_eq!(digest["sha256:".len()..][..12], *image.tag());
        let name = image.name();
        assert_eq!(
            json(blob(&files, config)),
            json!({
                "architecture": "amd64",
                "os": "linux",
                "config": {
                    "User": "65532:65532",
                    "Entrypoint": [format!("/{name}")],
                    "WorkingDir": "/",
                    "Labels": {
                        "org.opencontainers.image.title": name,
                        "org.opencontainers.image.version": "0.1.0",
                        "org.opencontainers.image.licenses": "MIT",
                    },
                },
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            })
        );
        let layer = blob(&files, layer);
        assert_eq!(image.size_bytes(), layer.len() as u64);
        let mut layer = tar::Archive::new(layer);
        let mut entries = layer.entries().unwrap();
        let entry = entries.next().unwrap().unwrap();
        let header = entry.header();
        assert_eq!(entry.path().unwrap(), Path::new(name));
        assert_eq!(header.mode().unwrap(), 0o755);
        assert_eq!(header.mtime().unwrap(), 0);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert!(entries.next().is_none());
    }
}

#[test]
fn the_same_programs_are_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let archive = |name| {
        let archive = file(&folder, name);
        write_archive(&two(), &Repository::local(), &archive).unwrap();
        fs::read(archive).unwrap()
    };
    assert_eq!(archive("one.tar"), archive("two.tar"));
    // Also those of another machine and of another day: no map without an order, and no time.
    assert_eq!(two()[0].tag(), "6226ca7ff602");
    let digest = two()[0].digest().to_owned();
    assert_eq!(
        digest,
        "sha256:25c2cef11a488611878b85e091ae4e6bf1475e07e4217c67906a38224ede41b5"
    );
}

#[test]
fn all_that_an_image_is_changes_its_tag() {
    let folder = TempDir::new().unwrap();
    let tag = |name, content: &[u8], version| {
        let programs = [program(&folder, name, content)];
        let images = build(&programs, Architecture::Amd64, version).unwrap();
        images[0].tag().to_owned()
    };
    let one = tag("get-product", b"one", "0.1.0");
    assert_eq!(tag("get-product", b"one", "0.1.0"), one);
    for other in [
        tag("get-product", b"two", "0.1.0"),
        tag("get-user", b"one", "0.1.0"),
        tag("get-product", b"one", "0.1.1"),
    ] {
        assert_ne!(other, one);
    }
}

#[test]
fn what_is_no_program_for_the_nodes_is_refused() {
    let folder = TempDir::new().unwrap();
    let of = |program| build(&[program], Architecture::Amd64, "0.1.0").unwrap_err();
    let mut missing = program(&folder, "get-product", b"");
    missing.path = file(&folder, "nothing");
    let error = of(missing);
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(error.cure().unwrap().contains("cargo zerocart images"));

    let script = program(&folder, "get-user", b"");
    fs::write(&script.path, "#!/bin/sh\n").unwrap();
    assert!(matches!(of(script), Error::NotElf { .. }));

    let usual = program(&folder, "get-cart", b"");
    let error = build(&[usual], Architecture::Arm64, "0.1.0").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is built for amd64, and the images are for arm64")
    );

    for (name, limit) in [("get-order", 7_500_000), ("zerocart", 33_000_000)] {
        assert_eq!(limit_bytes(name), limit);
        let most = usize::try_from(limit).unwrap() - 64;
        let fits = program(&folder, name, &vec![0; most]);
        build(&[fits], Architecture::Amd64, "0.1.0").unwrap();
        let error = of(program(&folder, name, &vec![0; most + 1]));
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
