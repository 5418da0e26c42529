//! Packs a folder of built files: their types, their tags, and their compressed forms. The build script does
//! it, so that the program only copies bytes.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use brotli::{CompressorWriter, enc::BrotliEncoderParams};
use flate2::{Compression, write::GzEncoder};

/// The extensions of built files, and their types. A file of another extension is an error: browsers
/// would refuse it, because they are told not to guess.
const KINDS: [(&str, &str); 15] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
];

/// A file, packed.
pub(crate) struct Packed {
    /// Its path below the folder.
    pub(crate) path: String,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// A digest of its content.
    pub(crate) tag: String,
    /// Its content.
    pub(crate) plain: Vec<u8>,
    /// The content in brotli, where that is smaller.
    pub(crate) brotli: Option<Vec<u8>>,
    /// The content in gzip, where that is smaller.
    pub(crate) gzip: Option<Vec<u8>>,
}

/// Packs the files of `folder`, in the order of their paths. Hidden files are left out.
///
/// # Errors
///
/// A file that cannot be read, one of an unknown type, or a name that a URL cannot have as it is.
pub(crate) fn folder(folder: &Path) -> Result<Vec<Packed>> {
    let mut files = Vec::new();
    add(folder, "", &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn add(folder: &Path, above: &str, files: &mut Vec<Packed>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let at = entry.path();
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
        ensure!(
            !name.is_empty() && name.bytes().all(plain),
            "{}: the name of a built file must consist of letters, digits and - . _ ~ @",
            at.display()
        );
        let path = format!("{above}{name}");
        if entry.file_type()?.is_dir() {
            add(&at, &format!("{path}/"), files)?;
        } else {
            let content = fs::read(&at).with_context(|| at.display().to_string())?;
            files.push(pack(path, content)?);
        }
    }
    Ok(())
}

fn pack(path: String, plain: Vec<u8>) -> Result<Packed> {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == extension) else {
        bail!(
            "{path}: no media type is known for .{extension}; add it in edge/dashboard/src/pack.rs"
        );
    };
    let mut hasher = DefaultHasher::new();
    plain.hash(&mut hasher);
    let smaller = |coded: Vec<u8>| (coded.len() < plain.len()).then_some(coded);
    Ok(Packed {
        kind,
        tag: format!("{:016x}", hasher.finish()),
        brotli: smaller(brotli(&plain)?),
        gzip: smaller(gzip(&plain)?),
        path,
        plain,
    })
}

fn brotli(plain: &[u8]) -> Result<Vec<u8>> {
    // The best that there is: it is done once, and the result is read often.
    let params = BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: plain.len(),
        ..Default::default()
    };
    let mut writer = CompressorWriter::with_params(Vec::new(), 4096, &params);
    writer.write_all(plain)?;
    Ok(writer.into_inner())
}

fn gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(plain)?;
    Ok(writer.finish()?)
}
