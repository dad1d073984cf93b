//! A GitLab whose certificate an authority of its own has signed: trusted where its file is given,
//! and nowhere else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use omk_action::exec::secret::Secret;
use omk_action::forge::{ForgeError, GitLab, GitLabSite, GitLabToken};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::gitlab_server::{TOKEN, patience, project};

/// Made for this test, and good for nothing else.
const PEM: &[u8] = include_bytes!("gitlab-server.pem");

fn authority() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gitlab-authority.pem")
}

/// Answers each of so many connections once, and ends.
fn serve(connections: usize) -> (u16, std::thread::JoinHandle<usize>) {
    let chain = vec![CertificateDer::from_pem_slice(PEM).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(PEM).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = Arc::new(
        config
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap(),
    );
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let mut answered = 0;
        for _ in 0..connections {
            let (stream, _) = listener.accept().unwrap();
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(session, stream));
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            if line == "\r\n" {
                let body = project().to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream
                    .get_mut()
                    .write_all((head + &body).as_bytes())
                    .unwrap();
                stream.get_mut().flush().unwrap();
                answered += 1;
            }
        }
        answered
    });
    (port, serving)
}

fn site(port: u16, authorities: Option<PathBuf>) -> GitLabSite {
    GitLabSite {
        api: format!("https://127.0.0.1:{port}/api/v4"),
        project: 7,
        token: GitLabToken::Access(Secret::new(TOKEN.into())),
        spacing: std::time::Duration::ZERO,
        authorities,
    }
}

#[tokio::test]
async fn an_authority_of_its_own_is_trusted_where_it_is_given() {
    let (port, serving) = serve(1);
    let client = GitLab::with_patience(site(port, Some(authority())), patience()).unwrap();
    assert_eq!(client.repository().await.unwrap().name, "acme/widget");
    assert_eq!(serving.join().unwrap(), 1);
}

#[tokio::test]
async fn another_s_certificate_gets_no_token() {
    let (port, serving) = serve(3);
    let client = match GitLab::with_patience(site(port, None), patience()) {
        Ok(client) => client,
        // A bare machine trusts nobody.
        Err(error) => {
            return assert!(
                matches!(error, ForgeError::Misconfigured { .. }),
                "{error:?}"
            );
        }
    };
    let error = client.repository().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(TOKEN));
    assert_eq!(serving.join().unwrap(), 0, "nothing was said to it");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, empty) = (dir.path().join("missing.pem"), dir.path().join("empty.pem"));
    std::fs::write(&empty, "hello\n").unwrap();
    for (file, expect) in [
        (missing, "cannot read the certificates in"),
        (empty, "holds no certificates as PEM"),
    ] {
        let error = GitLab::new(site(1, Some(file))).unwrap_err();
        assert!(
            matches!(error, ForgeError::Misconfigured { .. }) && error.to_string().contains(expect),
            "{error}"
        );
    }
}
