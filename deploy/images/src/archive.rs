//! All images in one file: an OCI image layout as a tar, which is also an archive of Docker's.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use oci_client::{
    config::Os,
    manifest::{
        ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciImageIndex, Platform,
    },
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    Error, Image, Repository,
    image::{Blob, oci},
};

/// The annotations that name an image: containerd reads the first, podman and others the second.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// Writes an archive that `ctr images import`, `kind load image-archive`, `minikube image load`, `k3d image
/// import`, `docker load` and `podman load` read. A file that is there is replaced as a whole.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_archive<'a>(
    images: impl IntoIterator<Item = &'a Image>,
    repository: &Repository,
    path: &Path,
) -> Result<(), Error> {
    let images: Vec<_> = images.into_iter().collect();
    replace(path, |file| write(&images, repository, file)).map_err(|source| Error::Write {
        path: path.into(),
        source,
    })
}

/// Nobody sees a file that is written in part.
fn replace(
    path: &Path,
    content: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    content(&mut file)?;
    // A daemon may read it as another user.
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

fn write(images: &[&Image], repository: &Repository, out: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::new(out));
    let mut put = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content)
    };
    put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    put("index.json", &index(images, repository)?.bytes)?;
    put("manifest.json", &for_docker(images, repository)?.bytes)?;
    for image in images {
        for blob in [&image.manifest, &image.config, &image.layer] {
            put(&file_of(blob), &blob.bytes)?;
        }
    }
    archive.into_inner()?.flush()
}

fn file_of(blob: &Blob) -> String {
    format!("blobs/sha256/{}", blob.digits())
}

fn index(images: &[&Image], repository: &Repository) -> Result<Blob, serde_json::Error> {
    let entry = |image: &&Image| {
        let reference = image.reference(repository);
        let names = NAMES.map(|key| (key.to_owned(), reference.clone()));
        ImageIndexEntry {
            media_type: OCI_IMAGE_MEDIA_TYPE.into(),
            digest: image.manifest.digest.clone(),
            size: image.manifest.bytes.len() as i64,
            platform: Some(Platform {
                architecture: oci(image.architecture()),
                os: Os::Linux,
                os_version: None,
                os_features: None,
                variant: None,
                features: None,
            }),
            annotations: Some(BTreeMap::from(names)),
            artifact_type: None,
        }
    };
    Blob::json(&OciImageIndex {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.into()),
        manifests: images.iter().map(entry).collect(),
        artifact_type: None,
        annotations: None,
    })
}

/// Docker before version 25 reads this list, and podman reads more than one image only from it.
fn for_docker(images: &[&Image], repository: &Repository) -> Result<Blob, serde_json::Error> {
    let entry = |image: &&Image| {
        json!({
            "Config": file_of(&image.config),
            "RepoTags": [image.reference(repository)],
            "Layers": [file_of(&image.layer)],
        })
    };
    Blob::json(&images.iter().map(entry).collect::<Value>())
}
