//! One image: a layer with one file, its configuration and its manifest.

use std::{collections::HashMap, fs, io, path::PathBuf};

use bytes::Bytes;
use oci_client::{
    config::{Architecture as OciArchitecture, Config, ConfigFile, Os, Rootfs},
    manifest::{
        IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
        OciImageManifest,
    },
};
use ring::digest;
use serde::Serialize;

use crate::{Architecture, Error, Repository, elf, limit_bytes};

/// The user and group of every process: nobody on the node has these ids.
const USER: &str = "65532:65532";

/// Where the source is, for those who find an image.
const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");

/// Hexadecimal digits of a tag.
const TAG_LENGTH: usize = 12;

/// A program that becomes an image.
#[derive(Clone, Debug)]
pub struct Program {
    /// The name of the program and of its image.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

/// An image, as bytes.
#[derive(Clone)]
pub struct Image {
    name: String,
    architecture: Architecture,
    pub(crate) layer: Blob,
    pub(crate) config: Blob,
    pub(crate) manifest: Blob,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("name", &self.name)
            .field("architecture", &self.architecture)
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

impl Image {
    /// The name of its program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The processor that it is for.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The beginning of its configuration's digest, which is a hash of all that the image is. `crictl
    /// images` and `docker images` show it as the image's id.
    pub fn tag(&self) -> &str {
        let digits = self.config.digits();
        digits.get(..TAG_LENGTH).unwrap_or(digits)
    }

    /// The digest of its manifest in an archive. In a registry the layer is compressed, so that its
    /// manifest is another.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// The size of its layer in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.layer.bytes.len() as u64
    }

    /// Its whole name: `dev.local/zerocart/get-product:3f2a…`.
    pub fn reference(&self, repository: &Repository) -> String {
        repository.reference(&self.name, self.tag())
    }
}

/// Content with its address.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) bytes: Bytes,
}

impl Blob {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let hash = digest::digest(&digest::SHA256, &bytes);
        let digits: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        Self {
            digest: format!("sha256:{digits}"),
            bytes: bytes.into(),
        }
    }

    /// JSON whose bytes depend on the content alone: the maps of a value are sorted.
    pub(crate) fn json(content: &impl Serialize) -> Result<Self, serde_json::Error> {
        let sorted = serde_json::to_value(content)?;
        Ok(Self::new(serde_json::to_vec(&sorted)?))
    }

    /// The digest without the name of the hash.
    pub(crate) fn digits(&self) -> &str {
        self.digest.split_once(':').map_or("", |(_, digits)| digits)
    }

    pub(crate) fn descriptor(&self, media_type: &str) -> OciDescriptor {
        OciDescriptor {
            media_type: media_type.into(),
            digest: self.digest.clone(),
            size: self.bytes.len() as i64,
            ..OciDescriptor::default()
        }
    }
}

/// Makes an image of each program.
///
/// # Errors
///
/// When a program is missing, is no static program for this processor, or is larger than its limit.
pub fn build(
    programs: &[Program],
    architecture: Architecture,
    version: &str,
) -> Result<Vec<Image>, Error> {
    let images = programs.iter();
    images
        .map(|program| image(program, architecture, version))
        .collect()
}

fn image(program: &Program, architecture: Architecture, version: &str) -> Result<Image, Error> {
    let (name, path) = (&program.name, &program.path);
    let read = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { path: path.clone() },
        _ => Error::Read {
            path: path.clone(),
            source,
        },
    };
    let file = fs::read(path).map_err(read)?;
    elf::check(path, &file, architecture)?;
    let (bytes, limit) = (file.len() as u64, limit_bytes(name));
    if bytes > limit {
        let name = name.clone();
        return Err(Error::TooLarge { name, bytes, limit });
    }
    // Only a name that does not fit a tar's header can make these fail.
    let made = |source: io::Error| Error::Write {
        path: name.into(),
        source,
    };
    let layer = Blob::new(layer(name, &file).map_err(made)?);
    let config = Blob::json(&config(name, architecture, version, &layer.digest));
    let config = config.map_err(|error| made(error.into()))?;
    let manifest = manifest(&config, layer.descriptor(IMAGE_LAYER_MEDIA_TYPE));
    Ok(Image {
        name: name.clone(),
        architecture,
        manifest: manifest.map_err(|error| made(error.into()))?,
        layer,
        config,
    })
}

/// A tar with the program alone, owned by root, without a time.
fn layer(name: &str, file: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(file.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut layer = tar::Builder::new(Vec::with_capacity(file.len() + 4096));
    layer.append_data(&mut header, name, file)?;
    layer.into_inner()
}

/// How the program runs. No time is in it, so that it depends on the program alone.
fn config(name: &str, architecture: Architecture, version: &str, layer: &str) -> ConfigFile {
    let labels = [
        ("org.opencontainers.image.title", name),
        ("org.opencontainers.image.version", version),
        ("org.opencontainers.image.source", SOURCE),
        (
            "org.opencontainers.image.licenses",
            env!("CARGO_PKG_LICENSE"),
        ),
    ];
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
    let labels: HashMap<_, _> = labels
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    ConfigFile {
        architecture: oci(architecture),
        os: Os::Linux,
        config: Some(Config {
            user: Some(USER.into()),
            entrypoint: Some(vec![format!("/{name}")]),
            working_dir: Some("/".into()),
            labels: Some(labels),
            ..Config::default()
        }),
        rootfs: Rootfs {
            diff_ids: vec![layer.into()],
            ..Rootfs::default()
        },
        ..ConfigFile::default()
    }
}

/// The architecture in the words of the client.
pub(crate) fn oci(architecture: Architecture) -> OciArchitecture {
    match architecture {
        Architecture::Amd64 => OciArchitecture::Amd64,
        Architecture::Arm64 => OciArchitecture::ARM64,
    }
}

/// What an image consists of.
pub(crate) fn manifest(config: &Blob, layer: OciDescriptor) -> Result<Blob, serde_json::Error> {
    Blob::json(&OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.into()),
        config: config.descriptor(IMAGE_CONFIG_MEDIA_TYPE),
        layers: vec![layer],
        ..OciImageManifest::default()
    })
}
