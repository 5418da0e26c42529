//! Pushes to a small registry in this process, which checks what it gets.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use flate2::read::GzDecoder;
use ring::digest;
use serde_json::Value;
use tokio::net::TcpListener;
use zerocart_images::{Error, Loaded, Loader, Programs, Repository};

use crate::two;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(Default)]
struct Content {
    calls: Vec<String>,
    blobs: HashMap<String, Bytes>,
    manifests: BTreeMap<String, Bytes>,
    /// The status of every upload, and of every question for a blob if it is about who asks.
    refuses: Option<StatusCode>,
}

#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Content>>);

impl Registry {
    async fn start(&self) -> Repository {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        format!("{address}/shop").parse().unwrap()
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }
}

fn sha256(content: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, content);
    let digits: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digits}")
}

async fn answer(
    State(registry): State<Registry>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut content = registry.0.lock().unwrap();
    let path = uri.path();
    content.calls.push(format!("{method} {path}"));
    let last = path.rsplit('/').next().unwrap();
    let created =
        |status| (status, [(header::LOCATION, "/v2/shop/u?_state=signed")]).into_response();
    match (method.as_str(), path) {
        ("GET", "/v2/") => StatusCode::OK.into_response(),
        ("HEAD", path) if path.contains("/blobs/") => {
            let unknown = !content.blobs.contains_key(last);
            let refused = content
                .refuses
                .filter(|status| [401, 403].contains(&status.as_u16()));
            let status = refused.unwrap_or(StatusCode::NOT_FOUND);
            (if unknown { status } else { StatusCode::OK }).into_response()
        }
        ("POST", path) if path.ends_with("/blobs/uploads/") => match content.refuses {
            Some(status) => (status, "no more space").into_response(),
            None => created(StatusCode::ACCEPTED),
        },
        ("PUT", "/v2/shop/u") => {
            let query = uri.query().unwrap();
            assert!(query.contains("_state=signed"), "{query}");
            let hash = sha256(&body);
            assert!(
                query
                    .replace("%3A", ":")
                    .ends_with(&format!("digest={hash}")),
                "{query}"
            );
            content.blobs.insert(hash, body);
            created(StatusCode::CREATED)
        }
        ("GET", path) if path.contains("/manifests/") => match content.manifests.get(path) {
            Some(manifest) => {
                ([(header::CONTENT_TYPE, MANIFEST)], manifest.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ("PUT", path) if path.contains("/manifests/") => {
            assert_eq!(headers[header::CONTENT_TYPE], MANIFEST);
            let manifest: Value = serde_json::from_slice(&body).unwrap();
            for part in [&manifest["config"], &manifest["layers"][0]] {
                let blob = &content.blobs[part["digest"].as_str().unwrap()];
                assert_eq!(part["size"], blob.len());
            }
            content.manifests.insert(path.to_owned(), body);
            created(StatusCode::CREATED)
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

async fn push(repository: &Repository) -> Result<Loaded, Error> {
    let programs = Programs::at("");
    Loader::Registry
        .load(&two(), repository, &programs, |_| ())
        .await
}

#[tokio::test]
async fn images_are_pushed_once() {
    let registry = Registry::default();
    let repository = registry.start().await;
    assert_eq!(
        push(&repository).await.unwrap(),
        Loaded { new: 2, present: 0 }
    );
    let images = two();
    {
        let content = registry.0.lock().unwrap();
        let names: Vec<_> = content.manifests.keys().cloned().collect();
        let expected = images
            .iter()
            .map(|i| format!("/v2/shop/{}/manifests/{}", i.name(), i.tag()));
        assert_eq!(names, expected.collect::<Vec<_>>());
        for (image, manifest) in images.iter().zip(content.manifests.values()) {
            let manifest: Value = serde_json::from_slice(manifest).unwrap();
            let (config, layer) = (&manifest["config"], &manifest["layers"][0]);
            assert!(config["digest"].as_str().unwrap().contains(image.tag()));
            // Below its compression, the layer is the one that the configuration names.
            assert_eq!(
                layer["mediaType"],
                "application/vnd.oci.image.layer.v1.tar+gzip"
            );
            let blob = &content.blobs[layer["digest"].as_str().unwrap()];
            let mut tar = Vec::new();
            GzDecoder::new(&blob[..]).read_to_end(&mut tar).unwrap();
            let config = &content.blobs[config["digest"].as_str().unwrap()];
            let config: Value = serde_json::from_slice(config).unwrap();
            assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&tar));
        }
    }
    registry.take_calls();
    assert_eq!(
        push(&repository).await.unwrap(),
        Loaded { new: 0, present: 2 }
    );
    let calls = registry.take_calls();
    assert!(
        calls.iter().all(|call| call.starts_with("GET ")),
        "{calls:?}"
    );

    // Another image under a name of ours is replaced, and its blobs, which are there, are not sent again.
    let name = format!("/v2/shop/get-product/manifests/{}", images[0].tag());
    {
        let mut content = registry.0.lock().unwrap();
        let manifest = content.manifests[&name].to_vec();
        let manifest = String::from_utf8(manifest)
            .unwrap()
            .replace(images[0].tag(), "000000000000");
        content.manifests.insert(name.clone(), manifest.into());
    }
    assert_eq!(
        push(&repository).await.unwrap(),
        Loaded { new: 1, present: 1 }
    );
    let calls = registry.take_calls();
    assert!(calls.contains(&format!("PUT {name}")), "{calls:?}");
    assert!(
        !calls.iter().any(|call| call.starts_with("POST ")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_refusal_is_told_without_urls() {
    let registry = Registry::default();
    let repository = registry.start().await;
    for (status, cure) in [
        (StatusCode::INSUFFICIENT_STORAGE, None),
        (StatusCode::UNAUTHORIZED, Some("docker login 127.0.0.1:")),
        (StatusCode::FORBIDDEN, Some("docker login 127.0.0.1:")),
    ] {
        registry.0.lock().unwrap().refuses = Some(status);
        let error = push(&repository).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot push {repository}/")),
            "{text}"
        );
        let answer = format!("the registry answers {}", status.as_u16());
        assert!(text.contains(&answer), "{text}");
        assert!(!text.contains("signed") && !text.contains("http"), "{text}");
        assert_eq!(error.cure().is_some(), cure.is_some());
        assert!(
            error
                .cure()
                .unwrap_or_default()
                .contains(cure.unwrap_or_default())
        );
    }
    assert!(registry.0.lock().unwrap().manifests.is_empty());
}

#[tokio::test]
async fn a_registry_that_is_away_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let repository: Repository = format!("{address}/shop").parse().unwrap();
    let text = push(&repository).await.unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("cannot push {address}/shop/get-product:")),
        "{text}"
    );
    assert!(text.contains("cannot be reached"), "{text}");
    assert!(!text.contains("http://"), "{text}");
}
